/*
 * data.c - the message itself, the final dot, and who took it.
 *
 * Called by transaction.c after 354, or when a host that takes BDAT (chunks.c)
 * has taken recipients. SMTP has one verdict for all; LMTP one
 * for each recipient that was accepted, in the order of RCPT (RFC 2033 4.2).
 *
 * P1  After the final dot has been sent, no other host is tried for who has
 *     no answer: a lost one makes a duplicate, and we keep those as few as
 *     we can. Nothing ends the wait for it before smtp_data_done_timeout.
 * P2  Nothing but CRLF ends a line that we send (common/mail/smtp.c).
 * P3  What is cut short never looks complete: without the whole of the
 *     message there is no final dot.
 * P4  Who waits for a verdict, ten minutes perhaps, holds no buffers.
 */
#include "smtp/data.h"

#include <errno.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "common/mail/smtp.h"

#include "smtp/pix.h"
#include "smtp/settings.h"

/* --- out ----------------------------------------------------------------- */

/* Big messages may take longer, at smtp_min_data_rate. */
static void
extend_deadline(struct transaction *t)
{
	struct delivery	*d = t->d;

	d->deadline += content_size(t->content) * 1000 / set.min_data_rate;
	t->c->deadline = d->deadline;
}

/* So many bytes went out: the rest has as much longer. */
void
data_earn_time(struct transaction *t, struct sending *s, size_t bytes)
{
	int64_t	most = clock_now() + set.data_xfer_timeout;

	s->deadline += (int64_t)bytes * 1000 / set.min_data_rate;
	if (s->deadline > most)
		s->deadline = most;
	io_deadline(t->c->io, set.has_request_deadline &&
	    s->deadline < t->c->deadline ? s->deadline : t->c->deadline);
}

/* The next reply that is no "250" to a chunk which had no answer yet. */
WAITS static int
hear_objection(struct transaction *t, struct smtp_reply *reply)
{
	for (;;) {
		if (connection_hear(t->c, t->pool, reply,
		    set.data_done_timeout) == -1)
			return -1;
		if (t->unheard == 0 || reply->code / 100 != 2)
			return 0;
		t->unheard--;
	}
}

/* The host speaks before the final dot. A refusal is believed, since it wants
 * no more of this; anything else cannot be about the whole message. */
int
data_hear_early(struct transaction *t)
{
	struct smtp_reply	reply;
	size_t			i;

	if (hear_objection(t, &reply) == -1)
		return -1;
	t->c->is_broken = true;
	if (t->unheard > 0 && chunks_are_unknown(t, &reply)) {
		errno = ECONNRESET;
		return -1;
	}
	for (i = 0; i < t->count && reply.code >= 400; i++)
		if (t->accepted[i])
			transaction_refuse(t, i, &reply, "message content");
	if (reply.code < 400)
		transcript_blame(t->c->dialogue, "protocol");
	errno = EPROTO;
	return -1;
}

/* We cannot go on: the file is damaged, a table does not answer. */
int
data_give_up(struct transaction *t, int error)
{
	size_t	i;

	t->c->is_broken = true;
	transcript_blame(t->c->dialogue, "resource");
	for (i = 0; i < t->count; i++)
		if (t->accepted[i])
			delivery_settle(t->d, t->to[i], t->c,
			    OUTCOME_DEFERRED, "4.3.0", error == EAGAIN ?
			    "a lookup table is not available now" :
			    "the queue file cannot be read", "");
	errno = EIO;
	return -1;
}

/* It has hung up on us. Who refuses a message half way often does, and then
 * his words are here, and our EPIPE says less. */
int
data_hear_last_words(struct transaction *t)
{
	int	error = errno;

	io_hear_last_words(t->c->io);
	if (io_has_input(t->c->io))
		return data_hear_early(t);
	errno = error;
	return -1;
}

/* Has the host anything to say, or gone away, while we have the word? */
bool
data_is_interrupted(struct transaction *t)
{
	return io_has_input(t->c->io) || io_is_over(t->c->io);
}

/* Some of the message, as it is on the wire. */
WAITS static int
put(struct transaction *t, struct sending *s, const char *data, size_t len)
{
	s->len += len;
	return io_write(t->c->io, data, len);
}

/* A block of the message. Most of them are on the wire as they are; where one
 * is not, a piece of it is copied. */
