/*
 * intake.c - packets to transactions.
 *
 * A transaction is named by its channel and the id of its MAIL packet. The
 * handlers run in the order of arrival and never wait; the last CONTENT hands
 * the transaction to a fiber of its own, which answers.
 *
 * P1  A transaction is answered once, and is gone afterwards: packets of its
 *     id that were on the way are ignored.
 * P2  When the channel dies before the commit began, nothing is committed and
 *     the file is removed.
 * P3  Where a message comes from is what the channel says, not its packet: an
 *     owned smtpd brings no mail of local users', no reports, and no address
 *     that would be a line of its own somewhere. Only mail from outside and
 *     from users goes to a content filter.
 */
#include "cleanup/transaction.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "common/mail/chars.h"
#include "common/mail/dsn.h"
#include "common/mail/verp.h"
#include "common/param/site.h"
#include "common/queue/queue.h"

#include "cleanup/inflow.h"
#include "cleanup/room.h"
#include "cleanup/sevenbit.h"
#include "cleanup/unicode.h"

enum {
	TRANSACTION_CEILING = 256 * 1024 * 1024, /* some 500,000 recipients */
	SWEEP_EVERY = 500,			/* milliseconds */
	SILENCE_MAX = 60 * 60 * 1000,		/* between two packets */
	ID_AGE = 10 * 60 * 1000			/* before the first of them */
};

const struct param	intake_params[] = {
	PARAM_STRING("verp_delimiter_filter", set.verp_filter, "-=+", 1, 100,
	    "The characters that VERP delimiters may be."),
	PARAM_BOOL("cleanup_replace_stray_cr_lf", set.replaces_stray, "yes",
	    "Replace every CR and LF in the content that is not part of a line "
	    "end by a space."),
	PARAM_END
};

RB_HEAD(transactions, transaction);
RB_PROTOTYPE(transactions, transaction, entry, )

static struct transactions	 transactions = RB_INITIALIZER(&transactions);
static unsigned			 count;

/* The order of the tree. */
static int
compare(const struct transaction *a, const struct transaction *b)
{
	if (a->channel != b->channel)
		return (uintptr_t)a->channel < (uintptr_t)b->channel ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

RB_GENERATE(transactions, transaction, entry, compare)

/* The transaction that a packet belongs to, while it takes packets. */
static struct transaction *
find(const struct request *r)
{
	struct transaction	key = { .channel = r->channel, .id = r->id };
	struct transaction	*t = RB_FIND(transactions, &transactions, &key);

	if (t == NULL || t->is_finishing || (t->inbox != NULL && t->code != 0))
		return NULL;
	t->touched = clock_now();
	return t;
}

/* Forget it; a file that is not committed goes. */
void
transaction_forget(struct transaction *t)
{
	RB_REMOVE(transactions, &transactions, t);
	count--;
	write_undo(t);
	room_leave(t);
	sevenbit_close(t);
	channel_release(t->channel);
	pool_free(t->pool);
}

/* Transactions now, for draining. */
unsigned
transaction_count(void)
{
	return count;
}

/* Note the first reason why it cannot be accepted. */
void
transaction_refuse(struct transaction *t, int code, const char *reply)
{
	if (t->code != 0)
		return;
	t->code = code;
	t->refusal = reply;
}

/* "554 5.7.1 ..." to "454 4.7.1 ...". */
static void
soften(struct queued *answer)
{
	if (!site.soft_bounce || answer->code / 100 != 5)
		return;
	answer->code -= 100;
	answer->reply[0] = '4';
	if (strlen(answer->reply) > 4 && answer->reply[4] == '5')
		answer->reply[4] = '4';
}

/* Answer a transaction that was refused, and forget it. */
void
transaction_answer_refused(struct transaction *t)
{
	struct queued	answer = {
		.queue_id = pool_strdup(t->pool, t->is_logged &&
		    strcmp(t->mail.origin, "smtpd") == 0 ? t->queue_id : ""),
		.reply = pool_strdup(t->pool, t->refusal),
		.code = t->code
	};

	soften(&answer);
	write_undo(t);
	channel_reply_to(t->channel, t->id, PACKET_QUEUED, &answer);
	transaction_forget(t);
}

/* Answer one whose message was accepted to be thrown away. */
static void
answer_discarded(struct transaction *t)
{
	struct queued	answer = {
		.queue_id = t->queue_id,
		.reply = pool_printf(t->pool, "250 2.0.0 Ok: queued as %s",
		    t->queue_id),
		.code = 250,
		.size = t->content_length
	};

	channel_reply_to(t->channel, t->id, PACKET_QUEUED, &answer);
	transaction_forget(t);
}

/* It will not be accepted: the fiber that has it sees to the rest. */
static void
end_refused(struct transaction *t)
{
	if (t->inbox != NULL)
		inbox_wake(t, false);
	else
		transaction_answer_refused(t);
}

/* Nobody waits for its answer. */
static void
abandon(struct transaction *t)
{
	if (t->inbox != NULL)
		inbox_wake(t, true);
	else
		transaction_forget(t);
}

/* A copy that lasts as long as the transaction; NULL becomes "". */
static char *
keep(struct transaction *t, const char *text)
{
	static char	nothing[1];

	if (text == NULL || *text == '\0')
		return nothing;
	return pool_strdup(t->pool, text);
}

/* Who brought it when it was new. */
static const char *
first_origin(const char *origin)
{
	static const char *const	known[] = { "smtpd", "bounce", "local" };
	size_t				i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i], origin) == 0)
			return known[i];
	return "pickup";
}

