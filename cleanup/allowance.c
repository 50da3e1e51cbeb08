/*
 * allowance.c - how fast each user of this machine may post.
 *
 * A user has as many messages, and bytes, as he may post in a minute, and gets
 * them back evenly. A message is allowed while there is something left, so
 * that a large one is, too; the next one waits for it. Who has all of his is
 * forgotten.
 */
#include "cleanup/allowance.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/tree.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/daemon/daemon.h"

enum { MINUTE = 60 * 1000, USERS_MAX = 1000 };

static int64_t	message_rate, byte_rate;

const struct param	allowance_params[] = {
	PARAM_INT("pickup_user_message_rate_limit", message_rate, "3000", 0,
	    100000000, "How many messages one user of this machine may post in "
	    "a minute; what is more waits in maildrop/. Root and mail_owner "
	    "are free of limits; 0 means any number."),
	PARAM_SIZE("pickup_user_space_rate_limit", byte_rate, "1024000000", 0,
	    INT64_MAX / 2, "How many bytes one user of this machine may post "
	    "in a minute; what is more waits in maildrop/. 0 means any "
	    "number."),
	PARAM_END
};

struct user {
	RB_ENTRY(user)	 entry;
	uid_t		 uid;
	int64_t		 when;		/* they were counted */
	double		 messages, bytes;
};

RB_HEAD(allowed, user);
RB_PROTOTYPE(allowed, user, entry, )

static struct allowed	users = RB_INITIALIZER(&users);
static unsigned		count;

/* By number. */
static int
compare(const struct user *a, const struct user *b)
{
	return a->uid < b->uid ? -1 : a->uid > b->uid;
}

RB_GENERATE(allowed, user, entry, compare)

/* What he has after this time; he has no more than all of it. */
static double
refill(double has, int64_t limit, int64_t elapsed)
{
	has += (double)limit * (double)elapsed / MINUTE;
	return has < (double)limit ? has : (double)limit;
}

/* Has he got back everything? */
static bool
is_full(const struct user *u)
{
	int64_t	elapsed = clock_now() - u->when;

	return refill(u->messages, message_rate, elapsed) >=
	    (double)message_rate &&
	    refill(u->bytes, byte_rate, elapsed) >= (double)byte_rate;
}

/* Forget who has. */
static void
forget_full(void)
{
	struct user	*u, *next;

	RB_FOREACH_SAFE(u, allowed, &users, next) {
		if (!is_full(u))
			continue;
		RB_REMOVE(allowed, &users, u);
		free(u);
		count--;
	}
}

/* The user, with what he has now. */
static struct user *
find(uid_t uid)
{
	struct user	key = { .uid = uid }, *u;
	int64_t		now = clock_now();

	if ((u = RB_FIND(allowed, &users, &key)) == NULL) {
		if (count >= USERS_MAX)
			forget_full();
		u = mem_alloc(sizeof(*u));
		*u = (struct user){ .uid = uid, .when = now,
		    .messages = (double)message_rate,
		    .bytes = (double)byte_rate };
		RB_INSERT(allowed, &users, u);
		count++;
	}
	u->messages = refill(u->messages, message_rate, now - u->when);
	u->bytes = refill(u->bytes, byte_rate, now - u->when);
	u->when = now;
	return u;
}

/* Until there is so much; 0: there is. */
static int64_t
time_until(double has, double wanted, int64_t limit)
{
	if (limit == 0 || has >= wanted)
		return 0;
	return 1 + (int64_t)((wanted - has) * MINUTE / (double)limit);
}

/* Take one. */
int64_t
allowance_take(uid_t uid, int64_t bytes)
{
	struct user	*u;
	int64_t		 wait, for_bytes;

	if (uid == 0 || daemon_is_own_user(uid))
		return 0;
	u = find(uid);
	wait = time_until(u->messages, 1, message_rate);
	for_bytes = time_until(u->bytes, 1, byte_rate);
	if (for_bytes > wait)
		wait = for_bytes;
	if (wait > 0)
		return wait;
	u->messages -= 1;
	u->bytes -= (double)bytes;
	return 0;
}
