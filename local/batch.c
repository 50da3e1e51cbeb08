/*
 * batch.c - messages that wait for the same mailbox go there together.
 *
 * Called by maildirs.c and mboxes.c on the fiber of each message. What costs
 * most of a delivery is what several can share: a wake-up of a thread, a lock,
 * a sync. So a message that finds the mailbox busy waits, and the first of
 * those that wait takes the others along.
 *
 * B1  Nobody's message is in two batches, and its fiber does not go on before
 *     the batch has ended or let it go: the thread has it until then.
 * B2  A message waits in line for five minutes at most: local waits for ten,
 *     and what is done later is delivered twice.
 */
#include "local/batch.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/mem.h"

enum {
	BYTES_MAX = 256 * 1024,		/* what is larger goes alone */
	SPARE_MAX = 8,
	TURN_TIME = 5 * 60 * 1000
};

SLIST_HEAD(batches, batch);

/* Kept, since each is large. */
static struct batches	spare = SLIST_HEAD_INITIALIZER(spare);
static unsigned		spare_count;

/* --- batches ------------------------------------------------------------- */

/* An empty one; its buffers are not cleared. */
static struct batch *
new_batch(void *mailbox)
{
	struct batch	*b = SLIST_FIRST(&spare);

	if (b != NULL) {
		SLIST_REMOVE_HEAD(&spare, next);
		spare_count--;
	} else {
		b = mem_alloc(sizeof(*b));
	}
	TAILQ_INIT(&b->all);
	b->count = 0;
	b->bytes = b->sync_time = 0;
	b->mailbox = mailbox;
	return b;
}

/* Keep it for another one. */
static void
drop(struct batch *b)
{
	if (spare_count == SPARE_MAX) {
		free(b);
		return;
	}
	SLIST_INSERT_HEAD(&spare, b, next);
	spare_count++;
}

/* Those that come along: always the first one. */
void
batch_fill(struct batch *b, struct line *l)
{
	struct storing	*s;

	while ((s = TAILQ_FIRST(&l->waiting)) != NULL && (b->count == 0 ||
	    (b->count < l->most &&
	    s->what->content_length <= BYTES_MAX - b->bytes))) {
		TAILQ_REMOVE(&l->waiting, s, next);
		TAILQ_INSERT_TAIL(&b->all, s, next);
		s->place = STORING_IS_TAKEN;
		b->count++;
		b->bytes += s->what->content_length;
	}
}

/* The message's fiber goes on (B1). */
void
batch_release(struct batch *b, struct storing *s)
{
	TAILQ_REMOVE(&b->all, s, next);
	b->count--;
	b->bytes -= s->what->content_length;
	s->place = STORING_IS_DONE;
	if (s->fiber != fiber_self())
		fiber_wake(s->fiber);
}

/* --- lines --------------------------------------------------------------- */

/* Nobody waits. */
void
line_init(struct line *l, unsigned places, unsigned most)
{
	TAILQ_INIT(&l->waiting);
	l->places = places;
	l->most = most;
	l->busy = 0;
}

/* Let who is first now look whether there is a place. */
static void
call_next(struct line *l)
{
	if (l->busy < l->places && !TAILQ_EMPTY(&l->waiting))
		fiber_wake(TAILQ_FIRST(&l->waiting)->fiber);
}

/* Take a place for oneself and all that come along. */
WAITS static void
lead(struct line *l, WAITS void (*work)(struct batch *), void *mailbox)
{
	struct batch	*b = new_batch(mailbox);
	struct storing	*s;

	l->busy++;
	batch_fill(b, l);
	call_next(l);
	work(b);
	l->busy--;
	while ((s = TAILQ_FIRST(&b->all)) != NULL)
		batch_release(b, s);
	drop(b);
	call_next(l);
}

/* Wait for news: 0, or -1 when this one gives up (B2). */
WAITS static int
wait_in_line(struct line *l, struct storing *s, int64_t deadline)
{
	if (s->place == STORING_IS_TAKEN) {
		fiber_park_firmly();
		return 0;
	}
	if (fiber_park(deadline) == 0 || s->place != STORING_WAITS)
		return 0;
	storing_failed(s, "wait for", s->what->path, errno);
	TAILQ_REMOVE(&l->waiting, s, next);
	call_next(l);
	return -1;
}

/* Stand in line, and lead when it is one's turn. Those that came in the same
 * turn of the loop stand there, too, before anybody leads. */
void
line_pass(struct line *l, struct storing *s,
    WAITS void (*work)(struct batch *), void *mailbox)
{
	int64_t	deadline = clock_now() + TURN_TIME;

	s->fiber = fiber_self();
	s->place = STORING_WAITS;
	TAILQ_INSERT_TAIL(&l->waiting, s, next);
	fiber_yield();
	while (s->place != STORING_IS_DONE)
		if (s->place == STORING_WAITS && l->busy < l->places &&
		    TAILQ_FIRST(&l->waiting) == s)
			lead(l, work, mailbox);
		else if (wait_in_line(l, s, deadline) == -1)
			return;
}
