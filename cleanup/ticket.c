/*
 * ticket.c - what makes a repeated submission harmless.
 *
 * When the connection breaks between the commit and the answer, sendmail
 * submits again with the same token. Tokens are remembered per user for some
 * minutes; more than TICKETS of them push the oldest out. They live in memory:
 * when pickup itself is killed in that moment, the message is there twice.
 */
#include "cleanup/ticket.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/tree.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/fiber/queue.h"

enum {
	TICKETS = 10000,
	LIFETIME = 10 * 60 * 1000,
	TOKEN_MAX = 64
};

struct ticket {
	RB_ENTRY(ticket)	 entry;
	TAILQ_ENTRY(ticket)	 age;		/* done ones, oldest first */
	uid_t			 uid;
	char			 token[TOKEN_MAX + 1];
	char			 queue_id[QUEUE_ID_MAX + 1];
	int64_t			 expires;
	struct fiber_queue	 waiting;
	unsigned		 waiters;
};

RB_HEAD(tickets, ticket);
RB_PROTOTYPE(tickets, ticket, entry, )

static struct tickets		 tickets = RB_INITIALIZER(&tickets);
static TAILQ_HEAD(, ticket)	 done = TAILQ_HEAD_INITIALIZER(done);
static unsigned			 done_count;

/* By user, then token. */
static int
compare(const struct ticket *a, const struct ticket *b)
{
	if (a->uid != b->uid)
		return a->uid < b->uid ? -1 : 1;
	return strcmp(a->token, b->token);
}

RB_GENERATE(tickets, ticket, entry, compare)

/* Forget the oldest ones. */
static void
expire(void)
{
	struct ticket	*t;

	while ((t = TAILQ_FIRST(&done)) != NULL && t->waiters == 0 &&
	    (done_count > TICKETS || t->expires < clock_now())) {
		TAILQ_REMOVE(&done, t, age);
		RB_REMOVE(tickets, &tickets, t);
		done_count--;
		free(t);
	}
}

/* The ticket with this token, if there is one. */
static struct ticket *
find(uid_t uid, const char *token)
{
	struct ticket	key = { .uid = uid };

	strlcpy(key.token, token, sizeof(key.token));
	return RB_FIND(tickets, &tickets, &key);
}

/* A new one. */
static struct ticket *
make(uid_t uid, const char *token)
{
	struct ticket	*t = mem_alloc(sizeof(*t));

	memset(t, 0, sizeof(*t));
	t->uid = uid;
	strlcpy(t->token, token, sizeof(t->token));
	fiber_queue_init(&t->waiting);
	if (*token != '\0')
		RB_INSERT(tickets, &tickets, t);
	return t;
}

/* Wait for the end of another submission with the same token. It may be gone
 * afterwards. */
WAITS static int
wait_for(struct ticket *t, int64_t deadline)
{
	int	result;

	t->waiters++;
	result = fiber_queue_wait(&t->waiting, deadline);
	if (--t->waiters == 0 && t->queue_id[0] == '\0' &&
	    find(t->uid, t->token) != t)
		free(t);
	return result;
}

/* Take a ticket. */
struct ticket *
ticket_take(uid_t uid, const char *token, char queue_id[QUEUE_ID_MAX + 1],
    int64_t deadline)
{
	struct ticket	*t;

	queue_id[0] = '\0';
	expire();
	while (*token != '\0' && (t = find(uid, token)) != NULL) {
		if (t->queue_id[0] != '\0') {
			strlcpy(queue_id, t->queue_id, QUEUE_ID_MAX + 1);
			return NULL;
		}
		if (wait_for(t, deadline) == -1)
			return NULL;
	}
	return make(uid, token);
}

/* Give it back: remember what came of it, or that nothing did. */
void
ticket_give(struct ticket *t, const char *queue_id)
{
	if (t->token[0] != '\0' && *queue_id != '\0') {
		strlcpy(t->queue_id, queue_id, sizeof(t->queue_id));
		t->expires = clock_now() + LIFETIME;
		TAILQ_INSERT_TAIL(&done, t, age);
		done_count++;
		fiber_queue_wake_all(&t->waiting);
		return;
	}
	if (t->token[0] != '\0')
		RB_REMOVE(tickets, &tickets, t);
	fiber_queue_wake_all(&t->waiting);
	if (t->waiters == 0)
		free(t);
}
