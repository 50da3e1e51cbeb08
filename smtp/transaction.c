/*
 * transaction.c - MAIL, RCPT, DATA: a message offered to one host.
 *
 * Called by delivery.c. Commands go out in groups when the host takes
 * PIPELINING (RFC 2920), one at a time otherwise; answers come back in the
 * same order and each is matched with its command by that order alone. What
 * comes after 354 is in data.c.
 */

#include "smtp/transaction.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/mail/chars.h"
#include "common/mail/dsn.h"
#include "common/mail/encode.h"

#include "smtp/settings.h"
#include "smtp/xforward.h"

/* Replies to a group must fit into socket buffers while we send. */
enum { GROUP = 100 };

const struct param transaction_params[] = {
	PARAM_BOOL("smtp_quote_rfc821_envelope", set.quotes_envelope, "yes",
	    "Quote addresses in MAIL and RCPT as RFC 5321 wants them; no is "
	    "for hosts that do not know quotes."),
	PARAM_BOOL("smtp_send_dummy_mail_auth", set.sasl.sends_dummy, "no",
	    "Say AUTH=<> in MAIL where we have logged in, as RFC 4954 wants "
	    "it; some hosts cannot bear it."),
	PARAM_END
};

/* --- answers ------------------------------------------------------------- */

/* "4.2.0" from the reply, or made from its code. */
const char *
transaction_status(const struct smtp_reply *reply)
{
	if (reply->dsn[0] != '\0')
		return reply->dsn;
	if (reply->code == 552)		/* RFC 1870 6.2: it is too big */
		return "5.3.4";
	return reply->code / 100 == 2 ? "2.0.0" :
	    reply->code / 100 == 5 ? "5.0.0" : "4.0.0";
}

/* One recipient is refused, for good or for now; another host may think
 * otherwise about the latter. An answer that is none is one for now, and
 * nobody knows what the next one will be about. */
void
transaction_refuse(struct transaction *t, size_t n,
    const struct smtp_reply *reply, const char *command)
{
	struct pool	*pool = t->pool;
	const char	*line, *dsn = transaction_status(reply);
	char		*text, *diagnostic;

	if (reply->code < 400) {
		dsn = "4.5.0";
		t->c->is_broken = true;
		transcript_blame(t->c->dialogue, "protocol");
	}
	line = connection_said(pool, reply);
	text = pool_printf(pool, "host %s said: %s (in reply to %s)",
	    t->c->name, line, command);
	diagnostic = pool_printf(pool, "smtp; %s", line);
	if (reply->code / 100 == 5)
		delivery_settle(t->d, t->to[n], t->c, OUTCOME_BOUNCED, dsn,
		    text, diagnostic);
	else
		delivery_postpone(t->d, t->to[n], t->c, dsn, text,
		    diagnostic);
}

/* 421, or an answer that is none, ends it for all that have no answer of their
 * own (RFC 5321 3.8). */
WAITS static int
hang_up(struct transaction *t, size_t from, const struct smtp_reply *reply,
    const char *command)
{
	size_t	i;

	for (i = 0; i < t->count; i++)
		if (t->accepted[i] || i >= from)
			transaction_refuse(t, i, reply, command);
	errno = ECONNRESET;
	return -1;
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
		transaction_refuse(t, i, &reply, "MAIL FROM command");
	return 0;
}

/* RFC 5321 4.5.3.1.10: too many recipients for one transaction, not for ever.
 * Those who were taken go first, the others in another transaction. */
static bool
is_too_many(const struct transaction *t, const struct smtp_reply *reply)
{
	return reply->code == 452 && t->accepted_count > 0 &&
	    (reply->dsn[0] == '\0' || strcmp(reply->dsn, "4.5.3") == 0 ||
	    strcmp(reply->dsn, "5.5.3") == 0);
}

/* RFC 1870 6.4: 552 that is about a mailbox, or the message, and no number. */
static bool
is_too_big(const struct smtp_reply *reply)
{
	return strncmp(reply->dsn, "5.2.", 4) == 0 ||
	    strcmp(reply->dsn, "5.3.4") == 0;
}

