#ifndef MASTER_SOCKETS_H
#define MASTER_SOCKETS_H

#include <sys/types.h>

#include "common/base/mem.h"

/*
 * Who may open a program's internal sockets, as numbers; -1 for a group that
 * does not matter. NULL, or who is missing.
 */
const char	*socket_owner(struct pool *, const char *program, uid_t *,
		    gid_t *, mode_t *);

#endif
