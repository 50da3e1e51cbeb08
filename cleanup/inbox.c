/*
 * inbox.c - content that has to wait for answers.
 *
 * Where headers.c has questions to ask, the content of a message is read on a
 * fiber of its own, so that nobody else waits with it. Packets are copied into
 * the inbox; the sender gets his credit when a piece has been read, so that
 * few of them lie there.
 *
 * P1  From inbox_open() on the fiber alone ends the transaction.
 * P2  A sender who does not wait for credit is refused.
 */
#include <sys/queue.h>

#include <string.h>

#include "cleanup/transaction.h"

enum { BYTES_MAX = 3 * CREDIT_EVERY * CONTENT_MAX };

/* A packet of content. */
struct piece {
	STAILQ_ENTRY(piece)	 next;
	struct pool		*pool;		/* of its own */
	char			*data;
	size_t			 len;
	bool			 is_last, wants_credit;
};

struct inbox {
	struct fiber		*fiber;
	STAILQ_HEAD(, piece)	 pieces;
	size_t			 bytes;
	bool			 is_abandoned, is_over;
};

/* The first piece leaves the inbox. */
static void
drop_piece(struct inbox *in)
{
	struct piece	*p = STAILQ_FIRST(&in->pieces);

	STAILQ_REMOVE_HEAD(&in->pieces, next);
	in->bytes -= p->len;
	pool_free(p->pool);
}

/* Read a piece. */
WAITS static void
read_piece(struct transaction *t, const struct piece *p)
{
	struct empty	nothing = { 0 };
	char		before = 0;
	size_t		len = p->len;

	if (set.replaces_stray)
		len = stray_replace(&t->stray, p->data, len, p->is_last,
		    &before);
	if (!t->is_discarded && before != 0)
		headers_feed(t, &before, 1);
	if (!t->is_discarded && t->code == 0)
		headers_feed(t, p->data, len);
	if (t->code != 0)
		return;
	if (p->is_last) {
		headers_finish(t);
		t->inbox->is_over = true;
	} else if (p->wants_credit)
		channel_reply_to(t->channel, t->id, PACKET_CREDIT, &nothing);
}

/* Is there any more to be read? */
static bool
goes_on(const struct transaction *t)
{
	return t->code == 0 && !t->inbox->is_abandoned && !t->inbox->is_over;
}

/* The fiber: read what comes, then end the transaction. */
static void
serve(void *arg)
{
	struct transaction	*t = arg;
	struct inbox		*in = t->inbox;

	fiber_name("content");
	headers_begin(t);
	while (goes_on(t)) {
		if (STAILQ_EMPTY(&in->pieces)) {
			if (fiber_park(NEVER) == -1)
				transaction_refuse(t, 451, "451 4.3.0 Error: "
				    "the mail system is stopping");
			continue;
		}
		read_piece(t, STAILQ_FIRST(&in->pieces));
		drop_piece(in);
	}
	while (!STAILQ_EMPTY(&in->pieces))
		drop_piece(in);
	if (in->is_abandoned)
		transaction_forget(t);
	else if (t->code != 0)
		transaction_answer_refused(t);
	else
		transaction_finish(t);
}

/* Begin. */
void
inbox_open(struct transaction *t)
{
	struct inbox	*in = pool_alloc(t->pool, sizeof(*in));

	STAILQ_INIT(&in->pieces);
	t->inbox = in;
	in->fiber = fiber_start(serve, t);
}

/* A packet. */
void
inbox_put(struct transaction *t, const struct content *c)
{
	struct inbox	*in = t->inbox;
	struct pool	*pool;
	struct piece	*p;

	if (in->bytes + c->data.len > BYTES_MAX) {
		transaction_refuse(t, 451,
		    "451 4.3.0 Error: internal protocol error");
		fiber_wake(in->fiber);
		return;
	}
	pool = pool_new("content", 0);
	p = pool_alloc(pool, sizeof(*p));
	p->pool = pool;
	p->data = pool_strndup(pool, c->data.data, c->data.len);
	p->len = c->data.len;
	p->is_last = c->is_last;
	p->wants_credit = c->wants_credit;
	in->bytes += p->len;
	STAILQ_INSERT_TAIL(&in->pieces, p, next);
	fiber_wake(in->fiber);
}

/* Something has happened to the transaction. */
void
inbox_wake(struct transaction *t, bool is_abandoned)
{
	if (is_abandoned)
		t->inbox->is_abandoned = true;
	fiber_wake(t->inbox->fiber);
}