/* Is it only asked who would be taken (sendmail -bv)? */
static bool
is_probe(const struct transaction *t)
{
	return (t->d->mail->flags & MAIL_IS_PROBE) != 0;
}

/* He would be. */
WAITS static void
settle_probe(struct transaction *t, size_t n, const struct smtp_reply *reply)
{
	const char	*line = connection_said(t->pool, reply);

	delivery_settle(t->d, t->to[n], t->c, OUTCOME_SENT,
	    transaction_status(reply), line, "");
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
		if (is_probe(t)) {
			settle_probe(t, n, &reply);
			return 0;
		}
		t->accepted[n] = 1;
		t->accepted_count++;
		return 0;
	}
	if (reply.code == 552 && !is_too_big(&reply)) { /* as RFC 821 had it */
		reply.code = 452;
		if (reply.dsn[0] == '5')
			reply.dsn[0] = '4';
	}
	if (reply.code == 421 || reply.code < 400)
		return hang_up(t, n, &reply, "RCPT TO command");
	if (is_too_many(t, &reply)) {
		t->again[n] = 1;
		t->again_count++;
	}
	transaction_refuse(t, n, &reply, "RCPT TO command");
	return 0;
}

bool
transaction_be_shy(struct transaction *t, enum shy of)
{
	struct delivery	*d = t->d;
	size_t		 i;

	if ((d->shy & of) != 0)
		return false;
	d->shy |= of;
	for (i = 0; i < t->count; i++) {
		if (d->outcomes[t->to[i]].outcome != OUTCOME_OPEN ||
		    d->postponed[t->to[i]] != NULL)
			continue;
		d->asked[t->to[i]] = 0;
		d->has_rest = true;
	}
	return true;
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
			transaction_refuse(t, i, &reply, "DATA command");
	return 0;
}

WAITS static int
hear_command(struct transaction *t, size_t n)
{
	if (n == 0)
		return hear_mail(t);
	return n <= t->count ? hear_rcpt(t, n - 1) : hear_data(t);
}

/* --- commands ------------------------------------------------------------ */

/* RSET goes before MAIL when it is needed; its answer comes first too. */
WAITS static int
send_reset(struct transaction *t)
{
	if (!t->c->needs_reset)
		return 0;
	if (connection_say(t->c, "RSET") == -1)
		return -1;
	/* hear_mail() hears it, unless there is something in between. */
	if (t->c->has_pipelining && !xforward_is_wanted(t))
		return 0;
	return connection_flush(t->c, set.rset_timeout) == -1 ? -1 :
	    hear_reset(t);
}

/* RFC 3461 4.3, 4.4: what a report should hold, and a name for it. */
static void
add_mail_dsn(const struct transaction *t, struct str *line)
{
	const struct deliver	*mail = t->d->mail;

	if (!t->c->has_dsn)
		return;
	if (mail->return_what[0] != '\0')
		str_addf(line, " RET=%s", mail->return_what);
	if (mail->envelope_id[0] != '\0') {
		str_add(line, " ENVID=");
		xtext_encode(line, mail->envelope_id);
	}
}

WAITS static int
send_mail(struct transaction *t)
{
	struct str	line;

	if (send_reset(t) == -1 || xforward_send(t) == -1)
		return -1;
	allowance_note_mail(&t->c->allowance);
	t->c->doing = "sending MAIL FROM";
	str_init(&line, t->pool, 0);
	str_addf(&line, "MAIL FROM:<%s>", t->sender);
	if (t->c->has_size)
		str_addf(&line, " SIZE=%lld",
		    (long long)content_size(t->content));
	if (t->c->has_8bit && content_is_8bit(t->content))
		str_add(&line, " BODY=8BITMIME");
	if (wire_wants_utf8(t))
		str_add(&line, " SMTPUTF8");
	add_mail_dsn(t, &line);
	/* RFC 4954 5: whoever asked us to vouch for an author hears that we
	 * do not. */
	if (set.sasl.sends_dummy && t->c->is_authenticated)
		str_add(&line, " AUTH=<>");
	return connection_say(t->c, "%s", line.data);
}

/* Type, semicolon, and the address in xtext; RFC 6533 3 has a form in ASCII of
 * its own for UTF-8, which all hosts take. */