WAITS static int
send_block(struct transaction *t, struct sending *s, size_t len)
{
	const char	*at = s->in, *end = at + len;
	size_t		 n;
	int		 result = 0;

	for (; at < end && result == 0; at += n) {
		n = smtp_stuff_plain(&s->stuff, at, (size_t)(end - at));
		if (n > 0) {
			result = put(t, s, at, n);
			continue;
		}
		n = end - at < SENDING_PIECE ? (size_t)(end - at) :
		    SENDING_PIECE;
		result = put(t, s, s->out, smtp_stuff_encode(&s->stuff, at, n,
		    s->out));
	}
	return result;
}

/* Is all of the message in our buffer yet? */
static bool
is_all_here(const struct transaction *t, const struct sending *s)
{
	return io_pending(t->c->io) == s->len;
}

/* The message, from where it is to the wire. */
WAITS static int
send_content(struct transaction *t, struct sending *s)
{
	ssize_t	n;

	t->c->doing = "sending message body";
	io_patience(t->c->io, set.data_xfer_timeout);
	s->deadline = clock_now() + set.data_xfer_timeout;
	data_earn_time(t, s, 0);
	while ((n = content_read(t->content, s->in, s->block)) > 0) {
		if (send_block(t, s, (size_t)n) == -1)
			return data_hear_last_words(t);
		if (!is_all_here(t, s) && data_is_interrupted(t))
			return data_hear_early(t);
		data_earn_time(t, s, (size_t)n);
	}
	return n == 0 ? 0 : data_give_up(t, errno);
}

int
data_commit(struct transaction *t)
{
	if (fiber_is_cancelled()) {
		errno = ECANCELED;
		return -1;
	}
	t->is_dot_out = t->d->is_committed = true;
	t->c->doing = "sending end of data -- message may be sent more than "
	    "once";
	t->c->deadline = NEVER;
	return 0;
}

/* The dot and what goes with it. From here on the mail may be theirs, whatever
 * happens to us. */
WAITS static int
end_with_dot(struct transaction *t, struct sending *s, int64_t patience)
{
	if (data_is_interrupted(t))
		return data_hear_early(t);
	if (data_commit(t) == -1)
		return -1;
	transcript_out(t->c->dialogue, "[message] .");
	if (io_write(t->c->io, s->out, smtp_stuff_finish(&s->stuff,
	    s->out)) == -1)
		return -1;
	return connection_flush(t->c, patience);
}

/* It has not left us whole, and its end least of all: nobody has it. */
static void
take_back(struct transaction *t)
{
	t->is_dot_out = t->d->is_committed = false;
	t->c->doing = "sending message body";
	t->c->deadline = t->d->deadline;
}

/* A small message in one piece, and in one segment perhaps. */
WAITS static int
send_in_one(struct transaction *t, struct sending *s)
{
	if (end_with_dot(t, s, set.data_xfer_timeout) == 0)
		return 0;
	if (!t->is_dot_out)
		return -1;
	take_back(t);
	return data_hear_last_words(t);
}

/* The rest of the message, and its end. */
WAITS static int
send_rest(struct transaction *t, struct sending *s)
{
	if (is_all_here(t, s) && !t->c->delays_dot)
		return send_in_one(t, s);
	if (io_flush(t->c->io) == -1)
		return data_hear_last_words(t);
	if (pix_wait(t->d, t->c) == -1)
		return -1;
	return end_with_dot(t, s, set.data_done_timeout);
}

/* --- the verdict --------------------------------------------------------- */

/* What the host answers to. */
static const char *
end_of(const struct transaction *t)
{
	return t->c->has_chunking ? "BDAT command" : "end of DATA command";
}

/* What this answer means for one recipient. */
WAITS static void
judge(struct transaction *t, size_t n, const struct smtp_reply *reply)
{
	char	*said;

	said = connection_said(t->pool, reply);
	if (reply->code >= 400) {
		/* RFC 3030 2: RSET behind a BDAT that failed. */
		t->c->needs_reset |= t->c->has_chunking;
		transaction_refuse(t, n, reply, end_of(t));
		return;
	}
	if (reply->code / 100 != 2) {
		/* It may have the message: nobody else is asked. */
		t->c->is_broken = true;
		transcript_blame(t->c->dialogue, "protocol");
		delivery_settle(t->d, t->to[n], t->c, OUTCOME_DEFERRED,
		    "4.5.0", pool_printf(t->pool, "host %s said: %s (in reply "
		    "to %s)", t->c->name, said, end_of(t)),
		    pool_printf(t->pool, "smtp; %s", said));
		return;
	}
	t->is_taken = true;
	delivery_settle(t->d, t->to[n], t->c, OUTCOME_SENT,
	    transaction_status(reply), said,
	    pool_printf(t->pool, "smtp; %s", said));
}

