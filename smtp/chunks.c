/*
 * chunks.c - the message in chunks (CHUNKING, RFC 3030).
 *
 * Called by data.c. A chunk says how long it is, so that no line of a message
 * can be taken for its end by anybody: wherever it is offered, BDAT is used.
 * Nothing is gained in round trips, for with PIPELINING the answer to DATA
 * costs none, and little is lost: who knows the size of a chunk must have it,
 * so that 64 KiB are held while they are sent.
 *
 * P1  The last byte of the last chunk goes out like a final dot: not before
 *     all that the host had to say by then was heard, and not when the system
 *     stops. What is cut short never looks complete.
 * P2  After a chunk that was refused comes no other (RFC 3030 2), and RSET
 *     before the next message.
 * P3  A host that offers CHUNKING and does not know BDAT may take the message
 *     for commands: nothing more is said in that conversation.
 */
#include "smtp/data.h"

#include <errno.h>

#include "common/base/clock.h"

#include "smtp/settings.h"

enum { WINDOW = 16 };		/* chunks without an answer */

bool
chunks_are_unknown(struct transaction *t, const struct smtp_reply *reply)
{
	if (reply->code != 500 && reply->code != 502 && reply->code != 504)
		return false;
	t->c->is_broken = true;
	return transaction_be_shy(t, SHY_OF_CHUNKING);
}

/* The message is refused: by all whom it was for. */
WAITS static int
refuse(struct transaction *t, const struct smtp_reply *reply)
{
	size_t	i;

	t->c->needs_reset = true;
	if (chunks_are_unknown(t, reply))
		return 1;
	for (i = 0; i < t->count; i++) {
		if (t->accepted[i])
			transaction_refuse(t, i, reply, "BDAT command");
		t->accepted[i] = 0;
	}
	return 1;
}

/* The answer to the oldest chunk without one. 1: refused. */
WAITS static int
hear_chunk(struct transaction *t, int64_t patience)
{
	struct smtp_reply	reply;

	if (connection_hear(t->c, t->pool, &reply, patience) == -1)
		return -1;
	t->unheard--;
	return reply.code / 100 == 2 ? 0 : refuse(t, &reply);
}

/* After a refusal: the answers to what was on its way already. */
WAITS static int
hear_rest(struct transaction *t)
{
	struct smtp_reply	reply;

	while (t->unheard > 0 && !t->c->is_broken) {
		if (connection_hear(t->c, t->pool, &reply,
		    set.data_xfer_timeout) == -1)
			return -1;
		t->unheard--;
	}
	return 1;
}

/* Answers, until at most so many are wanted; what is there in any case. 1:
 * refused. */
WAITS static int
hear_chunks(struct transaction *t, size_t most)
{
	int	result;

	if (t->unheard > most &&
	    connection_flush(t->c, set.data_xfer_timeout) == -1)
		return data_hear_last_words(t);
	while (t->unheard > most ||
	    (t->unheard > 0 && io_has_input(t->c->io)))
		if ((result = hear_chunk(t, set.data_xfer_timeout)) != 0)
			return result;
	/* What comes in just now answers a chunk, if one has no answer yet. */
	if (t->unheard > 0 ? io_is_over(t->c->io) : data_is_interrupted(t))
		return data_hear_early(t);
	return 0;
}

/* One chunk that is not the last. 1: refused, nothing is unheard. */
WAITS static int
send_chunk(struct transaction *t, struct sending *s)
{
	int	result;

	if (connection_say(t->c, "BDAT %zu", s->len) == -1 ||
	    io_write(t->c->io, s->out, s->len) == -1)
		return data_hear_last_words(t);
	data_earn_time(t, s, s->len);
	s->len = 0;
	t->unheard++;
	result = hear_chunks(t, t->c->has_pipelining ? WINDOW : 0);
	if (result != 1 || t->c->is_broken)
		return result;
	return connection_flush(t->c, set.data_xfer_timeout) == -1 ? -1 :
	    hear_rest(t);
}

/* P1. The last chunk; 1: refused before its last byte, which the host waits
 * for in vain. */
WAITS static int
send_last(struct transaction *t, struct sending *s)
{
	size_t	held = s->len > 0 ? 1 : 0;
	int	result;

	if (held > 0 && (connection_say(t->c, "BDAT %zu LAST", s->len) == -1 ||
	    io_write(t->c->io, s->out, s->len - held) == -1 ||
	    io_flush(t->c->io) == -1))
		return data_hear_last_words(t);
	if ((result = hear_chunks(t, WINDOW)) != 0) {
		t->c->is_broken = true;
		return result;
	}
	if (data_commit(t) == -1)
		return -1;
	if (held == 0 ? connection_say(t->c, "BDAT 0 LAST") == -1 :
	    io_write(t->c->io, s->out + s->len - held, held) == -1)
		return -1;
	return connection_flush(t->c, set.data_done_timeout);
}

int
chunks_send(struct transaction *t, struct sending *s)
{
	ssize_t	n;
	int	result;

	t->c->doing = "sending message body";
	s->stuff.is_chunk = true;
	io_patience(t->c->io, set.data_xfer_timeout);
	s->deadline = clock_now() + set.data_xfer_timeout;
	data_earn_time(t, s, 0);
	while ((n = content_read(t->content, s->in, s->block)) > 0) {
		if (s->len + 2 * s->block + 16 > SENDING_CHUNK &&
		    (result = send_chunk(t, s)) != 0)
			return result;
		s->len += smtp_stuff_encode(&s->stuff, s->in, (size_t)n,
		    s->out + s->len);
	}
	if (n == -1)
		return data_give_up(t, errno);
	s->len += smtp_stuff_finish(&s->stuff, s->out + s->len);
	return send_last(t, s);
}

int
chunks_hear(struct transaction *t)
{
	int	result;

	while (t->unheard > 0)
		if ((result = hear_chunk(t, set.data_done_timeout)) != 0) {
			/* What becomes of the last one tells nothing. */
			t->c->is_broken = true;
			return result;
		}
	return 0;
}
