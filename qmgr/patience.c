/*
 * patience.c - how long to wait before the disk is tried again.
 *
 * What failed once may have been an accident: it is tried again after a
 * second. What goes on failing is a disk that is full, or has stopped, and the
 * pauses grow. When qmgr is told to end, who waits here tries some more times
 * at once, and then leaves the file as it is: what a disk does not take now is
 * not worth keeping a whole system from its end.
 */
#include "qmgr/patience.h"

#include <sys/queue.h>

#include "common/base/clock.h"

enum {
	FIRST = 1000, MOST = 60 * 1000,
	LAST_PAUSE = 100, LAST_TRIES = 10
};

/* A fiber that waits. */
struct sleeper {
	TAILQ_ENTRY(sleeper)	 next;
	struct fiber		*fiber;
	bool			 is_hurried;
};

static TAILQ_HEAD(, sleeper)	sleepers = TAILQ_HEAD_INITIALIZER(sleepers);
static bool			is_draining;

/* Twice as long. */
int64_t
patience_next(int64_t pause)
{
	return pause == 0 ? FIRST : pause < MOST / 2 ? 2 * pause : MOST;
}

/* Wait so long, or until we are about to end. */
static WAITS void
wait(int64_t pause)
{
	struct sleeper	s = { .fiber = fiber_self() };
	int64_t		deadline = clock_now() + pause;

	TAILQ_INSERT_TAIL(&sleepers, &s, next);
	while (!is_draining && !s.is_hurried && fiber_park(deadline) == 0)
		;
	TAILQ_REMOVE(&sleepers, &s, next);
}

/* Once more? */
bool
patience_wait(struct patience *p)
{
	p->pause = patience_next(p->pause);
	if (!is_draining)
		wait(p->pause);
	else if (fiber_sleep(LAST_PAUSE) == -1)
		return false;
	return !is_draining || p->last_tries++ < LAST_TRIES;
}

/* Wake all, but not for each of many who ask. */
bool
patience_hurry(void)
{
	static int64_t	next;
	struct sleeper	*s;

	if (clock_now() < next)
		return false;
	next = clock_now() + FIRST;
	TAILQ_FOREACH(s, &sleepers, next) {
		s->is_hurried = true;
		fiber_wake(s->fiber);
	}
	return true;
}

/* Wake all. */
void
patience_drain(void)
{
	struct sleeper	*s;

	is_draining = true;
	TAILQ_FOREACH(s, &sleepers, next)
		fiber_wake(s->fiber);
}
