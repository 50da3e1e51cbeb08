#ifndef SMTPD_AUTH_H
#define SMTPD_AUTH_H

#include "smtpd/session.h"

/* The command; commands.c calls it. */
WAITS int	 command_auth(struct session *, char *args);

/* Ask which mechanisms this client may use now; before EHLO is answered. */
WAITS void	 auth_learn(struct session *);
/* Were there any? Then EHLO announces them, perhaps in the old way, too. */
bool		 auth_is_offered(const struct session *);
bool		 auth_is_offered_twice(const struct session *);

/* Could this client log in to this service, and has not? */
bool		 auth_is_missing(const struct session *);

/* Nobody is logged in any more (TLS has begun, XCLIENT). */
void		 auth_forget(struct session *);

/* For Received: "(Authenticated sender: NAME)", or "" (in the pool). */
char		*auth_trace(const struct session *, struct pool *);
/* For the log: ", sasl_method=PLAIN, sasl_username=NAME", or "". */
const char	*auth_note(const struct session *, struct pool *);

/* Read the parameters, while files can be read; die()s on bad ones. Then, when
 * the others can be reached. */
void		 auth_prepare(void);
void		 auth_start(void);

#endif
