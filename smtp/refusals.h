#ifndef SMTP_REFUSALS_H
#define SMTP_REFUSALS_H

#include "smtp/login.h"

extern const struct param refusals_params[];

/*
 * Logins that hosts refused with 535, remembered while this process lives if
 * smtp_sasl_auth_cache_name is set: a wrong password that is tried with each
 * message locks an account.
 */
void		 refusals_note(const struct connection *, const struct login *,
		    const char *dsn, const char *why, bool is_permanent);
/* Was this login, with the same password, refused there? Then the failure is
 * told. */
bool		 refusals_find(struct delivery *, const struct connection *,
		    struct failure *);

#endif
