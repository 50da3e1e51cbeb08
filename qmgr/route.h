#ifndef QMGR_ROUTE_H
#define QMGR_ROUTE_H

#include "common/fiber/fiber.h"
#include "common/ipc/link.h"
#include "qmgr/message.h"

/* Find out where each recipient goes, and queue the jobs. Holds the message
 * until that is done. */
void	 route_start(struct message *);

/* An agent passes this recipient on to `via`, "transport:nexthop". Holds the
 * message, too. */
void	 route_again(struct message *, size_t number, const char *via);

extern struct link	*to_resolve;

#endif
