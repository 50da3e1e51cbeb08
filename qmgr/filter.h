#ifndef QMGR_FILTER_H
#define QMGR_FILTER_H

#include "common/param/param.h"
#include "qmgr/message.h"

extern const struct param	filter_params[];

/*
 * Where a message goes whatever its recipients, which the envelope says:
 * "transport:nexthop", or "transport:"; "" for no filter. In the pool, or as
 * long as the message.
 */
const char	*filter_of(const struct message *, struct pool *);

#endif
