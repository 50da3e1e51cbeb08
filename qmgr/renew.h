#ifndef QMGR_RENEW_H
#define QMGR_RENEW_H

#include "common/fiber/fiber.h"
#include "qmgr/message.h"

enum { RENEW_PAUSE = 30 * 1000 };	/* before it is tried again */

/* Before the first message is settled. */
void		 renew_start(void);

/*
 * Bring the message to cleanup again, for the recipients who wait by its file.
 * RENEWED: it is queued under another id, and its file is of no use any more;
 * RENEWED_REFUSED: it never will be, and they are WORK_FAILED now.
 */
enum renewed { RENEWED, RENEWED_REFUSED, RENEWED_LATER };
WAITS enum renewed renew(struct message *);

#endif
