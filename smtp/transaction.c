/*
 * transaction.c - MAIL, RCPT, DATA: a message offered to one host.
 *
 * Called by delivery.c. Commands go out in groups when the host takes
 * PIPELINING (RFC 2920), one at a time otherwise; answers come back in the
 * same order and each is matched with its command by that order alone.
 *
 * P1  After the final dot has been sent, no other host is tried: a lost
 *     answer makes a duplicate, and we keep those as few as we can.
 * P2  Nothing but CRLF ends a line that we send (common/mail/smtp.c).
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/mail/smtp.h"

#include "smtp/delivery.h"
#include "smtp/settings.h"

enum {
	/* Replies to a group must fit into socket buffers while we send. */
	GROUP = 100,
	BLOCK = 16 * 1024
};

/* The commands of one transaction: MAIL, RCPT for who is open, DATA. */
struct transaction {
	struct delivery		*d;
	struct connection	*c;
	struct pool		*pool;		/* of the replies */
	size_t			*to;		/* recipients, by their place */
	char			*accepted;	/* one flag for each of them */
	size_t			 count, accepted_count;
	bool			 is_mail_refused, wants_data, is_dot_out;
};

/* "4.2.0" from the reply, or made from its code. */
static const char *
status_of(const struct smtp_reply *reply)
{
	if (reply->dsn[0] != '\0')
		return reply->dsn;
	return reply->code / 100 == 2 ? "2.0.0" :
	    reply->code / 100 == 5 ? "5.0.0" : "4.0.0";
}

/* Code and text on one line, as the host said it. */
static char *
said(struct pool *pool, const struct smtp_reply *reply)
{
	char	*text, *p;

	text = pool_printf(pool, "%d %s", reply->code, reply->text.data);
	for (p = text; *p != '\0'; p++)
		if (*p == '\n')
			*p = ' ';
	return text;
}

/* One recipient is refused, now or for good (RFC 5321 4.2.1). */
static void
refuse(struct transaction *t, size_t n, const struct smtp_reply *reply,
    const char *command)
{
	struct pool	*pool = t->d->pool;
	const char	*line;
	char		*text, *diagnostic;

	line = said(pool, reply);
	text = pool_printf(pool, "host %s said: %s (in reply to %s)",
	    t->c->name, line, command);
	diagnostic = pool_printf(pool, "smtp; %s", line);
	delivery_settle(t->d, t->to[n], t->c, reply->code / 100 == 5 ?
	    OUTCOME_BOUNCED : OUTCOME_DEFERRED, status_of(reply), text,
	    diagnostic);
}

/* The answer to RSET, when it was sent: whoever does not like that has lost
 * his place. */
WAITS static int
hear_reset(struct transaction *t)
{
	struct smtp_reply	reply;

	if (!t->c->needs_reset)
		return 0;
	t->c->doing = "sending RSET";
	if (connection_hear(t->c, t->pool, &reply, set.rset_timeout) == -1)
		return -1;
	if (reply.code / 100 != 2) {
		errno = ECONNRESET;
		return -1;
	}
	t->c->needs_reset = false;
	return 0;
}

/* RSET goes before MAIL when it is needed; its answer comes first too. */
WAITS static int
send_reset(struct transaction *t)
{
	if (!t->c->needs_reset)
		return 0;
	if (io_write(t->c->io, "RSET\r\n", 6) == -1)
		return -1;
	if (t->c->has_pipelining)
		return 0;		/* hear_mail() hears it */
	return io_flush(t->c->io) == -1 ? -1 : hear_reset(t);
}

WAITS static int
send_mail(struct transaction *t)
{
	struct deliver	*mail = t->d->mail;

	if (send_reset(t) == -1)
		return -1;
	t->c->doing = "sending MAIL FROM";
	if (io_printf(t->c->io, "MAIL FROM:<%s>", mail->sender) == -1)
		return -1;
	if (t->c->has_size && io_printf(t->c->io, " SIZE=%lld",
	    (long long)mail->content_length) == -1)
		return -1;
	if (t->c->has_8bit && (mail->flags & MAIL_IS_8BIT) != 0 &&
	    io_printf(t->c->io, " BODY=8BITMIME") == -1)
		return -1;
	return io_write(t->c->io, "\r\n", 2);
}

/* Send command number n: 0 is MAIL, the last is DATA. */
WAITS static int
send_command(struct transaction *t, size_t n)
{
	if (n == 0)
		return send_mail(t);
	if (n <= t->count)
		return io_printf(t->c->io, "RCPT TO:<%s>\r\n",
		    t->d->mail->recipients[t->to[n - 1]].address);
	return io_printf(t->c->io, "DATA\r\n");
}

