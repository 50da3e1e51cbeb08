/*
 * notify.c - telling senders: qmgr's side of the bounce daemon.
 *
 * All recipients of one kind that have come to an end in an attempt make one
 * report, up to REPORT_ROWS of them and REPORT_BYTES of reasons; more make
 * several. Mail that was sent with VERP has a report for each recipient, to
 * the sender that names it. A report goes to bounce in as many packets as it
 * takes. Whose turn it is says storm.c; who waits for it has neither a
 * descriptor nor a copy of the reasons, and if too many do, the message is put
 * back. A bounce that says nothing is waited for once, not by every message and
 * for every report.
 *
 * bounce-1  A failed recipient counts as reported only when bounce has
 *           answered 250, which it does when the report is on stable storage,
 *           or when there is nobody to tell; of that there is a line in the
 *           log.
 * P1  Where a message makes many reports, those of the last CHECKPOINT at most
 *     are made again after a crash.
 * P3  A failure whose report must wait is written down as such (the reason,
 *     then the byte): neither a crash nor a restart makes it be delivered
 *     again, or be forgotten.
 */
#include "qmgr/notify.h"

#include <errno.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/daemon/peers.h"
#include "common/ipc/packets.h"
#include "common/mail/dsn.h"
#include "common/mail/verp.h"
#include "common/param/site.h"
#include "qmgr/outcome.h"
#include "qmgr/record.h"
#include "qmgr/retry.h"
#include "qmgr/storm.h"
#include "qmgr/sync.h"

enum {
	ROOM = 40 * 1024,		/* for rows in one packet */
	REPORT_BYTES = 2 * 1024 * 1024,
	PACKETS = 5,			/* times ipc_timeout for a report */
	SILENCE = 60 * 1000,
	CHECKPOINT = 200
};

static struct {
	bool	 no_verp, confirms;
} set;

const struct param	notify_params[] = {
	PARAM_BOOL("disable_verp_bounces", set.no_verp, "no",
	    "Report failures of mail that was sent with VERP once, to the "
	    "sender's own address, and not to the address of each recipient."),
	PARAM_BOOL("confirm_delay_cleared", set.confirms, "no",
	    "Tell a sender who was told of a delay when the message has been "
	    "delivered in the end."),
	PARAM_END
};

static int64_t	silent_until;	/* bounce did not answer */

/* A report being put together. */
struct batch {
	struct pool		*pool;
	const char		*to;		/* the sender, or his VERP */
	struct bounce_row	*rows;
	uint32_t		*numbers;	/* of the rows' recipients */
	size_t			 count, room, numbers_room, bytes;
};

enum told { TOLD, TOLD_NOBODY, TOLD_NOT };

/* --- who wants what ------------------------------------------------------ */

/* Does the sender want to hear of this (RFC 3461 4.1)? Failures and delays
 * always count unless he said otherwise; successes only if he asks. */
static bool
is_wanted(const struct message *m, size_t number, int64_t notify)
{
	int64_t	said = m->envelope.recipients[number].row.notify;

	if (said == 0)
		return notify != NOTIFY_SUCCESS;
	return (said & notify) != 0;
}

/* Is it our duty to tell that this was sent? */
bool
notify_is_due(const struct message *m, size_t number, int64_t flags)
{
	if (m->envelope.mail.sender[0] == '\0' ||
	    (m->envelope.mail.flags & MAIL_IS_PROBE) != 0)
		return false;
	if (is_wanted(m, number, NOTIFY_SUCCESS))
		return (flags & OUTCOME_PASSED_ON) == 0;
	return set.confirms && m->was_warned &&
	    is_wanted(m, number, NOTIFY_DELAY);
}

/* --- putting together ---------------------------------------------------- */

/* What a row takes in a packet, generously. */
static size_t
row_size(const struct bounce_row *r)
{
	return strlen(r->address) + strlen(r->original) + strlen(r->orcpt) +
	    strlen(r->dsn) + strlen(r->text) + strlen(r->remote) +
	    strlen(r->diagnostic) + 128;
}

