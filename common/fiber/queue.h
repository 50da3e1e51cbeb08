#ifndef FIBER_QUEUE_H
#define FIBER_QUEUE_H

#include <sys/queue.h>

#include "common/fiber/fiber.h"

/*
 * First come, first served: fibers that wait for a place (semaphore) or for
 * news (wait queue).
 */
struct waiter;
TAILQ_HEAD(waiters, waiter);

struct fiber_queue {
	struct waiters	 waiters;
};

void		 fiber_queue_init(struct fiber_queue *);
/* Wait to be woken through this queue. -1: ETIMEDOUT, ECANCELED. */
WAITS int	 fiber_queue_wait(struct fiber_queue *, int64_t deadline);
void		 fiber_queue_wake_one(struct fiber_queue *);
void		 fiber_queue_wake_all(struct fiber_queue *);

struct semaphore {
	long			 free;
	struct fiber_queue	 queue;
};

void		 semaphore_init(struct semaphore *, long places);
WAITS int	 semaphore_take(struct semaphore *, int64_t deadline);
void		 semaphore_give(struct semaphore *);

#endif
