/*
 * exchange.c - replies find those who wait for them.
 *
 * An exchange is an id, a place for the reply and somebody who waits. A plain
 * question is an exchange with one packet. The reply is decoded into the
 * asker's pool before he is woken, so it does not matter when he runs.
 */
#include <errno.h>
#include <string.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/ipc/inside.h"
#include "common/ipc/packets.h"

/* The order of a channel's exchanges. */
static int
compare(const struct exchange *a, const struct exchange *b)
{
	return (a->id > b->id) - (a->id < b->id);
}

RB_PROTOTYPE(exchanges, exchange, entry, )
RB_GENERATE(exchanges, exchange, entry, compare)

/* Take it off the channel's list: no reply reaches it from now on. */
static void
over(struct exchange *e, int error)
{
	if (e->is_over)
		return;
	e->is_over = true;
	e->error = error;
	RB_REMOVE(exchanges, &e->channel->exchanges, e);
	e->channel->exchange_count--;
	fiber_queue_wake_all(&e->waiting);
}

/* Everyone who waits on this channel hears of its end. */
void
exchange_fail_all(struct channel *c, int error)
{
	struct exchange	*e;

	while ((e = RB_MIN(exchanges, &c->exchanges)) != NULL)
		over(e, error);
}

/* The reply itself, into the asker's struct and pool. */
static const char *
take_reply(struct exchange *e, const struct packet *packet)
{
	struct packet	 p = *packet;
	const char	*why;

	if (packet_is_secret(p.type))
		pool_make_secret(e->pool);
	if (packet_has_data(p.type))
		p.body = (unsigned char *)pool_strndup(e->pool, p.body, p.len);
	if ((why = packet_decode(&p, e->reply, e->pool)) != NULL)
		return why;
	over(e, 0);
	return NULL;
}

/* The other side will not answer. */
static const char *
take_refusal(struct exchange *e, const struct packet *p)
{
	struct pool	*pool = pool_new("refused", 0);
	struct refused	 refused;
	bool		 is_bad;

	is_bad = packet_decode(p, &refused, pool) != NULL;
	if (!is_bad) {
		log_warning("%s refuses: %s", e->channel->name, refused.why);
		over(e, EPROTO);
	}
	pool_free(pool);
	return is_bad ? "it is malformed" : NULL;
}

/* Is a reply awaited? Then take it, or say in *why what is wrong with it. */
bool
exchange_take(struct channel *c, const struct packet *p, const char **why)
{
	struct exchange	 key = { .id = p->id }, *e;

	if ((e = RB_FIND(exchanges, &c->exchanges, &key)) == NULL)
		return false;
	if (p->type == e->reply_type)
		*why = take_reply(e, p);
	else if (p->type == PACKET_REFUSED)
		*why = take_refusal(e, p);
	else if (p->type == PACKET_CREDIT && p->nfds == 0 && p->len == 0) {
		e->credits++;
		fiber_queue_wake_all(&e->waiting);
	} else
		*why = "it does not answer what was asked";
	return true;
}

/* Start one at a place of the caller's. */
static void
begin(struct exchange *e, struct channel *c, unsigned reply_type, void *reply,
    struct pool *pool)
{
	*e = (struct exchange){ .channel = c, .id = channel_next_id(c),
	    .reply_type = reply_type, .reply = reply, .pool = pool };
	fiber_queue_init(&e->waiting);
	channel_reference(c);
	if (!c->is_open) {
		e->is_over = true;
		e->error = ECONNRESET;
		return;
	}
	RB_INSERT(exchanges, &c->exchanges, e);
	c->exchange_count++;
}

/* The undo of an exchange that was forgotten. */
static void
end_with_pool(void *arg)
{
	exchange_end(arg);
}

/* An exchange in the pool; it ends with the pool at the latest. */
struct exchange *
exchange_begin(struct channel *c, unsigned reply_type, void *reply,
    struct pool *pool)
{
	struct exchange	*e = pool_alloc(pool, sizeof(*e));

	begin(e, c, reply_type, reply, pool);
	pool_on_free(pool, end_with_pool, e);
	return e;
}

/* The id for its packets. */
uint64_t
exchange_id(const struct exchange *e)
{
	return e->id;
}

/* Is the reply there? */
bool
exchange_is_answered(const struct exchange *e)
{
	return e->is_over && e->error == 0;
}

/* Wait for the reply. */
int
exchange_wait(struct exchange *e, int64_t deadline)
{
	while (!e->is_over)
		if (fiber_queue_wait(&e->waiting, deadline) == -1 &&
		    !e->is_over)
			return -1;
	if (e->error == 0)
		return 0;
	errno = e->error;
	return -1;
}

/* Wait for credit; a reply ends the wait as well. */
int
exchange_wait_credit(struct exchange *e, unsigned count, int64_t deadline)
{
	while (!e->is_over && e->credits < count)
		if (fiber_queue_wait(&e->waiting, deadline) == -1 &&
		    !e->is_over)
			return -1;
	if (!e->is_over || e->error == 0)
		return 0;
	errno = e->error;
	return -1;
}

/* Forget it; once is enough. */
void
exchange_end(struct exchange *e)
{
	if (e->is_ended)
		return;
	over(e, ECANCELED);
	e->is_ended = true;
	channel_unreference(e->channel);
}

/* A question and its answer. */
int
channel_ask(struct channel *c, unsigned type, const void *object,
    unsigned reply_type, void *reply, struct pool *pool, int64_t deadline)
{
	struct exchange	e;
	int		result, saved;

	begin(&e, c, reply_type, reply, pool);
	result = channel_send(c, type, e.id, object, deadline);
	if (result == 0)
		result = exchange_wait(&e, deadline);
	saved = errno;
	exchange_end(&e);
	errno = saved;
	return result;
}
