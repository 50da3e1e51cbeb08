/*
 * turns.c - commands for one recipient wait for each other.
 *
 * Called by shell.c around each command. qmgr sends more deliveries at once
 * than there should be commands for one address: a Maildir needs no turns, and
 * an mbox has its locks, but a mailing list's program that is started twenty
 * times at once is a load that nobody asked for.
 *
 * P1  Of what main.cf calls local_destination_concurrency_limit, each address
 *     has so many commands at once and no more, first come first served.
 * P2  Who waits too long, or was forgotten by qmgr meanwhile, runs nothing;
 *     his mail is tried again.
 */
#include "local/turns.h"

#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/fiber/queue.h"

enum { TURN_TIME = 5 * 60 * 1000 };

static int64_t	limit;

const struct param	turns_params[] = {
	PARAM_INT("local_destination_concurrency_limit", limit, "2", 0, 10000,
	    "The most commands at once for one local recipient; 0 means any "
	    "number. If main.cf sets it, also the most deliveries of any kind "
	    "to one; else that is default_destination_concurrency_limit, since "
	    "messages for a Maildir need not wait for each other."),
	PARAM_END
};

/* An address that commands run for. */
struct turns {
	char			*address;
	unsigned		 users;		/* that run or wait */
	struct semaphore	 places;
	LIST_ENTRY(turns)	 next;
};

static LIST_HEAD(, turns)	all = LIST_HEAD_INITIALIZER(all);

/* Those of this address. */
static struct turns *
find(const char *address)
{
	struct turns	*t;

	LIST_FOREACH(t, &all, next)
		if (strcmp(t->address, address) == 0)
			return t;
	t = mem_alloc(sizeof(*t));
	*t = (struct turns){ .address = mem_strdup(address) };
	semaphore_init(&t->places, (long)limit);
	LIST_INSERT_HEAD(&all, t, next);
	return t;
}

/* One user less. */
static void
forget(struct turns *t)
{
	if (--t->users > 0)
		return;
	LIST_REMOVE(t, next);
	free(t->address);
	free(t);
}

/* Wait for a place (P1, P2). */
int
turn_take(const struct addressee *a, struct turns **turns)
{
	struct turns	*t;
	int		 result;

	*turns = NULL;
	if (limit == 0)
		return 0;
	t = find(a->row->address);
	t->users++;
	result = semaphore_take(&t->places, clock_now() + TURN_TIME);
	if (result == 0 && !is_asked(a->delivery)) {
		semaphore_give(&t->places);
		result = -1;
	}
	if (result == 0)
		*turns = t;
	else
		forget(t);
	return result;
}

/* Give it back. */
void
turn_give(struct turns *t)
{
	if (t == NULL)
		return;
	semaphore_give(&t->places);
	forget(t);
}
