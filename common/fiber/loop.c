/*
 * loop.c - sleep until something happens, then say whom it concerns.
 *
 * One epoll instance per process. Descriptors are registered edge-triggered
 * and once; an event sets a bit in the loop_fd and resumes the fiber that
 * waits for it. Nothing of a fiber runs while events are looked at, so a
 * descriptor removed by one of them is never met again in the same batch.
 *
 * Room to write is asked for at the first wait for it. A UNIX socket tells of
 * room whenever the other side has read something: each packet that we send
 * would wake us once more, for nothing.
 *
 * L1  An edge is never lost: a bit set since the last wait ends the next wait
 *     at once, and the caller's system call says EAGAIN again if it was old.
 * L2  Handlers of signals run on the main stack, between two fibers.
 */
#include "common/fiber/loop.h"

#include <sys/epoll.h>
#include <sys/signalfd.h>

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/fiber/inside.h"

enum {
	EVENTS_AT_ONCE = 256,	/* 3 KiB, hence not on the stack */
	WATCHERS = 4,
	IDLE_HOOKS = 4
};

/* A descriptor of our own (signals, threads) and who reads it. */
struct watcher {
	struct loop_fd	 watch;
	void		(*heard)(int fd);
	bool		 is_due;
};

static int		 epoll = -1;
static bool		 is_stopping;
static struct watcher	 watchers[WATCHERS];
static size_t		 watcher_count;
static void		(*idle_hooks[IDLE_HOOKS])(void);
static size_t		 idle_count;
static void		(*turn_ended)(void);
static void		(*signal_heard[NSIG])(int);
static sigset_t		 signals;
static int		 signal_fd = -1;

/*
 * Create the loop. Where glibc switches (switch.c) every stack has a mask of
 * signals of its own: what is blocked now is blocked on all of them, what a
 * fiber blocks later is not. SIGCHLD does nothing by itself, so that it can be
 * blocked for those who will hear it from a fiber.
 */
void
loop_open(void)
{
	sigset_t	child;

	if (epoll != -1)
		return;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &child, NULL) == -1)
		bug("cannot block SIGCHLD");
	if ((epoll = epoll_create1(EPOLL_CLOEXEC)) == -1)
		die("epoll_create1: %s", strerror(errno));
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		bug("cannot ignore SIGPIPE");
}

/* Tell epoll what it is to tell: 0, or -1 with errno. */
static int
control(struct loop_fd *watch, int operation)
{
	struct epoll_event	event = {
		.events = watch->asked |
		    (watch->is_calm ? EPOLLONESHOT : EPOLLET),
		.data.ptr = watch
	};

	return epoll_ctl(epoll, operation, watch->fd, &event);
}

/* Change what is asked for. If some of it is true now, epoll says so. */
static void
ask(struct loop_fd *watch, unsigned events)
{
	watch->asked = events;
	if (control(watch, EPOLL_CTL_MOD) == -1)
		bug("cannot watch descriptor %d: %s", watch->fd,
		    strerror(errno));
}

/* Register a descriptor for its input and its end; and for urgent data, where
 * a read of a stream stops although more is there (tcp(7)). */
static int
add(struct loop_fd *watch, int fd, bool is_calm)
{
	CLAIM(epoll != -1);
	*watch = (struct loop_fd){ .fd = fd, .is_calm = is_calm,
	    .asked = EPOLLIN | EPOLLPRI | EPOLLRDHUP };
	return control(watch, EPOLL_CTL_ADD);
}

/* Watch a descriptor. */
int
loop_add(struct loop_fd *watch, int fd)
{
	return add(watch, fd, false);
}

/* Watch one that may be noisy. */
int
loop_add_calm(struct loop_fd *watch, int fd)
{
	return add(watch, fd, true);
}

/* Forget a descriptor. The waiting fibers get EBADF: they must not touch
 * the loop_fd, which may be gone when they run. */
void
loop_remove(struct loop_fd *watch)
{
	if (watch->fd == -1)
		return;
	if (epoll_ctl(epoll, EPOLL_CTL_DEL, watch->fd, NULL) == -1)
		bug("cannot remove descriptor %d from the loop: %s", watch->fd,
		    strerror(errno));
	if (watch->reader != NULL)
		fiber_resume(watch->reader, EBADF);
	if (watch->writer != NULL && watch->writer != watch->reader)
		fiber_resume(watch->writer, EBADF);
	*watch = (struct loop_fd){ .fd = -1 };
}

/* Wait until one of the bits is set, then take it away. */
static int
wait_for(struct loop_fd *watch, unsigned bit, struct fiber **waiter,
    int64_t deadline)
{
	int	outcome = 0;

	if (watch->fd == -1) {
		errno = ECANCELED;
		return -1;
	}
	if (!(watch->ready & bit)) {
		CLAIM(*waiter == NULL);
		CLAIM(bit == EPOLLIN || !watch->is_calm);
		if (!(watch->asked & bit))
			ask(watch, watch->asked | bit);
		*waiter = fiber_self();
		outcome = fiber_suspend(deadline, FIBER_WAIT_SOFT);
		if (outcome == EBADF) {
			errno = ECANCELED;
			return -1;
		}
		*waiter = NULL;
	} else if (fiber_is_cancelled())
		outcome = ECANCELED;

	if (outcome == ECANCELED ||
	    (outcome == ETIMEDOUT && !(watch->ready & bit))) {
		errno = outcome;
		return -1;
	}
	watch->ready &= ~bit;
	return 0;
}

