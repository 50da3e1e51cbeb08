/*
 * auth_exchange.c - exchanges that wait for their client's next word.
 *
 * Each belongs to the channel that began it and dies with it. One step of it
 * runs at a time; who says two things at once is no client of ours.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/tree.h>

#include "common/base/clock.h"
#include "common/daemon/daemon.h"
#include "common/sasl/sasl.h"
#include "resolve/auth.h"

enum {
	EACH_MAX = 5000,	/* of one smtpd process */
	PATIENCE = 1000		/* milliseconds, at the end */
};

struct ongoing {
	RB_ENTRY(ongoing) entry;
	int64_t		 number;
	struct pool	*pool;
	struct dialogue	*dialogue;
	bool		 is_busy, is_over;
};
RB_HEAD(numbers, ongoing);

/* One smtpd. */
struct client {
	LIST_ENTRY(client) entry;
	struct channel	*channel;
	struct numbers	 exchanges;
	unsigned	 count;
};

static LIST_HEAD(, client)	clients = LIST_HEAD_INITIALIZER(clients);
static unsigned			total;

/* By number. */
static int
compare(const struct ongoing *a, const struct ongoing *b)
{
	return (a->number > b->number) - (a->number < b->number);
}

RB_PROTOTYPE(numbers, ongoing, entry, compare)
RB_GENERATE(numbers, ongoing, entry, compare)

/* The client behind a channel; made if that is wanted. */
static struct client *
find_client(struct channel *channel, bool wanted)
{
	struct client	*c;

	LIST_FOREACH(c, &clients, entry)
		if (c->channel == channel)
			return c;
	if (!wanted)
		return NULL;
	c = mem_alloc(sizeof(*c));
	*c = (struct client){ .channel = channel };
	RB_INIT(&c->exchanges);
	LIST_INSERT_HEAD(&clients, c, entry);
	return c;
}

/* Its exchange of that number. */
static struct ongoing *
find(struct channel *channel, int64_t number)
{
	struct client	*c = find_client(channel, false);
	struct ongoing	 wanted = { .number = number };

	return c != NULL ? RB_FIND(numbers, &c->exchanges, &wanted) : NULL;
}

/* Take it from its client; whoever is in the middle of it frees it. */
static void
drop(struct client *c, struct ongoing *e)
{
	RB_REMOVE(numbers, &c->exchanges, e);
	c->count--;
	total--;
	e->is_over = true;
	if (!e->is_busy)
		pool_free(e->pool);
}

/* Say that it is not possible. */
static void
refuse(struct request *r, enum sasl_result result, const char *text)
{
	struct auth_step	step = { .result = result, .data.data = "" };

	step.user = pool_strdup(r->pool, "");
	step.text = pool_strdup(r->pool, text);
	(void)channel_reply(r, PACKET_AUTH_STEP, &step);
}

/* One step; all but CONTINUE is the last one. */
static WAITS void
advance(struct request *r, struct ongoing *e, const struct bytes *said)
{
	struct auth_step	 step;
	struct client		*c;

	e->is_busy = true;
	dialogue_step(e->dialogue, r->pool, said, &step);
	e->is_busy = false;
	(void)channel_reply(r, PACKET_AUTH_STEP, &step);
	c = find_client(r->channel, false);
	if (e->is_over)			/* meanwhile */
		pool_free(e->pool);
	else if (step.result != SASL_CONTINUE && c != NULL)
		drop(c, e);
}

/* AUTHENTICATE. */
void
exchanges_begin(struct request *r)
{
	const struct authenticate	*ask = r->object;
	struct client			*c;
	struct ongoing			*e;
	struct pool			*pool;

	/* Who is gone was forgotten already, and would never be again. */
	if (!channel_is_open(r->channel))
		return;
	c = find_client(r->channel, true);
	if (c->count >= EACH_MAX)
		return refuse(r, SASL_UNAVAILABLE, "too many log in at once");
	if (find(r->channel, ask->exchange) != NULL)
		return refuse(r, SASL_MALFORMED, "that number is in use");
	pool = pool_new("exchange", 0);
	pool_make_secret(pool);
	e = pool_alloc(pool, sizeof(*e));
	e->pool = pool;
	e->number = ask->exchange;
	if ((e->dialogue = dialogue_new(pool, ask)) == NULL) {
		pool_free(pool);
		return refuse(r, SASL_UNKNOWN, "there is no such mechanism");
	}
	RB_INSERT(numbers, &c->exchanges, e);
	c->count++;
	total++;
	advance(r, e, ask->has_initial ? &ask->initial : NULL);
}

/* AUTH_CONTINUE. */
void
exchanges_continue(struct request *r)
{
	const struct auth_continue	*next = r->object;
	struct ongoing			*e = find(r->channel, next->exchange);

	if (e == NULL || e->is_busy)
		return refuse(r, SASL_UNAVAILABLE, "nothing goes on there");
	advance(r, e, &next->response);
}

/* AUTH_END. */
void
exchanges_end(struct request *r)
{
	const struct auth_end	*end = r->object;
	struct ongoing		*e = find(r->channel, end->exchange);

	if (e != NULL)
		drop(find_client(r->channel, false), e);
}

/* A channel is gone. */
void
exchanges_forget(struct channel *channel, void *context)
{
	struct client	*c = find_client(channel, false);
	struct ongoing	*e;

	(void)context;
	if (c == NULL)
		return;
	while ((e = RB_MIN(numbers, &c->exchanges)) != NULL)
		drop(c, e);
	LIST_REMOVE(c, entry);
	free(c);
}

/*
 * What a drain waits for. A client may take minutes for a word, and the fresh
 * process, which knows the users as they are now, begins after us: who is not
 * done soon has to begin again. Steps that run are waited for all the same.
 */
unsigned
exchanges_count(void)
{
	static int64_t	end;

	if (!daemon_is_draining())
		return total;
	if (end == 0)
		end = clock_now() + PATIENCE;
	return clock_now() < end ? total : 0;
}
