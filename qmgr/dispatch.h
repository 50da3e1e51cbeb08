#ifndef QMGR_DISPATCH_H
#define QMGR_DISPATCH_H

#include "common/ipc/channel.h"
#include "qmgr/transport.h"

/* Something may have its turn in this lane now. */
void	 lane_kick(struct lane *);
void	 lanes_kick_all(void);

/* PACKET_OUTCOME, and the end of an agent's channel. */
void	 on_outcome(struct request *);
void	 on_agent_lost(struct channel *, void *transport);

/* Start nothing more. */
void	 dispatch_drain(void);
/* Deliveries without their last outcome. */
unsigned dispatch_in_flight(void);
/* Forget that sites are dead and transports unavailable. */
void	 dispatch_revive(void);

#endif
