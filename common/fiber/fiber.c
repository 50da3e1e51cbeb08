/*
 * fiber.c - many stacks, one thread: start, wait, wake, end.
 *
 * A fiber runs until it waits; then the loop, on the main stack, runs the
 * next one that is ready, first come, first served. This file owns the living
 * fibers, the ready queue and the timers; loop.c brings the events.
 *
 * F1  A wake is never lost: it ends the park or is kept for the next one.
 * F2  A timeout, a cancel and an event may meet; the fiber runs once, and
 *     looks at its own condition before it believes the outcome.
 * F3  errno and the number in the log's brackets belong to the fiber.
 */
#include "common/fiber/fiber.h"

#include <sys/queue.h>
#include <sys/tree.h>

#include <errno.h>
#include <stdlib.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/fiber/inside.h"
#include "common/fiber/tools.h"

enum { CALLS_BEFORE_YIELD = 64 };

enum fiber_state { FIBER_READY, FIBER_RUNNING, FIBER_WAITING, FIBER_ENDED };

/* fibers.py reads name, state, context and deadline. */
struct fiber {
	struct context		 context;
	struct stack		 stack;
	void			*asan_stack;

	void			(*run)(void *);
	void			*arg;
	const char		*name;
	uint64_t		 serial;

	enum fiber_state	 state;
	enum fiber_wait		 wait;		/* while waiting */
	int			 outcome;	/* of the wait */
	bool			 is_cancelled;
	bool			 is_parked;
	bool			 is_firm;	/* and nothing else ends it */
	bool			 is_woken;	/* since the last park */
	unsigned		 calls;		/* since the last wait */

	int64_t			 deadline;	/* NEVER: not in the tree */
	RB_ENTRY(fiber)		 timer;
	TAILQ_ENTRY(fiber)	 ready;
	LIST_ENTRY(fiber)	 living;

	int			 saved_errno;
	uint64_t		 saved_log_number;
};

TAILQ_HEAD(ready_queue, fiber);
LIST_HEAD(fiber_list, fiber);
RB_HEAD(fiber_timers, fiber);
RB_PROTOTYPE(fiber_timers, fiber, timer, )

static struct ready_queue	 ready = TAILQ_HEAD_INITIALIZER(ready);
static struct fiber_list	 living_fibers =
				    LIST_HEAD_INITIALIZER(living_fibers);
static struct fiber_timers	 timers = RB_INITIALIZER(timers);
static size_t			 living_count;
static size_t			 deepest;
static struct fiber		*running;

static struct context		 main_context;
static void			*main_asan_stack;
static const void		*main_low;
static size_t			 main_size;

/* The order of the timers: by time, then by age. */
static int
compare_timers(const struct fiber *a, const struct fiber *b)
{
	if (a->deadline != b->deadline)
		return a->deadline < b->deadline ? -1 : 1;
	return (a->serial > b->serial) - (a->serial < b->serial);
}

RB_GENERATE(fiber_timers, fiber, timer, compare_timers)

/* Note how much of a stack was used. */
static void
measure(const struct fiber *fiber)
{
	size_t	depth = stack_depth(&fiber->stack);

	if (depth > deepest)
		deepest = depth;
}

/* Hand the processor back to the loop; returns when it is our turn again. */
static void
leave(struct fiber *self)
{
	void	**keep = self->state == FIBER_ENDED ? NULL : &self->asan_stack;

	self->calls = 0;
	self->saved_errno = errno;
	self->saved_log_number = log_number;

	tool_switch_start(keep, main_low, main_size);
	context_switch(&self->context, &main_context);
	tool_switch_finish(self->asan_stack, &main_low, &main_size);

	log_number = self->saved_log_number;
	errno = self->saved_errno;
}

/* The first function on every new stack. */
static void
begin(void)
{
	struct fiber	*self = running;

	tool_switch_finish(NULL, &main_low, &main_size);
	log_number = self->saved_log_number;
	errno = 0;

	self->run(self->arg);

	self->state = FIBER_ENDED;
	leave(self);
	bug("a dead fiber runs");
}

/* Start run(arg) on a stack of its own. It keeps its starter's number in the
 * log until it sets one. */
struct fiber *
fiber_start(void (*run)(void *), void *arg)
{
	static uint64_t	 serial;
	struct fiber	*fiber = mem_alloc(sizeof *fiber);

	*fiber = (struct fiber){ .run = run, .arg = arg, .name = "fiber",
	    .serial = ++serial, .state = FIBER_READY, .deadline = NEVER,
	    .saved_log_number = log_number };
	stack_take(&fiber->stack);
	context_make(&fiber->context, &fiber->stack, begin);

	LIST_INSERT_HEAD(&living_fibers, fiber, living);
	living_count++;
	TAILQ_INSERT_TAIL(&ready, fiber, ready);
	return fiber;
}

/* Bury a fiber that has ended. */
static void
bury(struct fiber *fiber)
{
	measure(fiber);
	LIST_REMOVE(fiber, living);
	living_count--;
	stack_give(&fiber->stack);
	free(fiber);
}

/* Let one fiber run until it waits or ends. */
static void
run_one(struct fiber *fiber)
{
	uint64_t	number = log_number;

	TAILQ_REMOVE(&ready, fiber, ready);
	fiber->state = FIBER_RUNNING;
	running = fiber;

	tool_switch_start(&main_asan_stack, fiber->stack.low,
	    fiber->stack.size);
	context_switch(&main_context, &fiber->context);
	tool_switch_finish(main_asan_stack, NULL, NULL);

	running = NULL;
	log_number = number;
	if (fiber->state == FIBER_ENDED)
		bury(fiber);
}