WAITS static int
hear_mail(struct transaction *t)
{
	struct smtp_reply	reply;
	size_t			i;

	if (hear_reset(t) == -1)
		return -1;
	t->c->doing = "sending MAIL FROM";
	if (connection_hear(t->c, t->pool, &reply, set.mail_timeout) == -1)
		return -1;
	if (reply.code / 100 == 2)
		return 0;
	if (reply.code == 421 && t->c->uses > 1) {
		/* It is tired of the conversation, not of the message. */
		errno = ECONNRESET;
		return -1;
	}
	t->is_mail_refused = true;
	for (i = 0; i < t->count; i++)
		refuse(t, i, &reply, "MAIL FROM command");
	return 0;
}

WAITS static int
hear_rcpt(struct transaction *t, size_t n)
{
	struct smtp_reply	reply;

	t->c->doing = "sending RCPT TO";
	if (connection_hear(t->c, t->pool, &reply, set.rcpt_timeout) == -1)
		return -1;
	if (t->is_mail_refused)
		return 0;
	if (reply.code / 100 == 2) {
		t->accepted[n] = 1;
		t->accepted_count++;
		return 0;
	}
	/* RFC 5321 4.5.3.1.10: 552 here means too many recipients. */
	if (reply.code == 552)
		reply.code = 452;
	refuse(t, n, &reply, "RCPT TO command");
	return 0;
}

WAITS static int
hear_data(struct transaction *t)
{
	struct smtp_reply	reply;
	size_t			i;

	t->c->doing = "sending DATA command";
	if (connection_hear(t->c, t->pool, &reply, set.data_init_timeout) ==
	    -1)
		return -1;
	t->wants_data = reply.code / 100 == 3;
	if (t->wants_data)
		return 0;
	for (i = 0; i < t->count; i++)
		if (t->accepted[i])
			refuse(t, i, &reply, "DATA command");
	return 0;
}

WAITS static int
hear_command(struct transaction *t, size_t n)
{
	if (n == 0)
		return hear_mail(t);
	return n <= t->count ? hear_rcpt(t, n - 1) : hear_data(t);
}

/* Is there no use in sending the next command? Only asked when everything
 * sent has been answered. */
static bool
is_pointless(const struct transaction *t, size_t n)
{
	return t->is_mail_refused ||
	    (n == t->count + 1 && t->accepted_count == 0) || t->c->is_broken;
}

/* Commands out, answers in, up to and with the answer to DATA. */
WAITS static int
exchange(struct transaction *t)
{
	size_t	total, group, sent, heard;

	total = t->count + 2;
	group = t->c->has_pipelining ? GROUP : 1;
	for (sent = heard = 0; heard < total; heard++) {
		if (sent == heard && is_pointless(t, sent))
			break;
		if (sent == heard) {
			io_patience(t->c->io, set.mail_timeout);
			while (sent < total && sent - heard < group)
				if (send_command(t, sent++) == -1)
					return -1;
			if (io_flush(t->c->io) == -1)
				return -1;
		}
		if (hear_command(t, heard) == -1)
			return -1;
	}
	/* RFC 5321 4.1.1.4: a DATA that is refused ends no transaction; the
	 * next MAIL would be nested. */
	if (!t->wants_data)
		t->c->needs_reset = true;
	return 0;
}

/* The host speaks before the final dot. A refusal is believed, since it wants
 * no more of this; anything else cannot be about the whole message. */
WAITS static int
hear_early(struct transaction *t)
{
	struct smtp_reply	reply;
	size_t			i;

	if (connection_hear(t->c, t->pool, &reply, set.data_done_timeout) ==
	    -1)
		return -1;
	t->c->is_broken = true;
	for (i = 0; i < t->count && reply.code >= 400; i++)
		if (t->accepted[i])
			refuse(t, i, &reply, "message content");
	errno = EPROTO;
	return -1;
}

