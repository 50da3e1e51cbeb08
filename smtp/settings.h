#ifndef SMTP_SETTINGS_H
#define SMTP_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/param/param.h"

/* What main.cf says to smtp; times in milliseconds. Rows in their users. */
struct settings {
	/* hosts.c */
	int64_t	 address_limit, session_limit;
	bool	 randomizes, skips_5xx;
	char	*bind_address, *bind_address6, *address_preference;

	/* session.c */
	char	*helo_name;
	bool	 never_ehlo;
	int64_t	 connect_timeout, helo_timeout, mail_timeout, rcpt_timeout,
		 data_init_timeout, data_xfer_timeout, data_done_timeout,
		 rset_timeout, quit_timeout;
	char	*discard_ehlo_keywords;

	/* cache.c */
	int64_t	 cache_time, reuse_time;
	int64_t	 reuse_count;
};
extern struct settings set;
extern const struct param hosts_params[], session_params[], cache_params[];

#endif
