/*
 * queue.c - fibers that stand in line, for news or for a place.
 *
 * The waiter stands on its fiber's own stack. Whoever wakes it takes it out
 * of the line and marks it, so a wake that meets a timeout still counts, and
 * a place that was handed over is never dropped between the two.
 */
#include "common/fiber/queue.h"

#include <errno.h>
#include <stdbool.h>

#include "common/fiber/inside.h"

struct waiter {
	struct fiber		*fiber;
	bool			 is_woken;
	TAILQ_ENTRY(waiter)	 next;
};

/* An empty line. */
void
fiber_queue_init(struct fiber_queue *queue)
{
	TAILQ_INIT(&queue->waiters);
}

/* Stand in line until woken. */
int
fiber_queue_wait(struct fiber_queue *queue, int64_t deadline)
{
	struct waiter	waiter = { .fiber = fiber_self() };
	int		outcome;

	TAILQ_INSERT_TAIL(&queue->waiters, &waiter, next);
	outcome = fiber_suspend(deadline, FIBER_WAIT_SOFT);
	if (waiter.is_woken)
		return 0;
	TAILQ_REMOVE(&queue->waiters, &waiter, next);
	errno = outcome;
	return -1;
}

/* Wake who waits longest, if anybody does. */
void
fiber_queue_wake_one(struct fiber_queue *queue)
{
	struct waiter	*first = TAILQ_FIRST(&queue->waiters);

	if (first == NULL)
		return;
	TAILQ_REMOVE(&queue->waiters, first, next);
	first->is_woken = true;
	fiber_resume(first->fiber, 0);
}

/* Wake everybody. */
void
fiber_queue_wake_all(struct fiber_queue *queue)
{
	while (!TAILQ_EMPTY(&queue->waiters))
		fiber_queue_wake_one(queue);
}

/* A semaphore with so many free places. */
void
semaphore_init(struct semaphore *semaphore, long places)
{
	semaphore->free = places;
	fiber_queue_init(&semaphore->queue);
}

/* Take a place, in the order of asking. */
int
semaphore_take(struct semaphore *semaphore, int64_t deadline)
{
	if (semaphore->free > 0) {
		semaphore->free--;
		return 0;
	}
	return fiber_queue_wait(&semaphore->queue, deadline);
}

/* Hand the place to the first in line, or put it back. */
void
semaphore_give(struct semaphore *semaphore)
{
	if (TAILQ_EMPTY(&semaphore->queue.waiters))
		semaphore->free++;
	else
		fiber_queue_wake_one(&semaphore->queue);
}
