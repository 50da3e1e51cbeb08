/*
 * dial.c - connect to a host without making anybody wait.
 */
#include "common/net/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fiber/loop.h"

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT	24
#endif

static int	window;		/* bytes, or 0 */

void
dial_set_window(int64_t bytes)
{
	window = (int)bytes;
}

void
dial_use_window(int fd)
{
	if (window == 0)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof(window));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &window, sizeof(window));
}

/* Use this source address; the port is found when the connection is made. */
static int
bind_source(int fd, const struct inetaddr *source)
{
	struct sockaddr_storage	from;
	socklen_t		len = inetaddr_to_sockaddr(source, &from);
	int			on = 1;

	if (source->port == 0)
		(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on,
		    sizeof(on));
	return bind(fd, (struct sockaddr *)&from, len);
}

/* Is it connected now? 1, 0 when that is not decided, -1 with errno. */
static int
outcome(int fd)
{
	struct sockaddr_storage	peer;
	socklen_t		len = sizeof(peer), size = sizeof(int);
	int			problem;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size) == -1)
		return -1;
	if (problem != 0) {
		errno = problem;
		return -1;
	}
	if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0)
		return 1;
	return errno == ENOTCONN ? 0 : -1;
}

/* Wait for the end of a connect() in progress. */
WAITS static int
wait_connected(int fd, int64_t deadline)
{
	struct loop_fd	watch;
	int		result, problem;

	if (loop_add(&watch, fd) == -1)
		return -1;
	do {
		result = loop_wait_writable(&watch, deadline);
		if (result == 0)
			result = outcome(fd);
	} while (result == 0);
	problem = errno;
	loop_remove(&watch);
	errno = problem;
	return result == 1 ? 0 : -1;
}

/* Connect the socket. */
WAITS static int
connect_fd(int fd, const struct inetaddr *to, const struct inetaddr *source,
    int64_t deadline)
{
	struct sockaddr_storage	peer;
	socklen_t		len = inetaddr_to_sockaddr(to, &peer);

	if (source != NULL && bind_source(fd, source) == -1)
		return -1;
	if (connect(fd, (struct sockaddr *)&peer, len) == 0)
		return 0;
	if (errno != EINPROGRESS && errno != EINTR)
		return -1;
	return wait_connected(fd, deadline);
}

/* A connected socket. */
int
dial(const struct inetaddr *to, const struct inetaddr *source,
    int64_t deadline)
{
	int	fd, problem, on = 1;

	fd = socket(to->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	/* What io has gathered is to go at once: a small piece behind another
	 * would wait for the other side's acknowledgement. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	dial_use_window(fd);
	if (connect_fd(fd, to, source, deadline) == 0)
		return fd;
	problem = errno;
	close(fd);
	errno = problem;
	return -1;
}

/* Try to be there. */
int
dial_check_source(const struct inetaddr *source)
{
	int	fd, result, problem;

	fd = socket(source->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	result = bind_source(fd, source);
	problem = errno;
	close(fd);
	errno = problem;
	return result;
}

/* EADDRNOTAVAIL: all ports are in use. */
bool
dial_error_is_ours(int error)
{
	return error == EADDRNOTAVAIL || error == EADDRINUSE ||
	    error == EMFILE || error == ENFILE || error == ENOBUFS ||
	    error == ENOMEM || error == EAFNOSUPPORT;
}
