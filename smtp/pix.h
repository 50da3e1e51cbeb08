#ifndef SMTP_PIX_H
#define SMTP_PIX_H

#include "smtp/delivery.h"

/*
 * Firewalls that take SMTP apart ("smtp fixup"): they star out the greeting,
 * do not know EHLO, and lose a final dot that does not come alone.
 */
enum { PIX_NO_ESMTP = 1, PIX_DELAYS_DOT = 2 };

/* Is there one, by this greeting (without its code)? */
bool		 pix_is_greeting(const char *text);

/*
 * What is to be done about it, from smtp_pix_workarounds or, by the host's
 * address, smtp_pix_workaround_maps; told in the log. -1: the table does not
 * answer.
 */
WAITS int	 pix_workarounds(struct delivery *, const char *address,
		    const char *host);

/* Wait before the final dot, if the mail has waited long enough to try that.
 * 0, or -1 with ECANCELED. */
WAITS int	 pix_wait(const struct delivery *, const struct connection *);

#endif
