#ifndef FIBER_FIBER_H
#define FIBER_FIBER_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/clock.h"

/*
 * A fiber is a session's private stack. A wait is a function call, marked
 * WAITS; between two waits a fiber is alone in the process.
 *
 * Stacks are 64 KiB above a guard page. errno survives a wait. A cancelled
 * fiber's next wait, and every one after it, fails with ECANCELED, and it
 * leaves by its normal error path.
 */
#define WAITS

struct fiber;

/*
 * Start run(arg) soon, on a stack of its own. Never fails: no memory dies.
 * The fiber may be woken and cancelled until run() returns; then it is gone.
 * It keeps its starter's number in the log until it sets log_number.
 */
struct fiber	*fiber_start(void (*run)(void *), void *arg);

/* The running fiber; NULL on the main stack. */
struct fiber	*fiber_self(void);

/* A word for the debugger and the log; kept as a pointer, not copied. */
void		 fiber_name(const char *);

/*
 * Wait until somebody wakes us: 0, or -1 with ETIMEDOUT or ECANCELED. A wake
 * that came since the last park counts, so none is lost.
 */
WAITS int	 fiber_park(int64_t deadline);
/* The same, and no cancel ends it: for who has given something of his away
 * until he is woken. */
WAITS void	 fiber_park_firmly(void);
void		 fiber_wake(struct fiber *);

/* 0, or -1 with ECANCELED. A wake that comes meanwhile counts for the next
 * park. */
WAITS int	 fiber_sleep(int64_t milliseconds);

/* Let the others run: after 64 calls without a wait, and in long loops. */
WAITS void	 fiber_yield(void);

/* Count a call that got what it wanted without a wait; the 64th in a row
 * yields. For everything that reads in a loop: io.c, channels. */
WAITS void	 fiber_breathe(void);

/* The fiber's waits fail from now on. It is up to it to end. */
void		 fiber_cancel(struct fiber *);
int		 fiber_is_cancelled(void);

/* Living fibers, and the greatest use of any stack so far in bytes (when
 * painting is on: environment POSTRIDER_PAINT_STACKS). */
size_t		 fiber_count(void);
size_t		 fiber_deepest(void);

#endif
