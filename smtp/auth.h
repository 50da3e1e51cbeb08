#ifndef SMTP_AUTH_H
#define SMTP_AUTH_H

#include "smtp/delivery.h"

extern const struct param auth_params[];

/* Look once at what main.cf says; what is wrong is logged, and defers the
 * mail that wants AUTH. */
void		 auth_prepare(void);

/* What EHLO's answer offers (RFC 4954 3), also in the shape that was before
 * the standard ("AUTH=LOGIN"). */
void		 auth_learn(struct connection *, const char *ehlo);

/*
 * Log in with delivery->login, if there is one; after the last EHLO. -1 with
 * the failure told; the conversation is to be closed then.
 */
WAITS int	 auth_run(struct delivery *, struct connection *,
		    struct failure *);

#endif
