/*
 * link.c - reaching another daemon by name.
 *
 * Connecting to a UNIX socket never waits: it works, or the listener's queue
 * is full (EAGAIN), or there is no listener yet. So a worker without a channel
 * is simply tried when somebody wants it, and after a failure not before a
 * pause is over that doubles from 10 ms to 1 s. A connection may lie in the
 * listener's queue while the daemon restarts; what was sent is then answered
 * by the next process, or the asker's deadline ends the wait.
 */
#include "common/ipc/link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/ipc/packets.h"

enum {
	FIRST_PAUSE = 10,
	LONGEST_PAUSE = 1000,
	LONG_LIFE = 1000	/* a channel that lived so long was good */
};

/* One worker of a service, and our channel to it. */
struct worker {
	struct link	*link;
	unsigned	 number;	/* from 1 */
	struct channel	*channel;	/* NULL: none, or it drains */
	int64_t		 opened;
	int64_t		 pause;
	int64_t		 not_before;
	int		 error;		/* of the last attempt */
};

struct link {
	char			 service[64];
	const struct peer	*peers;
	void			(*closed)(struct channel *, void *);
	void			*context;
	unsigned		 count;
	unsigned		 next;		/* who is looked at first */
	uint64_t		 partings;
	struct worker		 workers[];
};

static char	identity[256];
static char	directory[64];

/* Who we are and where the sockets are. */
void
link_identity(const char *service, const char *where)
{
	CLAIM(strlcpy(identity, service, sizeof(identity)) <
	    sizeof(identity));
	CLAIM(strlcpy(directory, where, sizeof(directory)) <
	    sizeof(directory));
}

/* A link that has not connected to anybody yet. */
struct link *
link_new(const char *service, unsigned workers, const struct peer *peers)
{
	struct link	*l;
	unsigned	 i;

	CLAIM(workers > 0 && workers < 10000);
	l = mem_alloc(sizeof(*l) + workers * sizeof(l->workers[0]));
	*l = (struct link){ .peers = peers, .count = workers };
	CLAIM(strlcpy(l->service, service, sizeof(l->service)) <
	    sizeof(l->service));
	for (i = 0; i < workers; i++)
		l->workers[i] = (struct worker){ .link = l, .number = i + 1 };
	return l;
}

/* Who wants to know of lost channels. */
void
link_on_closed(struct link *l, void (*closed)(struct channel *, void *),
    void *context)
{
	l->closed = closed;
	l->context = context;
}

/* Do not try this worker again for a while. */
static void
postpone(struct worker *w)
{
	w->pause = w->pause == 0 ? FIRST_PAUSE : w->pause * 2;
	if (w->pause > LONGEST_PAUSE)
		w->pause = LONGEST_PAUSE;
	w->not_before = clock_now() + w->pause;
}

/* A channel of ours is dead. One that drained was given up before. */
static void
worker_lost(struct channel *c, void *context)
{
	struct worker	*w = context;
	struct link	*l = w->link;

	if (w->channel == c) {
		w->channel = NULL;
		l->partings++;
		w->error = ECONNRESET;
		if (clock_now() - w->opened >= LONG_LIFE)
			w->pause = 0;
		postpone(w);
	}
	if (l->closed != NULL)
		l->closed(c, l->context);
}