/* A recipient with what is known of its end. */
static void
add_row(struct batch *b, const struct message *m, size_t number)
{
	const struct work		*w = &m->work[number];
	const struct reason		*r = w->reason;
	const struct recipient_row	*to;
	struct bounce_row		*row;

	to = &m->envelope.recipients[number].row;
	b->rows = pool_grow(b->pool, b->rows, &b->room, b->count + 1,
	    sizeof(*b->rows));
	b->numbers = pool_grow(b->pool, b->numbers, &b->numbers_room,
	    b->count + 1, sizeof(*b->numbers));
	b->numbers[b->count] = (uint32_t)number;
	row = &b->rows[b->count++];
	*row = (struct bounce_row){
	    .address = (char *)(uintptr_t)message_address(m, number),
	    .original = (char *)(uintptr_t)message_original(m, number),
	    .orcpt = to->orcpt,
	    .outcome = w->state == WORK_FAILED ? OUTCOME_BOUNCED :
	    w->state == WORK_UNTOLD || w->state == WORK_SENT ? OUTCOME_SENT :
	    OUTCOME_DEFERRED, .flags = r->flags, .dsn = r->dsn, .text = r->text,
	    .remote = r->remote, .diagnostic = r->diagnostic,
	    .last_attempt_us = r->when_us };
	/* A next hop that would report its own success does not know that a
	 * delay is to be cleared; we do. */
	if (row->flags & OUTCOME_PASSED_ON)
		row->flags |= OUTCOME_RELAYED;
	b->bytes += row_size(row);
}

/* The next recipients in this state that want a report, as many as one may
 * have; *next moves behind them. */
static WAITS void
gather(struct batch *b, const struct message *m, enum work_state state,
    int64_t notify, size_t limit, size_t *next)
{
	for (; *next < m->envelope.count && b->count < limit &&
	    b->bytes < REPORT_BYTES; ++*next) {
		if (m->work[*next].state == state &&
		    (state == WORK_UNTOLD || is_wanted(m, *next, notify)))
			add_row(b, m, *next);
		fiber_breathe();
	}
}

/* The address that the report of this recipient goes to. */
static const char *
verp_of(const struct message *m, size_t number, struct pool *pool)
{
	const char	*original = message_original(m, number);

	return verp_sender(pool, m->envelope.mail.sender,
	    original[0] != '\0' ? original : message_address(m, number),
	    m->envelope.mail.verp);
}

/* Whom we have the message from (RFC 3464 2.2.4): by the name that we know to
 * be its own, else by the one that it gave. */
static char *
received_from(const struct mail *mail, struct pool *pool)
{
	if (mail->client_address[0] == '\0')
		return (char *)(uintptr_t)"";
	if (mail->client_name[0] != '\0' &&
	    strcmp(mail->client_name, "unknown") != 0)
		return pool_printf(pool, "dns; %.200s ([%.60s])",
		    mail->client_name, mail->client_address);
	return pool_printf(pool, "dns; %.200s ([%.60s])",
	    mail->helo[0] != '\0' ? mail->helo : "unknown",
	    mail->client_address);
}

/* --- sending ------------------------------------------------------------- */

/* How many of the rows fit into a packet. */
static size_t
slice(const struct batch *b, size_t first)
{
	size_t	n = 0, used = 0;

	while (first + n < b->count && n < ROWS_MAX) {
		used += row_size(&b->rows[first + n]);
		if (n > 0 && used > ROOM)
			break;
		n++;
	}
	return n;
}

/* The first packet, without its rows. */
static void
fill_packet(struct bounce *p, struct message *m, enum bounce_kind kind,
    const struct batch *b)
{
	const struct mail	*mail = &m->envelope.mail;

	*p = (struct bounce){ .kind = kind, .queue_id = m->id,
	    .sender = (char *)(uintptr_t)b->to,
	    .envelope_id = mail->envelope_id,
	    .return_what = mail->return_what,
	    .received_from = received_from(mail, b->pool),
	    .flags = mail->flags, .arrival_us = mail->arrival_us,
	    .content_offset = m->layout.content_offset,
	    .content_length = m->layout.content_length,
	    .expires_us = mail->arrival_us + (mail->sender[0] == '\0' ?
	    retry.bounce_lifetime : retry.lifetime) * 1000,
	    .message = message_fd(m) };
}

/* All packets of a report, under one id. */
static WAITS int
send_packets(struct channel *c, uint64_t id, struct bounce *p,
    const struct batch *b, int64_t deadline)
{
	struct bounce_rows	more;
	size_t			done;

	p->rows = b->rows;
	p->count = done = slice(b, 0);
	p->has_more = done < b->count;
	if (channel_send(c, PACKET_BOUNCE, id, p, deadline) == -1)
		return -1;
	for (; done < b->count; done += more.count) {
		more.rows = b->rows + done;
		more.count = slice(b, done);
		more.has_more = done + more.count < b->count;
		if (channel_send(c, PACKET_BOUNCE_ROWS, id, &more,
		    deadline) == -1)
			return -1;
	}
	return 0;
}

