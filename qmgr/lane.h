#ifndef QMGR_LANE_H
#define QMGR_LANE_H

#include "qmgr/transport.h"

/* Something may have its turn in this lane now. */
void	 lane_kick(struct lane *);
void	 lanes_kick_all(void);
/* A delivery of this lane is over: a slot is free. */
void	 lane_has_slot(struct lane *);
/* Its worker is no good for a while: what waits for it is deferred. */
void	 lane_leave_alone(struct lane *);

/* Start nothing more. */
void	 lanes_drain(void);

#endif
