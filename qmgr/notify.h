#ifndef QMGR_NOTIFY_H
#define QMGR_NOTIFY_H

#include "common/fiber/fiber.h"
#include "common/param/param.h"
#include "qmgr/message.h"

extern const struct param	notify_params[];

/*
 * The mail for this recipient was sent, and the agent set these flags (enum
 * outcome_flags): is the sender to be told so by us (RFC 3461 4.1, 5.2)?
 */
bool		 notify_is_due(const struct message *, size_t number,
		    int64_t flags);

/* Does its sender want a report of this attempt, whatever comes of it (sendmail
 * -v, -bv)? */
bool		 notify_wants_trace(const struct message *);
/* That report. A probe is over with it, or waits to be made again. */
WAITS void	 notify_trace(struct message *);

/* Is there something to tell? That may take minutes. */
bool		 notify_has_work(const struct message *);

/*
 * Have the failed recipients reported to the sender. Who was reported, or
 * needs no report, stays WORK_FAILED; the others become WORK_DEFERRED, since
 * nobody may fail in silence, or WORK_OWED, if too many reports are due
 * (storm.h).
 */
WAITS void	 notify_failures(struct message *);

/* Tell the sender, once, that recipients still wait. */
WAITS void	 notify_delay(struct message *);

/* Tell the sender of deliveries: WORK_UNTOLD becomes WORK_SENT when the report
 * is stored. */
WAITS void	 notify_successes(struct message *);

#endif
