#ifndef QMGR_NOTIFY_H
#define QMGR_NOTIFY_H

#include "common/fiber/fiber.h"
#include "qmgr/message.h"

/*
 * Have the failed recipients reported to the sender. Who was reported, or
 * needs no report, stays WORK_FAILED; the others become WORK_DEFERRED, since
 * nobody may fail in silence.
 */
WAITS void	 notify_failures(struct message *);

/* Tell the sender, once, that recipients still wait. */
WAITS void	 notify_delay(struct message *);

#endif