/* A report to bounce, and its answer: 0 or -1. */
static WAITS int
converse(struct bounce *p, const struct batch *b, struct bounced *answer,
    int64_t deadline)
{
	struct channel	*c = link_channel(to_bounce, 0, deadline);
	struct exchange	*e;
	int		 result;

	if (c == NULL)
		return -1;
	channel_hold(c);
	e = exchange_begin(c, PACKET_BOUNCED, answer, b->pool);
	result = send_packets(c, exchange_id(e), p, b, deadline);
	if (result == 0 || exchange_is_answered(e))
		result = exchange_wait(e, deadline);
	exchange_end(e);
	channel_release(c);
	return result;
}

/* One report to the sender, or to whom the batch says. */
static WAITS enum told
send_report(struct message *m, enum bounce_kind kind, const struct batch *b)
{
	struct bounce	p;
	struct bounced	answer = { .code = 451 };
	int64_t		deadline = clock_now() + PACKETS * site.ipc_timeout;

	if (clock_now() < silent_until)
		return TOLD_NOT;
	fill_packet(&p, m, kind, b);
	if (p.message == -1) {
		log_warning("%s: cannot be opened for a report: %s", m->id,
		    strerror(errno));
		return TOLD_NOT;
	}
	if (converse(&p, b, &answer, deadline) == -1) {
		log_warning("%s: bounce does not answer: %s", m->id,
		    strerror(errno));
		if (clock_now() >= deadline)
			silent_until = clock_now() + SILENCE;
		return TOLD_NOT;
	}
	silent_until = 0;
	if (answer.code / 100 == 2)
		return answer.queue_id[0] != '\0' ? TOLD : TOLD_NOBODY;
	log_warning("%s: sender notification failed: %s", m->id, answer.text);
	return TOLD_NOT;
}

/* Nobody could be told, but it is not kept a secret. */
static void
tell_log(const struct message *m, const struct batch *b)
{
	size_t	i;

	for (i = 0; i < b->count; i++)
		log_warning("%s: to=<%s> failed, and there is nobody who could "
		    "be told: %s", m->id, log_address(b->rows[i].address),
		    b->rows[i].text);
}

/* Is it in the file already that he has failed (P3)? */
static bool
is_written_down(const struct message *m, size_t number)
{
	return m->envelope.recipients[number].status == RECIPIENT_OWED;
}

/* What a report that was made, or not, changes. Who has failed without his
 * sender's knowing is tried again; but not who is no more to be tried. */
static void
settle_batch(struct message *m, enum bounce_kind kind, const struct batch *b,
    enum told told)
{
	struct work	*w;
	size_t		 i;

	if (kind == BOUNCE_FAILURE && told == TOLD_NOBODY)
		tell_log(m, b);
	if (kind == BOUNCE_DELAY && told != TOLD_NOT)
		m->is_warned_now = true;
	for (i = 0; i < b->count; i++) {
		w = &m->work[b->numbers[i]];
		if (kind == BOUNCE_FAILURE && told == TOLD_NOT)
			w->state = is_written_down(m, b->numbers[i]) ?
			    WORK_OWED : WORK_DEFERRED;
		if (kind == BOUNCE_SUCCESS && told != TOLD_NOT) {
			w->state = WORK_SENT;
			sync_cross_off(m, b->numbers[i]);
		}
	}
}

/* No turn for the rest: who failed has not been reported (P3). */
static void
put_off(struct message *m, enum bounce_kind kind, size_t next)
{
	m->is_put_off = true;
	for (; kind == BOUNCE_FAILURE && next < m->envelope.count; next++)
		if (m->work[next].state == WORK_FAILED)
			m->work[next].state = WORK_OWED;
}

/* Report one kind. Who is in a part that was not stored is not reported and
 * comes again at the next attempt. */
static WAITS void
report(struct message *m, enum work_state state, enum bounce_kind kind,
    int64_t notify)
{
	bool		is_verp = kind == BOUNCE_FAILURE && !set.no_verp &&
			    m->envelope.mail.verp[0] != '\0' &&
			    m->envelope.mail.sender[0] != '\0';
	struct batch	b;
	size_t		next = 0, begin = 0;
	int64_t		written = clock_now();

	while (next < m->envelope.count && m->fate != FATE_GONE) {
		if (!storm_take(m, false)) {
			put_off(m, kind, next);
			return;
		}
		b = (struct batch){ .pool = pool_new("report", 0),
		    .to = m->envelope.mail.sender };
		gather(&b, m, state, notify, is_verp ? 1 : REPORT_ROWS, &next);
		if (is_verp && b.count > 0)
			b.to = verp_of(m, b.numbers[0], b.pool);
		if (b.count > 0)
			settle_batch(m, kind, &b, send_report(m, kind, &b));
		pool_free(b.pool);
		storm_give();
		if (clock_now() - written < CHECKPOINT)
			continue;
		record_reported(m, begin,
		    kind == BOUNCE_FAILURE ? next : begin);
		begin = next;
		written = clock_now();
	}
}

