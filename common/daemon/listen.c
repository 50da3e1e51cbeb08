/*
 * listen.c - connections: one accepting fiber per listener.
 *
 * A connection becomes a channel (unix, packets) or a fiber that runs the
 * daemon's session (inet). Running out of descriptors is no reason to die or
 * to spin: the listener rests a little, and who knocks waits in the kernel.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/daemon/inside.h"
#include "common/fiber/loop.h"
#include "common/fiber/queue.h"

enum {
	REST = 100,		/* milliseconds, when resources are short */
	WARN_EVERY = 10000
};

struct listener {
	struct loop_fd	 watch;
	int		 fd;		/* -1: closed */
	bool		 is_unix;
};

static struct listener		 listeners[HANDOVER_LISTENERS_MAX];
static size_t			 count;
static const struct daemon	*daemon_of;
static bool			 is_paused;
static struct fiber_queue	 resumed;
static unsigned			 sessions;

/* A session's fiber: its number in the log, then the daemon's own code. */
static void
run_session(void *arg)
{
	int	fd = (int)(intptr_t)arg;

	fiber_name("session");
	log_number = daemon_session_number();
	daemon_of->session(fd);
	sessions--;
}

/* Hand an accepted descriptor on. */
static void
take(const struct listener *l, int fd)
{
	if (daemon_of->peers != NULL &&
	    (l->is_unix || daemon_of->session == NULL)) {
		(void)channel_new(fd, true, daemon_of->peers,
		    daemon_of->closed, NULL);
	} else if (daemon_of->session != NULL) {
		sessions++;
		fiber_start(run_session, (void *)(intptr_t)fd);
	} else {
		close(fd);
	}
}

/* Rest after a failure that is ours, with a line now and then. */
static WAITS void
rest(int error)
{
	static int64_t	next_warning;

	if (clock_now() >= next_warning) {
		log_warning("cannot accept connections now: %s",
		    strerror(error));
		next_warning = clock_now() + WARN_EVERY;
	}
	(void)fiber_sleep(REST);
}

/* One attempt, and what its failure asks for. */
static WAITS void
accept_one(struct listener *l)
{
	int	fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd != -1) {
		take(l, fd);
		fiber_breathe();
		return;
	}
	switch (errno) {
	case EAGAIN:
		(void)loop_wait_readable(&l->watch, NEVER);
		break;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		rest(errno);
		break;
	case EBADF:
	case EINVAL:
	case ENOTSOCK:
	case EOPNOTSUPP:
		die("listener %d: %s", l->fd, strerror(errno));
	default:
		/* EINTR, and the errors of a client who left (accept(2)) */
		fiber_breathe();
		break;
	}
}

/* The life of an accepting fiber. */
static void
accept_all(void *arg)
{
	struct listener	*l = arg;

	fiber_name("listener");
	while (l->fd != -1) {
		if (is_paused)
			(void)fiber_queue_wait(&resumed, NEVER);
		else
			accept_one(l);
	}
}

/* Begin to accept on every inherited listener. */
void
listen_start(const struct daemon *d, const struct options *o)
{
	struct listener	*l;

	daemon_of = d;
	fiber_queue_init(&resumed);
	if (d->session == NULL && d->peers == NULL)
		return;
	for (count = 0; count < o->listeners; count++) {
		l = &listeners[count];
		l->fd = HANDOVER_LISTENERS + (int)count;
		l->is_unix = o->is_unix[count];
		if (fs_set_nonblocking(l->fd, true) == -1 ||
		    loop_add(&l->watch, l->fd) == -1)
			die("listener %d: %s", l->fd, strerror(errno));
		fiber_start(accept_all, l);
	}
}

/* Accept nothing more. Others hold the same listeners. */
void
listen_stop(void)
{
	size_t	i;

	for (i = 0; i < count; i++) {
		if (listeners[i].fd == -1)
			continue;
		loop_remove(&listeners[i].watch);
		close(listeners[i].fd);
		listeners[i].fd = -1;
	}
	if (count > 0)
		daemon_resume_listening();
}

/* Sessions that run now. */
unsigned
listen_sessions(void)
{
	return sessions;
}

/* Leave new connections to the kernel, or to other workers. */
void
daemon_pause_listening(void)
{
	is_paused = true;
}

/* Accept again. */
void
daemon_resume_listening(void)
{
	is_paused = false;
	if (daemon_of != NULL)
		fiber_queue_wake_all(&resumed);
}