/* The next verdict. However slowly it comes, the host has this long. */
WAITS static int
hear_one(struct transaction *t, struct smtp_reply *reply)
{
	t->c->deadline = clock_now() + set.data_done_timeout;
	if (t->c->deadline < t->d->deadline)
		t->c->deadline = t->d->deadline;
	return connection_hear(t->c, t->pool, reply, set.data_done_timeout);
}

/* For everybody who was accepted: the same, or to each his own. */
WAITS static int
hear_verdicts(struct transaction *t)
{
	struct smtp_reply	reply;
	size_t			i;
	bool			is_heard = false;
	int			result;

	if ((result = chunks_hear(t)) != 0)
		return result == 1 ? 0 : -1;
	for (i = 0; i < t->count; i++) {
		if (!t->accepted[i])
			continue;
		if ((!is_heard || set.is_lmtp) && hear_one(t, &reply) == -1)
			return -1;
		if (!is_heard && t->c->has_chunking &&
		    chunks_are_unknown(t, &reply))
			return 0;
		is_heard = true;
		judge(t, i, &reply);
		t->accepted[i] = 0;
	}
	return 0;
}

/* P1: the dot is out, the answer is not in. */
WAITS static void
settle_unanswered(struct transaction *t, int error)
{
	const char	*why;
	size_t		 i;

	why = connection_complaint(t->c, t->d->pool, error);
	for (i = 0; i < t->count; i++)
		if (t->accepted[i])
			delivery_settle(t->d, t->to[i], t->c,
			    OUTCOME_DEFERRED, "4.4.2", why, "");
}

/* RFC 2920 3.1: a host may take DATA though it took nobody. LMTP has no
 * answer to what comes next. */
WAITS static int
cancel_data(struct transaction *t)
{
	struct smtp_reply	reply;

	if (set.is_lmtp) {
		t->c->is_broken = true;
		return 0;
	}
	if (io_write(t->c->io, ".\r\n", 3) == -1 ||
	    connection_flush(t->c, set.data_done_timeout) == -1)
		return -1;
	return connection_hear(t->c, t->pool, &reply, set.data_done_timeout);
}

/* What is read at a time. A chunk is gathered from smaller blocks. */
static size_t
block_size(const struct transaction *t)
{
	int64_t	size = content_size(t->content);

	if (size < SENDING_BLOCK / 2)
		return SENDING_BLOCK / 2;
	return size < SENDING_BIG || t->c->has_chunking ? SENDING_BLOCK :
	    SENDING_BIG;
}

/* P4. The message and its dot. */
WAITS static int
send_message(struct transaction *t)
{
	struct sending	 s;
	struct pool	*pool = pool_new("message", 0);
	int		 result, error;

	memset(&s, 0, sizeof(s));
	s.block = block_size(t);
	s.in = pool_room(pool, s.block);
	s.out = pool_room(pool, t->c->has_chunking ? SENDING_CHUNK :
	    2 * SENDING_PIECE + 8);
	smtp_stuff_start(&s.stuff);
	extend_deadline(t);
	result = t->c->has_chunking ? chunks_send(t, &s) :
	    send_content(t, &s);
	if (result == 0 && !t->c->has_chunking)
		result = send_rest(t, &s);
	error = errno;
	pool_free(pool);
	errno = error;
	return result;
}

int
data_send(struct transaction *t)
{
	int	result;

	if (t->accepted_count == 0)
		return cancel_data(t);
	if ((result = send_message(t)) == 0)
		result = hear_verdicts(t);
	if (result == 1)		/* refused before its end */
		result = 0;
	if (result == -1 && t->is_dot_out)
		settle_unanswered(t, errno);
	t->d->is_committed = false;
	t->c->deadline = t->d->deadline;
	if (daemon_is_stopping())	/* it was spared until here */
		fiber_cancel(t->d->fiber);
	return result;
}
