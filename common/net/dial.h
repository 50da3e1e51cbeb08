#ifndef NET_DIAL_H
#define NET_DIAL_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/fiber/fiber.h"
#include "common/net/inetaddr.h"

/* Connect a non-blocking TCP socket, from `source` unless it is NULL; nothing
 * that is written waits for company (TCP_NODELAY). The descriptor, or -1 with
 * errno (ETIMEDOUT at the deadline). */
WAITS int	 dial(const struct inetaddr *to, const struct inetaddr *source,
		    int64_t deadline);
/* From now on sockets that connect, and listening ones, have a TCP window of
 * so many bytes; 0 is as the system has it. */
void		 dial_set_window(int64_t bytes);
/* Give it to a socket that is to connect or to listen. */
void		 dial_use_window(int fd);
/* Is this an address to connect from? 0, or -1 with errno. */
int		 dial_check_source(const struct inetaddr *source);
/* Does this errno of dial() tell of us (descriptors, ports, memory) and not of
 * the host? */
bool		 dial_error_is_ours(int error);

/* A listening TCP socket (SO_REUSEADDR, IPV6_V6ONLY, backlog, cloexec,
 * non-blocking), or -1. Not for fibers: master and tests. */
int		 listen_inet(const struct inetaddr *, int backlog);
/* A SEQPACKET (or STREAM) UNIX listener at a path relative to the current
 * directory; a stale socket is replaced. Mode and owner are set. */
int		 listen_unix(const char *path, int type, mode_t, uid_t, gid_t);

#endif
