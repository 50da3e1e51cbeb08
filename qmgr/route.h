#ifndef QMGR_ROUTE_H
#define QMGR_ROUTE_H

#include "common/fiber/fiber.h"
#include "common/ipc/link.h"
#include "qmgr/message.h"

/* Find out where each recipient goes, and queue the jobs. Holds the message
 * until that is done. */
void	 route_start(struct message *);

/* Are so many waiting to be asked for that others had better wait for them?
 * New mail, which does not, is behind few then. */
bool	 route_is_busy(void);

/* An agent passes this recipient on to `via`, "transport:nexthop". Holds the
 * message, too. */
void	 route_again(struct message *, size_t number, const char *via);

extern struct link	*to_resolve;

#endif
