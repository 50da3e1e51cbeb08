#ifndef NET_DIAL_H
#define NET_DIAL_H

#include <sys/types.h>

#include "common/fiber/fiber.h"
#include "common/net/inetaddr.h"

/* Connect a non-blocking TCP socket, from `source` unless it is NULL. The
 * descriptor, or -1 with errno (ETIMEDOUT at the deadline). */
WAITS int	 dial(const struct inetaddr *to, const struct inetaddr *source,
		    int64_t deadline);

/* A listening TCP socket (SO_REUSEADDR, IPV6_V6ONLY, backlog, cloexec,
 * non-blocking), or -1. Not for fibers: master and tests. */
int		 listen_inet(const struct inetaddr *, int backlog);
/* A SEQPACKET (or STREAM) UNIX listener at a path relative to the current
 * directory; a stale socket is replaced. Mode and owner are set. */
int		 listen_unix(const char *path, int type, mode_t, uid_t, gid_t);

#endif