/* Believe of its origin only what the peer may say (P3). What pickup brings
 * again is what it was. */
static void
take_origin(struct transaction *t, const char *peer)
{
	struct mail	*m = &t->mail;
	bool		 is_pickup = strcmp(peer, "pickup") == 0;

	t->is_again = is_pickup && (m->flags & MAIL_IS_AGAIN) != 0;
	m->flags &= ~MAIL_IS_AGAIN;
	m->origin = keep(t, t->is_again ? first_origin(m->origin) : peer);
	if (!is_pickup) {
		m->uid = -1;
		m->flags &= ~(MAIL_IS_LOCAL | MAIL_WANTS_TRACE |
		    MAIL_IS_PROBE);
	}
	if (!is_pickup && strcmp(peer, "bounce") != 0)
		m->flags &= ~MAIL_IS_BOUNCE;
	if (strcmp(peer, "local") != 0 && !t->is_again)
		m->flags &= ~MAIL_IS_FORWARD;
	if (!is_pickup && strcmp(peer, "smtpd") != 0)
		m->filter = keep(t, "");
	if (strcmp(peer, "smtpd") != 0 && !is_pickup)
		m->flags &= ~(MAIL_FROM_OURS | MAIL_FROM_OTHERS);
	m->flags &= ~MAIL_IS_HELD;
}

/* Would this text end a line? Whoever brings mail has seen to that. */
static void
check_text(struct transaction *t, const char *text)
{
	for (; *text != '\0'; text++)
		if (is_control((unsigned char)*text)) {
			transaction_refuse(t, 553, "553 5.1.3 Error: a "
			    "control character in an address");
			return;
		}
}

/* VERP: delimiters that are allowed, or none. A report has no sender to
 * vary. */
static void
check_verp(struct transaction *t, const struct mail *m)
{
	if (*m->verp != '\0' && verp_check(m->verp, set.verp_filter) != NULL)
		transaction_refuse(t, 501, "501 5.5.4 Error: VERP delimiters "
		    "that are not allowed");
}

/* The envelope's head, copied out of the packet. */
static void
keep_mail(struct transaction *t, const struct mail *m)
{
	t->mail = *m;
	t->mail.sender = keep(t, m->sender);
	t->mail.client_name = keep(t, m->client_name);
	t->mail.client_address = keep(t, m->client_address);
	t->mail.helo = keep(t, m->helo);
	t->mail.protocol = keep(t, m->protocol);
	t->mail.full_name = keep(t, m->full_name);
	t->mail.envelope_id = keep(t, m->envelope_id);
	t->mail.return_what = keep(t, m->return_what);
	t->mail.verp = keep(t, m->verp);
	t->mail.filter = keep(t, m->filter);
	t->mail.login = keep(t, m->login);
	t->mail.forwarded = keep(t, m->forwarded);
	t->mail.extra = keep(t, m->extra);
	t->mail.recipients = NULL;
	t->mail.count = 0;
	if (t->mail.arrival_us <= 0)
		t->mail.arrival_us = clock_wall_us();
	check_text(t, t->mail.sender);
	check_text(t, t->mail.envelope_id);
	check_text(t, t->mail.full_name);
	check_text(t, t->mail.return_what);
	check_text(t, t->mail.filter);
	check_verp(t, &t->mail);
}

