#ifndef SMTPD_OFFER_H
#define SMTPD_OFFER_H

#include "smtpd/session.h"

/* What this client is not to be told of; before an EHLO is answered. */
WAITS void	 offer_learn(struct session *);

/* Is this client not told of an extension that there is? */
bool		 offer_discards(const struct session *, const char *keyword);

/* The answer to EHLO, its first line with our name excepted. */
WAITS int	 offer_say(struct session *);

#endif
