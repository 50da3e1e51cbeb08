#ifndef CLEANUP_REQUEUE_H
#define CLEANUP_REQUEUE_H

#include "common/ipc/channel.h"

/* PACKET_REQUEUE: qmgr wants a message of the queue brought to cleanup again,
 * for those who still wait for it. */
void		 on_requeue(struct request *);
/* How many are being brought now. */
unsigned	 requeue_busy(void);

#endif