static void
add_orcpt(struct str *line, const char *type, size_t len, const char *address)
{
	str_add(line, " ORCPT=");
	str_add_mem(line, type, len);
	if (text_equal_mem("utf-8;", type, len))
		points_encode(line, address);
	else
		xtext_encode(line, address);
}

/* RFC 3461 5.2.1: NOTIFY as it was given; ORCPT too, or, when the address has
 * changed here, the one that it came with. */
static void
add_rcpt_dsn(const struct deliver_row *to, struct str *line)
{
	static const struct { int64_t bit; const char *word; } words[] = {
		{ NOTIFY_NEVER, "NEVER" }, { NOTIFY_SUCCESS, "SUCCESS" },
		{ NOTIFY_FAILURE, "FAILURE" }, { NOTIFY_DELAY, "DELAY" }
	};
	const char	*separator = " NOTIFY=", *address;
	size_t		 i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if ((to->notify & words[i].bit) != 0) {
			str_addf(line, "%s%s", separator, words[i].word);
			separator = ",";
		}
	if ((address = strchr(to->orcpt, ';')) != NULL)
		add_orcpt(line, to->orcpt,
		    (size_t)(address - to->orcpt) + 1, address + 1);
	else if (to->original[0] != '\0' &&
	    has_8bit(to->original, strlen(to->original)))
		add_orcpt(line, "utf-8;", 6, to->original);
	else if (to->original[0] != '\0')
		add_orcpt(line, "rfc822;", 7, to->original);
}

WAITS static int
send_rcpt(struct transaction *t, size_t n)
{
	struct str	line;

	str_init(&line, t->pool, 0);
	str_addf(&line, "RCPT TO:<%s>", t->addresses[n]);
	if (t->c->has_dsn)
		add_rcpt_dsn(&t->d->mail->recipients[t->to[n]], &line);
	return connection_say(t->c, "%s", line.data);
}

/* Send command number n: 0 is MAIL, the last is DATA. */
WAITS static int
send_command(struct transaction *t, size_t n)
{
	if (n == 0)
		return send_mail(t);
	return n <= t->count ? send_rcpt(t, n - 1) :
	    connection_say(t->c, "DATA");
}

/* Is there no use in sending the next command? Only asked when everything
 * sent has been answered. */
static bool
is_pointless(const struct transaction *t, size_t n)
{
	return t->is_mail_refused ||
	    (n == t->count + 1 && t->accepted_count == 0) || t->c->is_broken;
}

/*
 * The conversation broke in the middle of a group, some of which was answered:
 * hosts and the firewalls before them do that which offer PIPELINING and lose
 * what comes behind an error, or behind DATA.
 */
static int
lose(struct transaction *t, size_t waiting)
{
	int	error = errno;

	if (t->c->has_pipelining && waiting > 0 && !t->c->has_said_421 &&
	    (error == ECONNRESET || error == EPIPE || error == EPROTO ||
	    error == ETIMEDOUT) && clock_now() < t->c->deadline)
		(void)transaction_be_shy(t, SHY_OF_PIPELINING);
	errno = error;
	return -1;
}

/* Commands out, answers in, up to and with the answer to DATA, which BDAT
 * (RFC 3030) does without. */
WAITS static int
exchange(struct transaction *t)
{
	size_t	total, group, sent, heard, first = 0;

	total = t->count + (is_probe(t) || t->c->has_chunking ? 1 : 2);
	group = t->c->has_pipelining ? GROUP : 1;
	for (sent = heard = 0; heard < total; heard++) {
		if (sent == heard && is_pointless(t, sent))
			break;
		if (sent == heard) {
			first = heard;
			io_patience(t->c->io, set.mail_timeout);
			io_deadline(t->c->io, t->c->deadline);
			while (sent < total && sent - heard < group)
				if (send_command(t, sent++) == -1)
					return -1;
			if (connection_flush(t->c, set.mail_timeout) == -1)
				return -1;
		}
		if (hear_command(t, heard) == -1)
			return heard > first ? lose(t, sent - heard) : -1;
		if (t->c->is_broken)
			break;		/* 421, or out of step */
	}
	if (t->c->has_chunking)
		t->wants_data = t->accepted_count > 0 &&
		    !t->is_mail_refused && !t->c->is_broken;
	/* RFC 5321 4.1.1.4: a DATA that is refused ends no transaction; the
	 * next MAIL would be nested. */
	if (!t->wants_data)
		t->c->needs_reset = true;
	return 0;
}

