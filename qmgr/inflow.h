#ifndef QMGR_INFLOW_H
#define QMGR_INFLOW_H

#include "common/ipc/channel.h"

/* PACKET_ASK_INFLOW, from cleanup. */
void		 on_ask_inflow(struct request *);

#endif
