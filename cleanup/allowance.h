#ifndef CLEANUP_ALLOWANCE_H
#define CLEANUP_ALLOWANCE_H

#include <stdint.h>
#include <sys/types.h>

#include "common/param/param.h"

/*
 * How fast each user of this machine may post.
 */
extern const struct param	allowance_params[];

/* May this user post a message of this length now? 0 yes, and it is counted;
 * otherwise in how many milliseconds he may. */
int64_t		 allowance_take(uid_t, int64_t bytes);

#endif
