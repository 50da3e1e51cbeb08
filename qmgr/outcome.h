#ifndef QMGR_OUTCOME_H
#define QMGR_OUTCOME_H

#include "common/fiber/fiber.h"
#include "common/ipc/link.h"
#include "common/ipc/packets.h"
#include "qmgr/message.h"

/* A delivery agent said this of a recipient (its text is copied). What it
 * says a second time does not count. */
void	 outcome_set(struct message *, size_t number,
	    const struct outcome_row *);

/* We say it ourselves, and write the log line that an agent would write. */
void	 outcome_decide(struct message *, size_t number, enum outcome,
	    const char *dsn, const char *text);

/* The recipient stays as it is: somebody wants the message back. */
void	 outcome_withdraw(struct message *, size_t number);

/* While a message is held it is not settled; the last release may do that, so
 * that the message may be gone afterwards. */
void	 message_hold(struct message *);
void	 message_release(struct message *);

/* Is nothing left to do but to remove it? */
bool	 outcome_is_delivered(const struct message *);

/* Messages that are being settled now. */
unsigned outcome_settling(void);

extern struct link	*to_bounce;

#endif
