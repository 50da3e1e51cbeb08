#ifndef QMGR_SETTINGS_H
#define QMGR_SETTINGS_H

#include <stdbool.h>

#include "common/base/str.h"
#include "common/param/param.h"
#include "qmgr/retry.h"
#include "qmgr/site.h"

/*
 * What is set for one transport: by TRANSPORT_NAME in main.cf, else by the
 * setting for all of them (default_NAME, or the NAME alone).
 */
struct tuning {
	struct pace		 pace;		/* of each site */
	struct retry_settings	 retry;
	int64_t			 rate_delay;	/* between any two deliveries */
	bool			 is_deferred;	/* defer_transports */
};

extern const struct param	 transport_params[];

/* Read it; -1 with lines in *problems, and then nothing is changed. */
int		 tuning_read(const char *transport, struct tuning *,
		    struct str *problems);

/* destination_concurrency_feedback_debug, transport_retry_time. */
bool		 tuning_is_debugged(void);
int64_t		 tuning_transport_pause(void);

#endif