/* The message, from the queue file to the wire, and the final dot. */
WAITS static int
send_content(struct transaction *t)
{
	struct deliver		*mail = t->d->mail;
	struct smtp_stuff	 stuff;
	char			*in, *out;
	int64_t			 done;
	ssize_t			 n;

	t->c->doing = "sending message body";
	in = pool_alloc(t->pool, BLOCK);
	out = pool_alloc(t->pool, 2 * BLOCK + 8);
	smtp_stuff_start(&stuff);
	io_patience(t->c->io, set.data_xfer_timeout);
	for (done = 0; done < mail->content_length; done += n) {
		n = mail->content_length - done < BLOCK ?
		    (ssize_t)(mail->content_length - done) : BLOCK;
		n = fs_pread(mail->message, in, (size_t)n,
		    mail->content_offset + done);
		if (n <= 0) {
			/* The file is damaged: what was sent must not count. */
			errno = EIO;
			t->c->is_broken = true;
			return -1;
		}
		if (io_write(t->c->io, out, smtp_stuff_encode(&stuff, in,
		    (size_t)n, out)) == -1)
			return -1;
	}
	if (io_has_input(t->c->io))
		return hear_early(t);
	t->is_dot_out = true;
	if (io_write(t->c->io, out, smtp_stuff_finish(&stuff, out)) == -1)
		return -1;
	t->c->doing = "sending end of data -- message may be sent more than "
	    "once";
	return io_flush(t->c->io);
}

/* The answer to the final dot: for everybody who was accepted. */
WAITS static int
hear_verdict(struct transaction *t)
{
	struct smtp_reply	reply;
	size_t			i;

	if (connection_hear(t->c, t->pool, &reply, set.data_done_timeout) ==
	    -1)
		return -1;
	for (i = 0; i < t->count; i++) {
		if (!t->accepted[i])
			continue;
		if (reply.code / 100 == 2)
			delivery_settle(t->d, t->to[i], t->c, OUTCOME_SENT,
			    status_of(&reply), said(t->pool, &reply),
			    pool_printf(t->pool, "smtp; %s",
			    said(t->pool, &reply)));
		else
			refuse(t, i, &reply, "end of DATA command");
	}
	return 0;
}

/* P1: the dot is out, the answer is not in. */
static void
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

/* RFC 2920 3.1: a host may take DATA though it took nobody. */
WAITS static int
cancel_data(struct transaction *t)
{
	struct smtp_reply	reply;

	if (io_write(t->c->io, ".\r\n", 3) == -1 || io_flush(t->c->io) == -1)
		return -1;
	return connection_hear(t->c, t->pool, &reply, set.data_done_timeout);
}

/* The whole dialogue. */
WAITS static int
speak(struct transaction *t)
{
	if (exchange(t) == -1)
		return -1;
	if (!t->wants_data)
		return 0;
	if (t->accepted_count == 0)
		return cancel_data(t);
	if (send_content(t) == -1) {
		if (t->is_dot_out)
			settle_unanswered(t, errno);
		return -1;
	}
	if (hear_verdict(t) == -1) {
		settle_unanswered(t, errno);
		return -1;
	}
	return 0;
}

/* What the host would refuse anyhow (RFC 1870 6.1, RFC 6152 3). */
static bool
is_unacceptable(struct transaction *t)
{
	struct deliver	*mail = t->d->mail;
	const char	*dsn, *text;
	size_t		 i;

	if (t->c->size_limit > 0 && mail->content_length > t->c->size_limit) {
		dsn = "5.3.4";
		text = pool_printf(t->d->pool, "message size %lld exceeds size "
		    "limit %lld of server %s", (long long)mail->content_length,
		    (long long)t->c->size_limit, t->c->name);
	} else if ((mail->flags & MAIL_IS_8BIT) != 0 && !t->c->has_8bit) {
		dsn = "5.6.3";
		text = pool_printf(t->d->pool, "the message is declared "
		    "8BITMIME and server %s does not take that", t->c->name);
	} else
		return false;
	for (i = 0; i < t->count; i++)
		delivery_settle(t->d, t->to[i], t->c, OUTCOME_BOUNCED, dsn,
		    text, "");
	return true;
}

int
transaction_run(struct delivery *d, struct connection *c)
{
	struct transaction	t;
	size_t			i;
	int			result, error;

	memset(&t, 0, sizeof(t));
	t.d = d;
	t.c = c;
	t.pool = pool_new("transaction", 0);
	t.to = pool_array(t.pool, d->mail->count, sizeof(*t.to));
	t.accepted = pool_alloc(t.pool, d->mail->count);
	for (i = 0; i < d->mail->count; i++)
		if (d->outcomes[i].outcome == OUTCOME_OPEN)
			t.to[t.count++] = i;

	result = 0;
	if (!is_unacceptable(&t) && (result = speak(&t)) == -1) {
		error = errno;
		c->is_broken = true;
		d->why = connection_complaint(c, d->pool, error);
		d->dsn = "4.4.2";
		d->is_permanent = false;
	}
	if (c->is_broken)
		result = -1;
	pool_free(t.pool);
	return result;
}
