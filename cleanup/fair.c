/*
 * fair.c - users take turns.
 *
 * Used by pickup wherever something is scarce: submissions at a time, files of
 * maildrop/ at a time, threads that read. Users who wait stand in a line; the
 * first whose share is not used up gets a place for one of his fibers, and
 * goes to the end of the line.
 *
 * P1  A user who wants one place waits for no more than one turn of each other
 *     user, whatever they have asked for before.
 */
#include "cleanup/fair.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/tree.h>

#include "common/base/mem.h"
#include "common/fiber/queue.h"

struct user {
	RB_ENTRY(user)		 entry;
	TAILQ_ENTRY(user)	 line;		/* if somebody waits */
	uid_t			 uid;
	unsigned		 has, waits;
	struct fiber_queue	 waiting;
};

RB_HEAD(users, user);
RB_PROTOTYPE(users, user, entry, )

struct fair {
	unsigned		 free, each;
	struct users		 users;
	TAILQ_HEAD(, user)	 line;
};

/* By number. */
static int
compare(const struct user *a, const struct user *b)
{
	return a->uid < b->uid ? -1 : a->uid > b->uid;
}

RB_GENERATE(users, user, entry, compare)

/* So many places, and so many for each. */
struct fair *
fair_new(unsigned places, unsigned each)
{
	struct fair	*f = mem_alloc(sizeof(*f));

	f->free = places;
	f->each = each < places ? each : places;
	RB_INIT(&f->users);
	TAILQ_INIT(&f->line);
	return f;
}

/* The user, known from now on. */
static struct user *
find(struct fair *f, uid_t uid)
{
	struct user	key = { .uid = uid }, *u;

	if ((u = RB_FIND(users, &f->users, &key)) != NULL)
		return u;
	u = mem_alloc(sizeof(*u));
	*u = (struct user){ .uid = uid };
	fiber_queue_init(&u->waiting);
	RB_INSERT(users, &f->users, u);
	return u;
}

/* Forget who has nothing and wants nothing. */
static void
forget(struct fair *f, struct user *u)
{
	if (u->has > 0 || u->waits > 0)
		return;
	RB_REMOVE(users, &f->users, u);
	free(u);
}

/* A place for this user. */
static void
grant(struct fair *f, struct user *u)
{
	f->free--;
	u->has++;
}

/* Give places to those whose turn it is. */
static void
hand_out(struct fair *f)
{
	struct user	*u, *next;

	for (u = TAILQ_FIRST(&f->line); u != NULL && f->free > 0; u = next) {
		next = TAILQ_NEXT(u, line);
		if (u->has >= f->each)
			continue;
		grant(f, u);
		TAILQ_REMOVE(&f->line, u, line);
		if (--u->waits > 0)
			TAILQ_INSERT_TAIL(&f->line, u, line);
		if (next == NULL && u->waits > 0)
			next = u;	/* the only one in the line */
		fiber_queue_wake_one(&u->waiting);
	}
}

/* Stand in line. */
static WAITS int
wait_for(struct fair *f, struct user *u, int64_t deadline)
{
	int	saved;

	if (u->waits++ == 0)
		TAILQ_INSERT_TAIL(&f->line, u, line);
	if (fiber_queue_wait(&u->waiting, deadline) == 0)
		return 0;
	saved = errno;
	if (--u->waits == 0)
		TAILQ_REMOVE(&f->line, u, line);
	forget(f, u);
	errno = saved;
	return -1;
}

/* Take a place. */
int
fair_take(struct fair *f, uid_t uid, int64_t deadline)
{
	struct user	*u = find(f, uid);

	if (f->free > 0 && u->has < f->each && u->waits == 0) {
		grant(f, u);
		return 0;
	}
	return wait_for(f, u, deadline);
}

/* Give it back. */
void
fair_give(struct fair *f, uid_t uid)
{
	struct user	*u = find(f, uid);

	f->free++;
	u->has--;
	hand_out(f);
	forget(f, u);
}