/* A descriptor connected to DIRECTORY/NAME.N, or -1. */
static int
connect_to(const char *service, unsigned number)
{
	struct sockaddr_un	to = { .sun_family = AF_UNIX };
	int			fd, n, saved;

	n = snprintf(to.sun_path, sizeof(to.sun_path), "%s%s.%u", directory,
	    service, number);
	if (n < 0 || (size_t)n >= sizeof(to.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* Make the channel and say who we are. */
static int
worker_open(struct worker *w)
{
	struct hello	 hello = { identity, IPC_VERSION };
	struct channel	*c;
	int		 fd;

	CLAIM(identity[0] != '\0');
	if ((fd = connect_to(w->link->service, w->number)) == -1) {
		w->error = errno;
		log_debug("connect to %s%s.%u: %s", directory,
		    w->link->service, w->number, strerror(errno));
		postpone(w);
		return -1;
	}
	c = channel_new(fd, false, w->link->peers, worker_lost, w);
	channel_set_name(c, w->link->service);
	w->channel = c;
	w->opened = clock_now();
	return channel_post(c, PACKET_HELLO, 0, &hello);
}

/* One that drains is left; it closes when its process ends. */
static void
worker_leave(struct worker *w)
{
	if (w->channel == NULL || !channel_is_draining(w->channel))
		return;
	w->channel = NULL;
	w->link->partings++;
	w->pause = w->not_before = 0;
}

/* Those who drain have gone, too. */
uint64_t
link_partings(struct link *l)
{
	unsigned	i;

	for (i = 0; i < l->count; i++)
		worker_leave(&l->workers[i]);
	return l->partings;
}

/* Has the worker a channel that takes questions? Open one if it is time. */
static bool
worker_is_usable(struct worker *w)
{
	worker_leave(w);
	if (w->channel == NULL && clock_now() >= w->not_before)
		(void)worker_open(w);
	return w->channel != NULL && channel_is_open(w->channel);
}

/* The usable worker with the least load, each in turn among equals. */
static struct worker *
least_loaded(struct link *l)
{
	struct worker	*best = NULL, *w;
	unsigned	 i;

	for (i = 0; i < l->count; i++) {
		w = &l->workers[(l->next + i) % l->count];
		if (worker_is_usable(w) && (best == NULL ||
		    channel_load(w->channel) < channel_load(best->channel)))
			best = w;
	}
	l->next = (l->next + 1) % l->count;
	return best;
}

/* The worker that the hint means, if it is usable. */
static struct worker *
hinted(struct link *l, unsigned hint)
{
	struct worker	*w = &l->workers[hint % l->count];

	return worker_is_usable(w) ? w : NULL;
}

/* When it is worth looking again: the first pause that ends. */
static int64_t
next_try(const struct link *l, unsigned hint)
{
	int64_t		when = NEVER;
	unsigned	i;

	if (hint != 0)
		return l->workers[hint % l->count].not_before;
	for (i = 0; i < l->count; i++)
		if (l->workers[i].not_before < when)
			when = l->workers[i].not_before;
	return when;
}

/* What to report when the deadline is over. */
static int
last_error(const struct link *l, unsigned hint)
{
	int	error = l->workers[hint % l->count].error;

	return error == 0 || error == EAGAIN ? ETIMEDOUT : error;
}

/* Wait until the next attempt makes sense; -1 when the time is over. */
static WAITS int
pause_before_retry(const struct link *l, unsigned hint, int64_t deadline)
{
	int64_t	now = clock_now(), when = next_try(l, hint);

	if (now >= deadline) {
		errno = last_error(l, hint);
		return -1;
	}
	if (when <= now)
		when = now + 1;		/* closed, but not yet noticed */
	if (when > deadline)
		when = deadline;
	return fiber_sleep(when - now);
}

/* A channel that can be used now. */
struct channel *
link_channel(struct link *l, unsigned hint, int64_t deadline)
{
	struct worker	*w;

	for (;;) {
		w = hint != 0 ? hinted(l, hint) : least_loaded(l);
		if (w != NULL)
			return w->channel;
		if (pause_before_retry(l, hint, deadline) == -1)
			return NULL;
	}
}

/* Ask, and ask again while that is harmless and may help. */
int
link_ask(struct link *l, unsigned type, const void *object,
    unsigned reply_type, void *reply, struct pool *pool, int64_t deadline,
    bool is_repeatable)
{
	struct channel	*c;
	int		 result, saved;

	for (;;) {
		if ((c = link_channel(l, 0, deadline)) == NULL)
			return -1;
		channel_hold(c);
		result = channel_ask(c, type, object, reply_type, reply, pool,
		    deadline);
		saved = errno;
		channel_release(c);
		errno = saved;
		if (result == 0 || saved != ECONNRESET || !is_repeatable)
			return result;
		fiber_yield();		/* let the channel notice its end */
	}
}