/* Is any recipient in this state? */
static bool
has_any(const struct message *m, enum work_state state)
{
	size_t	i;

	for (i = 0; i < m->envelope.count; i++)
		if (m->work[i].state == state)
			return true;
	return false;
}

/* --- the three kinds ----------------------------------------------------- */

/* The failed ones. */
void
notify_failures(struct message *m)
{
	if (m->fate != FATE_GONE && has_any(m, WORK_FAILED))
		report(m, WORK_FAILED, BOUNCE_FAILURE, NOTIFY_FAILURE);
}

/* Has it waited long enough for a warning, and was there none? An age that is
 * not believed ends nothing, and is told to nobody. */
static bool
is_delay_due(const struct message *m)
{
	return retry.warning != 0 && !m->was_warned && m->fate == FATE_NONE &&
	    has_any(m, WORK_DEFERRED) && retry_age(&retry,
	    m->envelope.mail.arrival_us, m->attempt) >= retry.warning &&
	    retry_may_expire();
}

/* Any of the three. */
bool
notify_has_work(const struct message *m)
{
	return has_any(m, WORK_FAILED) || has_any(m, WORK_UNTOLD) ||
	    is_delay_due(m);
}

/* The waiting ones, when the time has come. */
void
notify_delay(struct message *m)
{
	if (is_delay_due(m))
		report(m, WORK_DEFERRED, BOUNCE_DELAY, NOTIFY_DELAY);
}

/* Those that have been sent. */
void
notify_successes(struct message *m)
{
	if (m->fate != FATE_GONE && has_any(m, WORK_UNTOLD))
		report(m, WORK_UNTOLD, BOUNCE_SUCCESS, NOTIFY_SUCCESS);
}

/* --- what sendmail -v and -bv ask for ------------------------------------ */

/* Is a report of this attempt to be made, whatever comes of it? */
bool
notify_wants_trace(const struct message *m)
{
	int64_t	flags = m->envelope.mail.flags;

	if (m->fate != FATE_NONE && m->fate != FATE_EXPIRE)
		return false;
	return (flags & MAIL_IS_PROBE) != 0 ||
	    ((flags & MAIL_WANTS_TRACE) != 0 && m->attempt == 0);
}

/* A probe ends with its report; without it, it is made again. */
static void
end_probe(struct message *m, const struct batch *b, enum told told)
{
	size_t	i;

	for (i = 0; i < b->count; i++)
		m->work[b->numbers[i]].state = told == TOLD_NOT ?
		    WORK_DEFERRED : WORK_SENT;
}

/* Is it known what came of him, and is the sender to know? Not of the copies
 * that he knows nothing of: they are NOTIFY=NEVER. */
static bool
is_traced(const struct message *m, size_t number)
{
	const struct work	*w = &m->work[number];

	if (w->state == WORK_OVER || w->reason == NULL)
		return false;
	return (m->envelope.mail.flags & MAIL_IS_PROBE) != 0 ||
	    m->envelope.recipients[number].row.notify != NOTIFY_NEVER;
}

/* The next recipients that were asked for in this attempt. */
static WAITS void
gather_tried(struct batch *b, const struct message *m, size_t *next)
{
	for (; *next < m->envelope.count && b->count < REPORT_ROWS &&
	    b->bytes < REPORT_BYTES; ++*next) {
		if (is_traced(m, *next))
			add_row(b, m, *next);
		fiber_breathe();
	}
}

/* We end, and nothing is told of the rest of them: it is made again. */
static void
keep_probe(struct message *m, size_t next)
{
	if ((m->envelope.mail.flags & MAIL_IS_PROBE) == 0)
		return;
	for (; next < m->envelope.count; next++)
		if (is_traced(m, next))
			m->work[next].state = WORK_DEFERRED;
}

/* What came of everybody in this attempt. */
void
notify_trace(struct message *m)
{
	struct batch	b;
	enum told	told;
	size_t		next = 0;

	while (notify_wants_trace(m) && next < m->envelope.count) {
		if (!storm_take(m, true)) {
			keep_probe(m, next);
			return;
		}
		b = (struct batch){ .pool = pool_new("report", 0),
		    .to = m->envelope.mail.sender };
		gather_tried(&b, m, &next);
		told = b.count > 0 ? send_report(m, BOUNCE_TRACE, &b) : TOLD;
		if (m->envelope.mail.flags & MAIL_IS_PROBE)
			end_probe(m, &b, told);
		pool_free(b.pool);
		storm_give();
	}
}
