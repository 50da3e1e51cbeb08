/*
 * instance.h - a daemon in a child of the test, the test playing its master.
 */
#ifndef T_DAEMON_INSTANCE_H
#define T_DAEMON_INSTANCE_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include "common/daemon/daemon.h"
#include "common/daemon/handover.h"
#include "common/fiber/loop.h"
#include "common/ipc/packet.h"
#include "common/ipc/packets.h"
#include "t/common/daemon/child.h"

struct instance {
	char			 directory[64];	/* with main.cf and queue/ */
	int			 master;	/* our end of descriptor 3 */
	struct sockaddr_in	 inet;		/* of listener 5 */
	pid_t			 pid;
	struct pool		*pool;
};

/* Directories and a main.cf with one more line. */
static inline void
instance_make(struct instance *i, const char *line)
{
	static const char *const	 names[] = { "queue", "queue/private",
					    "queue/public", "queue/incoming",
					    "queue/maildrop" };
	char				 path[128];
	FILE				*file;
	size_t				 n;

	*i = (struct instance){ .master = -1, .pool = pool_new("test", 0) };
	strlcpy(i->directory, "/tmp/postrider-daemon-XXXXXX",
	    sizeof(i->directory));
	assert_non_null(mkdtemp(i->directory));
	assert_int_equal(chmod(i->directory, 0755), 0);
	for (n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
		snprintf(path, sizeof(path), "%s/%s", i->directory, names[n]);
		assert_int_equal(mkdir(path, 0755), 0);
	}
	snprintf(path, sizeof(path), "%s/main.cf", i->directory);
	assert_non_null(file = fopen(path, "w"));
	fprintf(file, "queue_directory = %s/queue\n%s\n", i->directory, line);
	fclose(file);
}

/* Remove it again. */
static inline void
instance_end(struct instance *i)
{
	static const char *const	 names[] = { "main.cf",
					    "queue/private/tester.1",
					    "queue/private", "queue/public",
					    "queue/incoming", "queue/maildrop",
					    "queue", "" };
	char				 path[128];
	size_t				 n;

	for (n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
		snprintf(path, sizeof(path), "%s/%s", i->directory, names[n]);
		(void)remove(path);
	}
	if (i->master != -1)
		close(i->master);
	pool_free(i->pool);
}

/* An inet listener, and a unix one at private/tester.1. */
static inline void
instance_listen(struct instance *i, int fds[2])
{
	struct sockaddr_un	at = { .sun_family = AF_UNIX };
	socklen_t		len = sizeof(i->inet);

	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	i->inet = (struct sockaddr_in){ .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	assert_int_equal(bind(fds[0], (struct sockaddr *)&i->inet, len), 0);
	assert_int_equal(listen(fds[0], 16), 0);
	getsockname(fds[0], (struct sockaddr *)&i->inet, &len);
	fds[1] = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	snprintf(at.sun_path, sizeof(at.sun_path),
	    "%s/queue/private/tester.1", i->directory);
	assert_int_equal(bind(fds[1], (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(chmod(at.sun_path, 0666), 0);
	assert_int_equal(listen(fds[1], 16), 0);
}

/* In the child: descriptors to their places, then be the daemon. */
_Noreturn static inline void
instance_run(struct instance *i, const struct daemon *d, int to_master,
    const int listeners[2], const char *extra)
{
	char	*argv[16] = { (char *)(uintptr_t)d->name, "-c", i->directory,
		    "-n", "tester", "-w", "2", "-p", "3", "-m", "10",
		    "-l", "inet", "-l", "unix", NULL };
	char	*with_extra[18];
	int	 argc = 15;

	memcpy(with_extra, argv, sizeof(argv));
	if (extra != NULL) {
		with_extra[argc++] = "-o";
		with_extra[argc++] = (char *)(uintptr_t)extra;
		with_extra[argc] = NULL;
	}
	/* above the places first, so that none is overwritten too early */
	to_master = fcntl(to_master, F_DUPFD, 20);
	dup2(fcntl(listeners[0], F_DUPFD, 20), HANDOVER_LISTENERS);
	dup2(fcntl(listeners[1], F_DUPFD, 20), HANDOVER_LISTENERS + 1);
	dup2(to_master, HANDOVER_MASTER);
	close(HANDOVER_LOG);
	closefrom(HANDOVER_LISTENERS + 2);
	dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
	_exit(daemon_run(argc, with_extra, d));
}

/* Start the daemon, as nobody unless `as_root`. */
static inline void
instance_start(struct instance *i, const struct daemon *d, bool as_root,
    const char *extra)
{
	struct timeval	patience = { 20, 0 };
	int		ends[2], listeners[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	instance_listen(i, listeners);
	fflush(NULL);
	if ((i->pid = fork()) == 0) {
		if (!as_root && geteuid() == 0 &&
		    (setgid(65534) == -1 || setuid(65534) == -1))
			_exit(99);
		instance_run(i, d, ends[1], listeners, extra);
	}
	assert_true(i->pid > 0);
	close(ends[1]);
	close(listeners[0]);
	close(listeners[1]);
	i->master = ends[0];
	setsockopt(i->master, SOL_SOCKET, SO_RCVTIMEO, &patience,
	    sizeof(patience));
}

/* The next packet on a socket that blocks: its type, 0 at the end, -1. */
static inline int
hear(struct instance *i, int fd, void *object)
{
	static char	buffer[PACKET_MAX];
	struct packet	p;
	ssize_t		n = recv(fd, buffer, sizeof(buffer), 0);

	if (n <= 0)
		return (int)n;
	if (packet_parse(&p, buffer, (size_t)n) != NULL)
		return -1;
	if (object != NULL && packet_decode(&p, object, i->pool) != NULL)
		return -1;
	return p.type;
}

static inline void
say(struct instance *i, int fd, unsigned type, const void *object)
{
	struct str	s;
	int		fds[PACKET_FDS];
	size_t		nfds;

	str_init(&s, i->pool, PACKET_MAX);
	assert_null(packet_encode(type, 0, 1, object, &s, fds, &nfds));
	assert_int_equal(packet_send(fd, s.data, s.len, fds, nfds), 0);
}

/* A client of the inet listener. */
static inline int
connect_inet(struct instance *i)
{
	struct timeval	patience = { 20, 0 };
	int		fd = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(fd, (struct sockaddr *)&i->inet,
	    sizeof(i->inet)), 0);
	return fd;
}

/* A client of the unix one, who says HELLO. */
static inline int
connect_unix(struct instance *i)
{
	struct sockaddr_un	at = { .sun_family = AF_UNIX };
	struct timeval		patience = { 20, 0 };
	struct hello		hello = { "tester", IPC_VERSION };
	int			fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	snprintf(at.sun_path, sizeof(at.sun_path),
	    "%s/queue/private/tester.1", i->directory);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	say(i, fd, PACKET_HELLO, &hello);
	return fd;
}

/* Everything that the other side says until it closes. */
static inline void
read_all(int fd, char *to, size_t size)
{
	size_t	len = 0;
	ssize_t	n;

	while (len < size - 1 &&
	    (n = recv(fd, to + len, size - 1 - len, 0)) > 0)
		len += (size_t)n;
	to[len] = '\0';
}

/* Wait for the end: exit status, or 1000 + signal. */
static inline int
instance_status(struct instance *i)
{
	int	status;

	while (waitpid(i->pid, &status, 0) == -1)
		assert_int_equal(errno, EINTR);
	return WIFEXITED(status) ? WEXITSTATUS(status) :
	    1000 + WTERMSIG(status);
}

#endif
