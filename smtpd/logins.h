#ifndef SMTPD_LOGINS_H
#define SMTPD_LOGINS_H

#include "common/ipc/packets.h"

#include "smtpd/session.h"

/* Of whom the sender's address is asked to be his own. */
enum login_rule {
	LOGIN_ALL,		/* both of the next two */
	LOGIN_AUTHENTICATED,	/* who has logged in must own it */
	LOGIN_UNAUTHENTICATED,	/* who has not may use nobody's */
	LOGIN_KNOWN		/* an address with owners is used by them */
};

/*
 * Does the sender of this transaction break the rule, as
 * smtpd_sender_login_maps has it? LOOKUP_FOUND is yes; LOOKUP_TEMPORARY: it
 * cannot be told now. The null sender breaks none.
 */
WAITS enum lookup_result logins_break(const struct session *,
		    enum login_rule);

#endif