/* Wait for input, the end of input or an error. */
int
loop_wait_readable(struct loop_fd *watch, int64_t deadline)
{
	return wait_for(watch, EPOLLIN, &watch->reader, deadline);
}

/* Wait for room or an error. */
int
loop_wait_writable(struct loop_fd *watch, int64_t deadline)
{
	return wait_for(watch, EPOLLOUT, &watch->writer, deadline);
}

/* Is this one of our own descriptors? Then it is due. */
static bool
mark_watcher(const struct loop_fd *watch)
{
	size_t	i;

	for (i = 0; i < watcher_count; i++)
		if (watch == &watchers[i].watch)
			return watchers[i].is_due = true;
	return false;
}

/* Note one event and resume whom it concerns. */
static void
dispatch(struct loop_fd *watch, unsigned events)
{
	if (mark_watcher(watch))
		return;
	if (watch->is_calm)
		watch->asked = EPOLLRDHUP;	/* heard no more until asked */
	else if ((events & EPOLLOUT) && watch->writer == NULL)
		ask(watch, watch->asked & ~(unsigned)EPOLLOUT);
	if (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP))
		watch->is_over = true;
	if (events & EPOLLPRI)
		watch->is_urgent = true;
	if (events & (EPOLLHUP | EPOLLERR))
		events |= EPOLLIN | EPOLLOUT;
	if (events & EPOLLRDHUP)
		events |= EPOLLIN;
	watch->ready |= events & (EPOLLIN | EPOLLOUT);
	if ((events & EPOLLIN) && watch->reader != NULL)
		fiber_resume(watch->reader, 0);
	if ((events & EPOLLOUT) && watch->writer != NULL)
		fiber_resume(watch->writer, 0);
}

/* How long epoll may sleep. */
static int
timeout(void)
{
	int64_t	deadline, now;

	if (is_stopping || fiber_any_ready())
		return 0;
	if ((deadline = fiber_next_deadline()) == NEVER)
		return -1;
	if (deadline <= (now = clock_now()))
		return 0;
	return deadline - now > INT_MAX ? INT_MAX : (int)(deadline - now);
}

/* Fetch a batch of events; when each is noted, call our own readers. */
static void
poll_events(void)
{
	static struct epoll_event	events[EVENTS_AT_ONCE];
	size_t				w;
	int				i, n;

	n = epoll_wait(epoll, events, EVENTS_AT_ONCE, timeout());
	if (n == -1 && errno != EINTR)
		bug("epoll_wait: %s", strerror(errno));
	for (i = 0; i < n; i++)
		dispatch(events[i].data.ptr, events[i].events);
	for (w = 0; w < watcher_count; w++)
		if (watchers[w].is_due) {
			watchers[w].is_due = false;
			watchers[w].heard(watchers[w].watch.fd);
		}
}

/* Run fibers until told to stop or until none is left. What they log in one
 * turn travels together. */
void
loop_run(void)
{
	size_t	i;

	CLAIM(epoll != -1 && fiber_self() == NULL);
	log_gather(true);
	while (!is_stopping && fiber_count() > 0) {
		fiber_run_ready();
		for (i = 0; i < idle_count && !fiber_any_ready(); i++)
			idle_hooks[i]();
		if (turn_ended != NULL)
			turn_ended();
		log_flush();
		if (fiber_count() > 0)
			poll_events();
		fiber_expire(clock_now());
	}
	log_gather(false);
	is_stopping = false;
}

/* Make loop_run() return; if it does not run now, the next time at once. */
void
loop_stop(void)
{
	is_stopping = true;
}

/* Watch a descriptor that belongs to this directory. */
void
loop_on_readable(int fd, void (*heard)(int fd))
{
	struct watcher	*watcher;

	CLAIM(watcher_count < WATCHERS);
	watcher = &watchers[watcher_count++];
	watcher->heard = heard;
	if (loop_add(&watcher->watch, fd) == -1)
		die("cannot watch a descriptor: %s", strerror(errno));
}

/* Read the signals that came and call their handlers. */
static void
read_signals(int fd)
{
	struct signalfd_siginfo	info;

	while (read(fd, &info, sizeof info) == (ssize_t)sizeof info)
		if (signal_heard[info.ssi_signo] != NULL)
			signal_heard[info.ssi_signo]((int)info.ssi_signo);
}

/* Block a signal and hear it through the loop. */
void
loop_on_signal(int number, void (*heard)(int))
{
	bool	is_first = signal_fd == -1;

	CLAIM(number > 0 && number < NSIG);
	CLAIM(fiber_self() == NULL || number == SIGCHLD);
	signal_heard[number] = heard;
	if (is_first)
		sigemptyset(&signals);
	sigaddset(&signals, number);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) == -1)
		bug("cannot block signals: %s", strerror(errno));
	signal_fd = signalfd(signal_fd, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
	if (signal_fd == -1)
		die("signalfd: %s", strerror(errno));
	if (is_first)
		loop_on_readable(signal_fd, read_signals);
}

/* Add somebody to call before sleeping. */
void
loop_on_idle(void (*idle)(void))
{
	CLAIM(idle_count < IDLE_HOOKS);
	idle_hooks[idle_count++] = idle;
}

/* Call somebody after each turn. */
void
loop_on_turn(void (*ended)(void))
{
	CLAIM(turn_ended == NULL || turn_ended == ended);
	turn_ended = ended;
}
