#ifndef SMTPD_RESTRICT_H
#define SMTPD_RESTRICT_H

#include "smtpd/replies.h"
#include "smtpd/session.h"

/* The lists of restrictions, in the order in which they are asked. */
enum stage { STAGE_CLIENT, STAGE_HELO, STAGE_SENDER, STAGE_RELAY,
    STAGE_RECIPIENT, STAGE_ETRN, STAGES };

/*
 * At CONNECT, HELO and MAIL: NULL when the client may go on, else the refusal,
 * in `line`. With smtpd_delay_reject always NULL: these lists are asked with
 * the recipient then.
 */
WAITS const char *restrict_now(const struct session *, enum stage,
		    char line[REPLY_LINE]);

/* At MAIL: NULL, or 530 for a client that may send nothing before it has logged
 * in (RFC 6409 4.3), whatever smtpd_delay_reject says. */
const char	*restrict_login(const struct session *, char line[REPLY_LINE]);

/* All lists that are to be asked about a recipient that resolve has answered
 * for: NULL, or the refusal. */
WAITS const char *restrict_recipient(const struct session *,
		    const char *address, const struct recipient_answer *,
		    char line[REPLY_LINE]);

/* And about a domain of ETRN. */
WAITS const char *restrict_etrn(const struct session *, const char *domain,
		    char line[REPLY_LINE]);

/* Read the lists; what they name must be known, and something in them must
 * refuse strangers' relaying, else every recipient gets 451. */
void		 restrict_prepare(void);

#endif
