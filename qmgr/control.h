#ifndef QMGR_CONTROL_H
#define QMGR_CONTROL_H

#include "common/ipc/channel.h"

/* PACKET_QUEUE_COMMAND: what administrators ask for. Answers with QUEUE_ENTRY
 * packets under the request's id, then QUEUE_DONE. */
void	 on_command(struct request *);

#endif
