#ifndef SMTP_LOGIN_H
#define SMTP_LOGIN_H

#include "smtp/delivery.h"

/* Who we are to a host. */
struct login {
	struct pool	*pool;		/* its own, wiped */
	char		*user;
	char		*secret;	/* password or token; NULL: a token that
					 * resolve is to be asked for */
	bool		 is_token;
};

extern const struct param login_params[];

/*
 * What can be known before there is a host: the login of this mail's sender
 * (smtp_sender_dependent_authentication), if he has one. It becomes part of
 * delivery->protection, so that a warm conversation serves only those who
 * would log in the same way. -1 with the failure told.
 */
WAITS int	 login_find_sender(struct delivery *, struct failure *);

/*
 * The login for this host in delivery->login: the sender's, else the one of
 * the host's name or of the next hop; NULL: none. -1 with the failure told.
 */
WAITS int	 login_find(struct delivery *, const struct nexthop *,
		    const struct target *, struct failure *);

/* delivery->protection with the login of login_find() in it. */
const char	*login_protection(const struct delivery *);

/* Fetch a token that is not in a table. NULL, or why it cannot be had. */
WAITS const char *login_fetch(struct delivery *, struct login *,
		    const char *host);

#endif
