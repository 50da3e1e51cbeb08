/*
 * net.c - what the rogue tries with sockets.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/daemon/handover.h"
#include "t/daemon/rogue.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP	262
#endif

/* --- inside: UNIX sockets ------------------------------------------------- */

/* Connect to a path; the descriptors' turn comes once. */
static int
op_connect(int at, const char *path)
{
	struct sockaddr_un	to = { .sun_family = AF_UNIX };
	int			fd, result;

	if (at != AT_FDCWD) {
		errno = EBADF;
		return -1;
	}
	if (strlcpy(to.sun_path, path, sizeof(to.sun_path)) >=
	    sizeof(to.sun_path)) {
		errno = ENOENT;
		return -1;
	}
	if ((fd = socket(AF_UNIX, SOCK_SEQPACKET, 0)) == -1)
		return -1;
	result = connect(fd, (struct sockaddr *)&to, sizeof(to));
	close(fd);
	return result;
}

/* Another daemon's socket. */
static int
try_service(const char *with)
{
	return at_every_path(op_connect, with);
}

/* A name that needs no file. */
static int
try_abstract(const char *with)
{
	struct sockaddr_un	to = { .sun_family = AF_UNIX };
	size_t			len = strlen(facts.abstract);
	int			fd;

	(void)with;
	memcpy(to.sun_path + 1, facts.abstract, len);
	if ((fd = socket(AF_UNIX, SOCK_SEQPACKET, 0)) == -1)
		return -1;
	return connect(fd, (struct sockaddr *)&to,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len));
}

/* Serve under a name, to be taken for somebody else. */
static int
try_serve(const char *with)
{
	static struct sockaddr_un	at = { .sun_family = AF_UNIX };
	const struct role		*role = my_role();
	int				 fd;

	(void)with;
	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/rogue-socket",
	    role != NULL && role->writes[0] != NULL ? role->writes[0] : ".");
	if ((fd = socket(AF_UNIX, SOCK_SEQPACKET, 0)) == -1)
		return -1;
	return bind(fd, (struct sockaddr *)&at, sizeof(at));
}

/* --- outside -------------------------------------------------------------- */

/* A place on this host. */
static struct sockaddr_in
loopback(int port)
{
	struct sockaddr_in	a = { .sin_family = AF_INET };

	a.sin_port = htons((uint16_t)port);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return a;
}

/* Connect, and wait a little if this socket does not. */
static int
call(int fd, int port)
{
	struct sockaddr_in	to = loopback(port);
	struct pollfd		wait = { .fd = fd, .events = POLLOUT };
	socklen_t		len = sizeof(errno);
	int			error = 0;

	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return -1;
	if (poll(&wait, 1, 5000) != 1 ||
	    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		return -1;
	errno = error;
	return error == 0 ? 0 : -1;
}

/* Call out. */
static int
try_tcp(const char *with)
{
	int	fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)with;
	return fd == -1 ? -1 : call(fd, facts.tcp);
}

/* The same by its relative, which other filters may not know. */
static int
try_mptcp(const char *with)
{
	int	fd = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);

	(void)with;
	return fd == -1 ? -1 : call(fd, facts.tcp);
}

/* No socket may be made, but there are some: hang up on the client who is
 * connected, or close the port, and use its socket for a call. */
static int
try_reuse(const char *with)
{
	struct sockaddr	nobody = { .sa_family = AF_UNSPEC };
	int		fd, protocol = 0;
	socklen_t	len = sizeof(protocol);

	(void)with;
	if (getsockopt(HANDOVER_LISTENERS, SOL_SOCKET, SO_PROTOCOL, &protocol,
	    &len) == -1 || protocol != IPPROTO_TCP)
		return NOTHING_TO_TRY;
	if ((fd = accept4(HANDOVER_LISTENERS, NULL, NULL, 0)) != -1 &&
	    connect(fd, &nobody, sizeof(nobody)) == 0 &&
	    call(fd, facts.tcp) == 0)
		return 0;
	if (shutdown(HANDOVER_LISTENERS, SHUT_RDWR) == -1)
		return -1;
	return call(HANDOVER_LISTENERS, facts.tcp);
}

/* One datagram. */
static int
try_udp(const char *with)
{
	struct sockaddr_in	to = loopback(facts.udp);
	int			fd = socket(AF_INET, SOCK_DGRAM, 0);

	(void)with;
	if (fd == -1)
		return -1;
	return sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) == 1 ?
	    0 : -1;
}

/* A port of one's own. */
static int
take_port(int port, int wants_calls)
{
	struct sockaddr_in	at = loopback(port);
	int			fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd == -1)
		return -1;
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) == -1)
		return -1;
	return wants_calls ? listen(fd, 1) : 0;
}

static int
try_low_port(const char *with)
{
	(void)with;
	return take_port(facts.low, 0);
}

static int
try_high_port(const char *with)
{
	(void)with;
	return take_port(facts.high, 0);
}

static int
try_listen(const char *with)
{
	(void)with;
	return take_port(0, 1);
}

/* Sockets of other kinds. */
static int
open_socket(int family, int type, int protocol)
{
	return socket(family, type, protocol) == -1 ? -1 : 0;
}

static int
try_raw(const char *with)
{
	(void)with;
	return open_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

static int
try_packet(const char *with)
{
	(void)with;
	return open_socket(AF_PACKET, SOCK_RAW, 0);
}

static int
try_netlink(const char *with)
{
	(void)with;
	return open_socket(AF_NETLINK, SOCK_RAW, 0);
}

static int
try_vsock(const char *with)
{
	(void)with;
	return open_socket(AF_VSOCK, SOCK_STREAM, 0);
}

#define PRIVATE(name)	{ "connect " name, try_service, "private/" name ".1" }

const struct attempt	net_attempts[] = {
	PRIVATE("anvil"),
	PRIVATE("cleanup"),
	PRIVATE("resolve"),
	PRIVATE("dns"),
	PRIVATE("qmgr"),
	PRIVATE("bounce"),
	PRIVATE("pickup"),
	PRIVATE("smtp"),
	PRIVATE("local"),
	PRIVATE("error"),
	PRIVATE("helper"),
	PRIVATE("keys"),
	PRIVATE("auth"),
	PRIVATE("token"),
	{ "connect control",	try_service,	"private/control" },
	{ "connect public qmgr", try_service,	"public/qmgr" },
	{ "connect public pickup", try_service,	"public/pickup" },
	{ "abstract socket",	try_abstract,	NULL },
	{ "serve a socket",	try_serve,	NULL },
	{ "tcp",		try_tcp,	NULL },
	{ "mptcp",		try_mptcp,	NULL },
	{ "tcp by reuse",	try_reuse,	NULL },
	{ "udp",		try_udp,	NULL },
	{ "bind low port",	try_low_port,	NULL },
	{ "bind high port",	try_high_port,	NULL },
	{ "listen",		try_listen,	NULL },
	{ "raw socket",		try_raw,	NULL },
	{ "packet socket",	try_packet,	NULL },
	{ "netlink",		try_netlink,	NULL },
	{ "vsock",		try_vsock,	NULL },
	{ NULL, NULL, NULL }
};