/* Recipients, copied out of a packet. */
static void
keep_recipients(struct transaction *t, const struct recipient_row *rows,
    size_t n)
{
	struct recipient_row	*to;
	size_t			 i;

	if (n == 0)
		return;
	t->rows = pool_grow(t->pool, t->rows, &t->room, t->count + n,
	    sizeof(*t->rows));
	for (i = 0; i < n; i++) {
		to = &t->rows[t->count++];
		to->address = keep(t, rows[i].address);
		to->original = keep(t, rows[i].original);
		to->orcpt = keep(t, rows[i].orcpt);
		to->notify = rows[i].notify & ~NOTIFY_EXPANDED;
		check_text(t, to->address);
		check_text(t, to->original);
		check_text(t, to->orcpt);
	}
	if (pool_is_over(t->pool))
		transaction_refuse(t, 452,
		    "452 4.5.3 Error: too many recipients");
}

/* A transaction in its beginning. */
static struct transaction *
begin(struct request *r)
{
	struct pool		*pool = pool_new("transaction",
				    TRANSACTION_CEILING);
	struct transaction	*t = pool_alloc(pool, sizeof(*t)), *other;

	t->pool = pool;
	t->channel = r->channel;
	t->id = r->id;
	t->fd = -1;
	t->touched = clock_now();
	if ((other = RB_INSERT(transactions, &transactions, t)) != NULL) {
		log_warning("%s used an id twice", r->peer);
		pool_free(pool);
		return NULL;
	}
	channel_hold(t->channel);
	count++;
	return t;
}

/* Its queue id: the one that smtpd has chosen, if that is one of its own. Old
 * ones could be those of other messages. */
static void
name(struct transaction *t, const struct request *r)
{
	const struct mail	*m = r->object;

	if (m->queue_id != NULL && strcmp(r->peer, "smtpd") == 0 &&
	    queue_id_is_of(m->queue_id, (unsigned)r->pid, ID_AGE))
		strlcpy(t->queue_id, m->queue_id, sizeof(t->queue_id));
	else
		queue_id_new(t->queue_id, daemon_worker());
}

/* MAIL: a transaction opens. */
void
on_mail(struct request *r)
{
	const struct mail	*m = r->object;
	struct transaction	*t = begin(r);
	const char		*why;

	if (t == NULL) {
		channel_close(r->channel);
		return;
	}
	if ((why = daemon_unsupported()) != NULL) {
		log_warning("mail is not accepted: %s", why);
		transaction_refuse(t, 451,
		    "451 4.3.5 Server configuration error");
		transaction_answer_refused(t);
		return;
	}
	name(t, r);
	keep_mail(t, m);
	take_origin(t, r->peer);
	t->expects_recipients = m->has_more;
	keep_recipients(t, m->recipients, m->count);
	write_begin(t);
	if (t->code == 0)
		room_open(t);
	if (t->code != 0)
		transaction_answer_refused(t);
}

/* RECIPIENTS: more of them. */
void
on_recipients(struct request *r)
{
	const struct recipients	*more = r->object;
	struct transaction	*t = find(r);

	if (t == NULL)
		return;
	if (!t->expects_recipients)
		transaction_refuse(t, 451,
		    "451 4.3.0 Error: internal protocol error");
	if (t->code != 0) {
		end_refused(t);
		return;
	}
	t->expects_recipients = more->has_more;
	keep_recipients(t, more->recipients, more->count);
	if (t->code != 0)
		end_refused(t);
}

/* Everything has come. */
WAITS void
transaction_finish(struct transaction *t)
{
	if (t->is_discarded) {
		answer_discarded(t);
		return;
	}
	inflow_wait(t);
	alias_apply(t);
	unicode_decide(t);
	if (t->code == 0 && !channel_is_open(t->channel))
		transaction_refuse(t, 451, "451 4.3.0 Error: sender is gone");
	if (t->code != 0 || commit(t) == -1)
		transaction_answer_refused(t);
	else
		transaction_forget(t);
}

