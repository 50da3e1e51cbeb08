#ifndef CLEANUP_INFLOW_H
#define CLEANUP_INFLOW_H

#include "common/ipc/link.h"

#include "cleanup/transaction.h"

/*
 * Who brings more than can be delivered waits a little for each message.
 */
extern const struct param	inflow_params[];

/* Ask qmgr by this link how it is. */
void		 inflow_start(struct link *qmgr);
/* Wait as long as this message has to; mostly not at all. */
WAITS void	 inflow_wait(struct transaction *);

#endif
