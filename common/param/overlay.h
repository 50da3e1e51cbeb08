#ifndef PARAM_OVERLAY_H
#define PARAM_OVERLAY_H

#include "common/param/maincf.h"
#include "common/param/mastercf.h"

/*
 * main.cf as one line of master.cf sees it: with its options -o, and with
 * what obsolete settings mean now. The copy is in the pool; postscreen's line
 * has the settings of the smtpd behind it.
 */
struct maincf	*overlay_settings(struct pool *, struct maincf *,
		    const struct mastercf *, const struct service *);

/* The line that has the options: itself, or that smtpd. */
const struct service *overlay_line(const struct mastercf *,
		    const struct service *);

/* By what name its program asks: "submission/inet". */
char		*overlay_name(struct pool *, const struct service *);

#endif