/* Run each fiber that is ready now; those that become so wait for the next
 * round, when the loop has looked at its events again. */
void
fiber_run_ready(void)
{
	struct fiber	*fiber, *last = TAILQ_LAST(&ready, ready_queue);

	CLAIM(running == NULL);
	if (last == NULL)
		return;
	do {
		fiber = TAILQ_FIRST(&ready);
		run_one(fiber);
	} while (fiber != last);
}

/* Is anybody ready to run? */
bool
fiber_any_ready(void)
{
	return !TAILQ_EMPTY(&ready);
}

/* Make a waiting fiber ready; if it is ready already, tell it the outcome. */
void
fiber_resume(struct fiber *fiber, int outcome)
{
	CLAIM(fiber->state == FIBER_WAITING || fiber->state == FIBER_READY);
	fiber->outcome = outcome;
	if (fiber->state == FIBER_READY)
		return;
	if (fiber->deadline != NEVER) {
		RB_REMOVE(fiber_timers, &timers, fiber);
		fiber->deadline = NEVER;
	}
	fiber->state = FIBER_READY;
	TAILQ_INSERT_TAIL(&ready, fiber, ready);
}

/* Make those ready whose time is up. */
void
fiber_expire(int64_t now)
{
	struct fiber	*fiber;

	while ((fiber = RB_MIN(fiber_timers, &timers)) != NULL &&
	    fiber->deadline <= now)
		fiber_resume(fiber, ETIMEDOUT);
}

/* When somebody's time will be up; NEVER if nobody has a deadline. */
int64_t
fiber_next_deadline(void)
{
	struct fiber	*fiber = RB_MIN(fiber_timers, &timers);

	return fiber == NULL ? NEVER : fiber->deadline;
}

/* Sleep until somebody brings what we wait for. */
int
fiber_suspend(int64_t deadline, enum fiber_wait wait)
{
	struct fiber	*self = running;

	CLAIM(self != NULL);
	if (wait == FIBER_WAIT_SOFT && self->is_cancelled)
		return ECANCELED;
	if (deadline != NEVER && deadline <= clock_now())
		return ETIMEDOUT;

	self->deadline = deadline;
	if (deadline != NEVER)
		RB_INSERT(fiber_timers, &timers, self);
	self->state = FIBER_WAITING;
	self->wait = wait;
	leave(self);
	return self->outcome;
}

/* Wait for a wake, unless one came already. */
int
fiber_park(int64_t deadline)
{
	struct fiber	*self = running;
	int		 outcome = 0;

	CLAIM(self != NULL);
	if (self->is_cancelled)
		outcome = ECANCELED;
	else if (!self->is_woken) {
		self->is_parked = true;
		outcome = fiber_suspend(deadline, FIBER_WAIT_SOFT);
		self->is_parked = false;
	}
	if (outcome != 0) {
		errno = outcome;
		return -1;
	}
	self->is_woken = false;
	return 0;
}

/* The same, whatever becomes of the fiber meanwhile. */
void
fiber_park_firmly(void)
{
	struct fiber	*self = running;

	CLAIM(self != NULL);
	if (!self->is_woken) {
		self->is_firm = true;
		(void)fiber_suspend(NEVER, FIBER_WAIT_FIRM);
		self->is_firm = false;
	}
	self->is_woken = false;
}

/* End a fiber's park, or its next one. */
void
fiber_wake(struct fiber *fiber)
{
	fiber->is_woken = true;
	if (fiber->is_firm || (fiber->is_parked && !fiber->is_cancelled))
		fiber_resume(fiber, 0);
}

/* Do nothing for a while. Wakes are kept for the next park. */
int
fiber_sleep(int64_t milliseconds)
{
	int	outcome;

	outcome = fiber_suspend(clock_now() + milliseconds, FIBER_WAIT_SOFT);
	if (outcome == ETIMEDOUT)
		return 0;
	errno = outcome;
	return -1;
}

/* Go to the end of the queue. */
void
fiber_yield(void)
{
	struct fiber	*self = running;

	CLAIM(self != NULL);
	self->state = FIBER_READY;
	TAILQ_INSERT_TAIL(&ready, self, ready);
	leave(self);
}

/* Count a call that did not wait; the 64th in a row lets the others run. */
void
fiber_breathe(void)
{
	if (running != NULL && ++running->calls >= CALLS_BEFORE_YIELD)
		fiber_yield();
}

/* Make this fiber's waits fail from now on. */
void
fiber_cancel(struct fiber *fiber)
{
	fiber->is_cancelled = true;
	if (fiber->state == FIBER_WAITING && fiber->wait == FIBER_WAIT_SOFT)
		fiber_resume(fiber, ECANCELED);
}

/* Has somebody cancelled us? */
int
fiber_is_cancelled(void)
{
	return running != NULL && running->is_cancelled;
}

/* The running fiber. */
struct fiber *
fiber_self(void)
{
	return running;
}

/* Name the running fiber. */
void
fiber_name(const char *name)
{
	CLAIM(running != NULL);
	running->name = name;
}

/* How many fibers live. */
size_t
fiber_count(void)
{
	return living_count;
}

/* The greatest use of any stack so far. */
size_t
fiber_deepest(void)
{
	struct fiber	*fiber;

	LIST_FOREACH(fiber, &living_fibers, living)
		measure(fiber);
	return deepest;
}
