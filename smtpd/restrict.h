#ifndef SMTPD_RESTRICT_H
#define SMTPD_RESTRICT_H

#include "smtpd/replies.h"
#include "smtpd/session.h"

/* What a list of restrictions says of a recipient. */
enum verdict { VERDICT_NONE, VERDICT_PERMIT, VERDICT_REJECT, VERDICT_DEFER,
    VERDICT_RELAY_DENIED, VERDICT_RELAY_DEFERRED, VERDICT_BROKEN };

/* Ask both lists about a recipient that resolve has answered for. */
enum verdict	 restrict_recipient(const struct session *,
		    const struct recipient_answer *);

/* And of a client that asks for ETRN. */
enum verdict	 restrict_etrn(const struct session *);

/* Read the lists; what they name must be known, and something in them must
 * refuse strangers' relaying, else every recipient gets 451. */
void		 restrict_prepare(void);

#endif
