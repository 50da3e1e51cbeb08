#ifndef PARAM_NETWORKS_H
#define PARAM_NETWORKS_H

#include "common/base/mem.h"

/*
 * The networks that a style of mynetworks_style (loopback, host, subnet,
 * class) means on this machine now, as a list "127.0.0.0/8 [::1]/128". NULL,
 * or what was expected.
 */
const char	*networks_of_style(struct pool *, const char *style,
		    char **networks);

#endif
