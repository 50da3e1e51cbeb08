#ifndef QMGR_DISPATCH_H
#define QMGR_DISPATCH_H

#include "common/ipc/channel.h"
#include "common/param/param.h"
#include "qmgr/transport.h"

extern const struct param	 dispatch_params[];

/* Post a delivery of this job to the lane's worker. False when the channel is
 * no good. */
bool	 dispatch_deliver(struct channel *, struct lane *, struct job *);
/* Defer so many of the job's recipients, whose turn it is; was_tried: their
 * site was, on behalf of others. */
void	 dispatch_postpone(struct job *, size_t count, const char *dsn,
	    const char *text, bool was_tried);

/* PACKET_OUTCOME, and the end of an agent's channel. */
void	 on_outcome(struct request *);
void	 on_agent_lost(struct channel *, void *transport);

/* Watch over deliveries that nobody answers. */
void	 dispatch_start(void);
/* Start nothing more. */
void	 dispatch_drain(void);
/* Deliveries without their last outcome. */
unsigned dispatch_in_flight(void);
/* Forget that sites are dead and transports unavailable. */
void	 dispatch_revive(void);

#endif
