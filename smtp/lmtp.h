#ifndef SMTP_LMTP_H
#define SMTP_LMTP_H

#include "smtp/delivery.h"

/* A connection to a UNIX socket, by resolve's hand. The descriptor, or -1
 * with the failure told. */
WAITS int	 lmtp_dial(struct delivery *, const struct target *,
		    struct failure *);

#endif
