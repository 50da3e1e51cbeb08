#ifndef SMTPD_SETTINGS_H
#define SMTPD_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/param/param.h"

/* What main.cf says to smtpd. Times in milliseconds, sizes in bytes. The rows
 * stand in the files that use them. */
struct settings {
	/* session.c */
	char	*banner;
	int64_t	 timeout, overload_timeout;
	bool	 helo_required;
	char	*discard_ehlo_keywords;

	/* envelope.c */
	bool	 disable_vrfy, reject_unlisted, strict_envelopes;
	int64_t	 recipient_limit, recipient_overshoot;

	/* data.c */
	int64_t	 data_rate, queue_minfree;
	char	*forbid_bare_newline;
	char	*forbid_bare_newline_exclusions;
	int64_t	 data_done_timeout;

	/* parameters.c */
	char	*verp_delimiters, *verp_filter;

	/* limits.c */
	int64_t	 soft_errors, hard_errors, error_sleep;
	int64_t	 junk_limit;
	int64_t	 client_connections, client_rate;
	char	*limit_exceptions;

	/* client.c */
	bool	 wants_reverse;
	char	*verp_clients;

	/* restrict.c */
	char	*relay_restrictions, *recipient_restrictions;
	char	*etrn_restrictions;
	int64_t	 relay_code, unlisted_code;

	/* transcript.c */
	char	*notify_classes;
};
extern struct settings set;

extern const struct param session_params[], envelope_params[], data_params[],
    limits_params[], client_params[], restrict_params[],
    parameter_params[], transcript_params[];

#endif