/* The transaction's own fiber ends it. */
static void
finish(void *arg)
{
	struct transaction	*t = arg;

	fiber_name("commit");
	if (t->kept != NULL)
		sevenbit_finish(t);
	if (t->code != 0)
		transaction_answer_refused(t);
	else
		transaction_finish(t);
}

/* Its first content: are the recipients there? */
static void
begin_content(struct transaction *t)
{
	if (t->expects_recipients || t->count == 0)
		transaction_refuse(t, 451,
		    "451 4.3.0 Error: internal protocol error");
	else if (sevenbit_is_wanted())
		sevenbit_open(t);
	else if (headers_wait(t))
		inbox_open(t);
	else
		headers_begin(t);
}

/* Count content bytes. */
static void
count_content(struct transaction *t, size_t len)
{
	t->received += (int64_t)len;
	/* A report of ours, or mail passed on, is a little longer than what
	 * was accepted: refused here, it would be tried for ever. */
	if (site.message_size_limit > 0 && !t->is_again &&
	    (t->mail.flags & (MAIL_IS_BOUNCE | MAIL_IS_FORWARD)) == 0 &&
	    t->received > site.message_size_limit) {
		log_warning("%s: queue file size limit exceeded",
		    t->queue_id);
		transaction_refuse(t, 552,
		    "552 5.3.4 Message size exceeds fixed limit");
	}
}

/* Content for which nothing has to be asked now. */
static void
read_now(struct transaction *t, char *data, size_t len)
{
	if (t->kept != NULL)
		sevenbit_put(t, data, len);
	else
		headers_feed(t, data, len);
}

/* A piece for this fiber, and what was left of the one before. */
static void
take_piece(struct transaction *t, struct request *r, const struct content *c)
{
	struct empty	 nothing = { 0 };
	char		*data = (char *)(uintptr_t)c->data.data, before = 0;
	size_t		 len = c->data.len;

	if (set.replaces_stray)
		len = stray_replace(&t->stray, data, len, c->is_last, &before);
	if (before != 0)
		read_now(t, &before, 1);
	if (t->code == 0)
		read_now(t, data, len);
	if (t->code == 0 && c->is_last && t->kept == NULL)
		headers_finish(t);
	if (t->code != 0) {
		transaction_answer_refused(t);
	} else if (c->is_last) {
		t->is_finishing = true;
		fiber_start(finish, t);
	} else if (c->wants_credit)
		channel_reply(r, PACKET_CREDIT, &nothing);
}

/* CONTENT: a piece of the message, perhaps the last. */
void
on_content(struct request *r)
{
	const struct content	*c = r->object;
	struct transaction	*t = find(r);

	if (t == NULL)
		return;
	if (t->heading == NULL && t->inbox == NULL && t->kept == NULL)
		begin_content(t);
	if (t->code == 0)
		count_content(t, c->data.len);
	if (t->code == 0)
		room_follow(t);
	if (t->code != 0) {
		end_refused(t);
	} else if (t->inbox == NULL) {
		take_piece(t, r, c);
	} else {
		t->is_finishing = c->is_last;
		inbox_put(t, c);
	}
}

/* ABANDON: it will not be finished. */
void
on_abandon(struct request *r)
{
	struct transaction	*t = find(r);

	if (t != NULL)
		abandon(t);
}

/* End the transactions that nobody will end. */
static void
sweep_once(int64_t now)
{
	struct transaction	*t, *next;

	RB_FOREACH_SAFE(t, transactions, &transactions, next) {
		if (t->is_finishing)
			continue;
		if (!channel_is_open(t->channel))
			abandon(t);
		else if (now - t->touched > SILENCE_MAX) {
			transaction_refuse(t, 451,
			    "451 4.4.2 Error: timeout");
			end_refused(t);
		}
	}
}

/* Look after them for ever. */
void
transaction_sweep(void *unused)
{
	(void)unused;
	fiber_name("sweeper");
	while (fiber_sleep(SWEEP_EVERY) == 0)
		sweep_once(clock_now());
}
