/*
 * tarpit.c - thousands of servers that never get anything done, for tests of
 * what their mail does to other mail.
 *
 *	tarpit
 *
 * Listens at one port of all addresses, tells its number on standard output,
 * and lives until standard input ends. Every connection is accepted. At an
 * address whose last number is even nothing is ever said; at an odd one the
 * greeting comes, one byte in ten seconds.
 */
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 60000, EVENTS = 64, PAUSE = 10, BACKLOG = 4096 };

static const char	greeting[] = "220-wait.test ESMTP and wait and wait and "
			    "wait and wait and wait and wait and wait\r\n";

/* By descriptor: how much of the greeting has been said. */
static struct {
	bool	is_open, is_talking;
	size_t	said;
} clients[MOST];
static int	poller;

/* As many descriptors as there may be. */
static void
raise_limit(void)
{
	struct rlimit	limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		err(1, "getrlimit");
	if (limit.rlim_max > MOST)
		limit.rlim_max = MOST;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
		err(1, "setrlimit");
}

/* Hear of what can be read there. */
static void
watch(int fd)
{
	struct epoll_event	event = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) == -1)
		err(1, "epoll_ctl");
}

/* Listen; the descriptor. The port is told. */
static int
open_port(void)
{
	struct sockaddr_in	at = { .sin_family = AF_INET };
	socklen_t		len = sizeof(at);
	int			fd;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1 || bind(fd, (struct sockaddr *)&at, len) == -1 ||
	    listen(fd, BACKLOG) == -1 ||
	    getsockname(fd, (struct sockaddr *)&at, &len) == -1)
		err(1, "listen");
	printf("%d\n", ntohs(at.sin_port));
	fflush(stdout);
	return fd;
}

/* Take who is there. */
static void
take_all(int port)
{
	struct sockaddr_in	at;
	socklen_t		len;
	int			fd;

	while ((fd = accept4(port, NULL, NULL, SOCK_NONBLOCK)) != -1) {
		len = sizeof(at);
		if (fd >= MOST || getsockname(fd, (struct sockaddr *)&at,
		    &len) == -1) {
			close(fd);
			continue;
		}
		clients[fd].is_open = true;
		clients[fd].is_talking = ntohl(at.sin_addr.s_addr) & 1;
		clients[fd].said = 0;
		watch(fd);
	}
}

/* Read what it says, or see that it has gone. */
static void
hear(int fd)
{
	char	line[512];
	ssize_t	n;

	while ((n = read(fd, line, sizeof(line))) > 0)
		;
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	clients[fd].is_open = false;
	close(fd);
}

/* One more byte for everybody. */
static void
talk(void)
{
	int	fd;

	for (fd = 0; fd < MOST; fd++)
		if (clients[fd].is_open && clients[fd].is_talking) {
			(void)!write(fd, greeting + clients[fd].said, 1);
			clients[fd].said = (clients[fd].said + 1) %
			    (sizeof(greeting) - 1);
		}
}

int
main(void)
{
	struct epoll_event	events[EVENTS];
	time_t			said = time(NULL);
	int			port, i, n;

	raise_limit();
	if ((poller = epoll_create1(EPOLL_CLOEXEC)) == -1)
		err(1, "epoll_create1");
	port = open_port();
	watch(port);
	watch(STDIN_FILENO);
	for (;;) {
		n = epoll_wait(poller, events, EVENTS, 1000);
		for (i = 0; i < n; i++) {
			if (events[i].data.fd == STDIN_FILENO)
				return 0;
			if (events[i].data.fd == port)
				take_all(port);
			else
				hear(events[i].data.fd);
		}
		if (time(NULL) - said >= PAUSE) {
			said = time(NULL);
			talk();
		}
	}
}
