#ifndef QMGR_ROUTE_H
#define QMGR_ROUTE_H

#include "common/fiber/fiber.h"
#include "common/ipc/link.h"
#include "qmgr/message.h"

/* Find out where each recipient goes, and queue the jobs. Holds the message
 * until that is done. */
void	 route_start(struct message *);

extern struct link	*to_resolve;

#endif
