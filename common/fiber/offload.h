#ifndef FIBER_OFFLOAD_H
#define FIBER_OFFLOAD_H

#include "common/fiber/fiber.h"

/*
 * A few threads for the calls that would stop everyone: syncs, users, files
 * of others. The work must not touch fibers, pools or the log; it gets its
 * arguments and returns a number. A wait for a thread cannot be cancelled or
 * timed out: the thread owns the arguments until it is done.
 */

/* Threads to use, 1 to 64; call before the first offload(). Default 8.
 * They start at the first use, with all signals blocked. */
void		 offload_threads(int);

/* Start the threads now (before a sandbox that forbids clone). */
void		 offload_prepare(void);

/* End the threads when their work is done: tests, orderly exits. */
void		 offload_finish(void);

/* Run work(arg) on a thread; its result, with its errno when negative. */
WAITS int	 offload(int (*work)(void *), void *arg);

/*
 * The same for work that may hang (files of others), on memory that outlives
 * the caller: OFFLOAD_LEFT with ETIMEDOUT or ECANCELED when it has not come
 * back; then, and only then, release(arg) is called when it does, on the
 * loop. The thread is busy until then: bound how many there can be. With a
 * deadline of 0 nobody waits, and release() is called in any case. The work
 * itself returns no less than -1.
 */
enum { OFFLOAD_LEFT = -2 };
WAITS int	 offload_until(int (*work)(void *), void *arg,
		    void (*release)(void *), int64_t deadline);

/* fsync(2) of a descriptor on a thread. */
WAITS int	 offload_sync(int fd);

#endif
