/*
 * listen.c - sockets that wait to be called.
 */
#include "common/net/dial.h"

#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

enum {
	UNIX_BACKLOG	= 1024
};

/* Close after a failure and keep the reason. */
static int
give_up(int fd)
{
	int	problem = errno;

	if (fd != -1)
		close(fd);
	errno = problem;
	return -1;
}

/* Listen on an address and port; port 0 lets the kernel choose. */
int
listen_inet(const struct inetaddr *address, int backlog)
{
	struct sockaddr_storage	at;
	socklen_t		len = inetaddr_to_sockaddr(address, &at);
	int			fd, on = 1;

	fd = socket(address->family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	/* What is accepted inherits it: io writes what belongs together at
	 * once, and the rest must not wait for an acknowledgement. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	dial_use_window(fd);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1 ||
	    (address->family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6,
	    IPV6_V6ONLY, &on, sizeof(on)) == -1) ||
	    bind(fd, (struct sockaddr *)&at, len) == -1 ||
	    listen(fd, backlog) == -1)
		return give_up(fd);
	return fd;
}

/* Put a path into an address; a longer one than the kernel takes is wrong. */
static int
unix_address(struct sockaddr_un *un, const char *path)
{
	size_t	len = strlen(path);

	if (len == 0 || len >= sizeof(un->sun_path)) {
		errno = len == 0 ? ENOENT : ENAMETOOLONG;
		return -1;
	}
	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, len);
	return 0;
}

/* Remove a socket on which nobody listens any more. */
static int
remove_stale(const struct sockaddr_un *un, int type)
{
	struct stat	st;
	int		fd, result;

	if (lstat(un->sun_path, &st) == -1)
		return errno == ENOENT ? 0 : -1;
	if (!S_ISSOCK(st.st_mode)) {
		errno = EEXIST;
		return -1;
	}
	fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	result = connect(fd, (const struct sockaddr *)un, sizeof(*un));
	if (result == 0 || errno != ECONNREFUSED) {
		errno = result == 0 || errno == EAGAIN || errno == EPROTOTYPE ?
		    EADDRINUSE : errno;
		return give_up(fd);
	}
	close(fd);
	return unlink(un->sun_path);
}

/*
 * Listen on a path. Nobody can connect before listen(), so that the mode and
 * the owner hold from the first connection on.
 */
int
listen_unix(const char *path, int type, mode_t mode, uid_t uid, gid_t gid)
{
	struct sockaddr_un	un;
	int			fd, problem;

	if (unix_address(&un, path) == -1 || remove_stale(&un, type) == -1)
		return -1;
	fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (bind(fd, (struct sockaddr *)&un, sizeof(un)) == -1)
		return give_up(fd);
	if (((uid != (uid_t)-1 || gid != (gid_t)-1) &&
	    lchown(path, uid, gid) == -1) ||
	    chmod(path, mode) == -1 || listen(fd, UNIX_BACKLOG) == -1) {
		problem = errno;
		unlink(path);
		errno = problem;
		return give_up(fd);
	}
	return fd;
}
