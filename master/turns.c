/*
 * turns.c - reloads, one after the other, however many are asked for.
 *
 * A reload starts a fresh process for nearly every place. Scripts ask for a
 * hundred of them in a second; whoever asks wants the files as they are now to
 * be in use, and one reload that begins later does that for all who wait.
 */
#include "master/turns.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/fiber/queue.h"

/* One reload, and those who wait for it. */
struct turn {
	struct pool	*pool;
	struct str	 problems;
	unsigned	 users;
	int		 result;
	bool		 is_done;
};

static struct turn		*running, *next;
static struct fiber_queue	 waiting;

/* The one that has not begun. */
static struct turn *
join(void)
{
	struct pool	*pool;

	if (running == NULL && next == NULL)
		fiber_queue_init(&waiting);
	if (next == NULL) {
		pool = pool_new("turn", 0);
		next = pool_alloc(pool, sizeof(*next));
		next->pool = pool;
		str_init(&next->problems, pool, 0);
	}
	next->users++;
	return next;
}

/* It is this one's turn. */
static WAITS void
run(struct turn *turn, WAITS int (*act)(struct str *))
{
	running = turn;
	next = NULL;
	turn->result = act(&turn->problems);
	turn->is_done = true;
	running = NULL;
	fiber_queue_wake_all(&waiting);
}

/* Wait for it, or do it. */
int
turns_take(WAITS int (*act)(struct str *), struct str *problems)
{
	struct turn	*turn = join();
	int		 result;

	while (!turn->is_done)
		if (running == NULL)
			run(turn, act);
		else if (fiber_queue_wait(&waiting, NEVER) == -1)
			break;
	str_add(problems, turn->problems.data);
	result = turn->is_done ? turn->result : -1;
	if (--turn->users == 0 && (turn->is_done || turn == next)) {
		if (turn == next)
			next = NULL;
		pool_free(turn->pool);
	}
	return result;
}

/* Somebody has asked since the last one began. */
bool
turns_are_wanted(void)
{
	return next != NULL;
}
