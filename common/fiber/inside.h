#ifndef FIBER_INSIDE_H
#define FIBER_INSIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

#include "common/fiber/fiber.h"

/*
 * What the files of this directory tell each other; nobody else includes it.
 *
 * A suspended fiber waits for one thing, and whoever brings that thing calls
 * fiber_resume(). fiber_wake() is not that: a wake that arrives while the
 * fiber waits for a descriptor or a place is kept for its next park.
 */

/* Can this wait be cancelled? */
enum fiber_wait { FIBER_WAIT_SOFT, FIBER_WAIT_FIRM };

/*
 * Sleep until resumed: the outcome given to fiber_resume(), or ETIMEDOUT or
 * ECANCELED. The caller must look at its own condition as well: the thing
 * may have come after the time was up and before the fiber ran.
 */
WAITS int	 fiber_suspend(int64_t deadline, enum fiber_wait);

/* Make a suspended fiber runnable; one that is so already gets the outcome. */
void		 fiber_resume(struct fiber *, int outcome);

/* For the loop: is somebody runnable, run each of them once, make those
 * runnable whose time is up, when is the next of them. */
bool		 fiber_any_ready(void);
void		 fiber_run_ready(void);
void		 fiber_expire(int64_t now);
int64_t		 fiber_next_deadline(void);

/* Call heard(fd) on the loop whenever this descriptor becomes readable. */
void		 loop_on_readable(int fd, void (*heard)(int fd));

/* A piece of memory to run on; `low` is its lowest byte above the guard, its
 * end is aligned as the machine wants stacks to be. */
struct stack {
	char		*low;
	size_t		 size;
	unsigned	 valgrind_id;
};

void		 stack_take(struct stack *);
void		 stack_give(struct stack *);
/* The greatest use of this stack so far; 0 when stacks are not painted. */
size_t		 stack_depth(const struct stack *);

/* Where a stack stopped: its registers lie at `registers` or, in glibc's way,
 * in the record that `libc` points to. fibers.py reads both. */
struct context {
	void		*registers;
	ucontext_t	*libc;
};

/* Prepare a stack for run(), which must not return. */
void		 context_make(struct context *, const struct stack *,
		    void (*run)(void));
/* Go on where `to` stopped, until somebody goes on where we stop now. */
void		 context_switch(struct context *from, const struct context *to);

#endif