/* --- the whole ----------------------------------------------------------- */

/* The whole dialogue. */
WAITS static int
speak(struct transaction *t)
{
	if (prepare(t) == 1)
		return 0;
	if (exchange(t) == -1)
		return -1;
	return t->wants_data ? data_send(t) : 0;
}

/* Nothing was said yet. */
static void
clear(struct transaction *t)
{
	memset(t->accepted, 0, t->d->mail->count);
	memset(t->again, 0, t->d->mail->count);
	t->accepted_count = t->again_count = t->unheard = 0;
	t->is_mail_refused = t->wants_data = t->is_dot_out = t->is_taken =
	    false;
}

/* Those for whom it was too many go into another conversation. */
static void
leave(struct transaction *t)
{
	size_t	i;

	for (i = 0; i < t->count; i++)
		if (t->again[i])
			t->d->asked[t->to[i]] = 0;
	t->d->has_rest = true;
}

/* Those for whom it was too many: once more, if it took the message at all. */
static bool
narrow(struct transaction *t)
{
	size_t	i, n = 0;

	if (t->again_count == 0 || !t->is_taken || t->c->is_broken)
		return false;
	if (!allowance_has_mail(&t->c->allowance)) {
		leave(t);
		return false;
	}
	for (i = 0; i < t->count; i++)
		if (t->again[i])
			t->to[n++] = t->to[i];
	clear(t);
	t->count = n;
	return true;
}

/* The conversation broke: why, for those without an answer. */
static void
tell(struct delivery *d, struct connection *c, int error)
{
	struct failure	f = {
		.dsn = "4.4.2", .diagnostic = "",
		.is_timeout = error == ETIMEDOUT,
		.relay = pool_strdup(d->pool, c->relay),
		.remote = pool_printf(d->pool, "dns; %s", c->host)
	};

	f.why = connection_complaint(c, d->pool, error);
	delivery_fail(d, &f);
}

/* The recipients of the next transaction: who was not asked for yet, as many
 * as the host wants. */
static bool
choose(struct transaction *t)
{
	struct delivery		*d = t->d;
	struct allowance	*a = &t->c->allowance;
	bool			 has_room = allowance_has_mail(a);
	size_t			 i;

	t->count = 0;
	clear(t);
	d->has_rest = false;
	for (i = 0; i < d->mail->count; i++) {
		if (d->outcomes[i].outcome != OUTCOME_OPEN || d->asked[i])
			continue;
		if (!has_room || !allowance_take(a, t->c->pool, t->count,
		    d->mail->recipients[i].address)) {
			d->has_rest = true;
			continue;
		}
		d->asked[i] = 1;
		t->to[t->count++] = i;
	}
	return t->count > 0;
}

int
transaction_run(struct delivery *d, struct connection *c)
{
	struct transaction	t;
	size_t			total = d->mail->count;
	unsigned		shy = d->shy;
	int			result = 0;

	memset(&t, 0, sizeof(t));
	t.d = d;
	t.c = c;
	t.pool = pool_new("transaction", 0);
	t.to = pool_array(t.pool, total, sizeof(*t.to));
	t.addresses = pool_array(t.pool, total, sizeof(*t.addresses));
	t.accepted = pool_alloc(t.pool, total);
	t.again = pool_alloc(t.pool, total);

	d->has_rest = false;
	while (result == 0 && !c->is_broken && choose(&t))
		do
			result = speak(&t);
		while (result == 0 && narrow(&t));
	if (result == -1) {
		c->is_broken = true;
		tell(d, c, errno);
	}
	if (c->is_broken && d->shy == shy)
		d->has_rest = false;	/* others are for the next host */
	pool_free(t.pool);
	return c->is_broken ? -1 : 0;
}
