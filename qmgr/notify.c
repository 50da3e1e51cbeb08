/*
 * notify.c - telling senders: qmgr's side of the bounce daemon.
 *
 * A report goes out in as many pieces as packets are needed; each piece stands
 * for itself.
 *
 * P1  A failed recipient counts as reported only when bounce has answered
 *     250, which it does when the report is on stable storage.
 */
#include "qmgr/notify.h"

#include <errno.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/ipc/packets.h"
#include "common/mail/dsn.h"
#include "qmgr/outcome.h"
#include "qmgr/retry.h"

enum {
	ROOM = 40 * 1024,		/* for rows in one packet */
	PATIENCE = 5 * 60 * 1000
};

/* What a row takes in a packet, generously. */
static size_t
row_size(const struct bounce_row *r)
{
	return strlen(r->address) + strlen(r->original) + strlen(r->orcpt) +
	    strlen(r->dsn) + strlen(r->text) + strlen(r->remote) +
	    strlen(r->diagnostic) + 128;
}

/* Does the sender want to hear of this (RFC 3461 4.1)? Failures always count
 * unless he said otherwise; warnings too. */
static bool
is_wanted(const struct message *m, size_t number, int64_t notify)
{
	int64_t	said = m->envelope.recipients[number].row.notify;

	return said == 0 || (said & notify) != 0;
}

/* The row of a recipient. */
static void
fill_row(struct bounce_row *row, const struct message *m, size_t number,
    enum outcome outcome)
{
	const struct reason	*r = m->work[number].reason;
	const struct recipient_row *to = &m->envelope.recipients[number].row;

	*row = (struct bounce_row){
	    .address = (char *)(uintptr_t)message_address(m, number),
	    .original = (char *)(uintptr_t)message_original(m, number),
	    .orcpt = to->orcpt, .outcome = outcome, .flags = r->flags,
	    .dsn = r->dsn, .text = r->text, .remote = r->remote,
	    .diagnostic = r->diagnostic, .last_attempt_us = r->when_us };
}

/* One packet to bounce: 0, or -1 when the report is not stored. */
static WAITS int
send_report(struct message *m, enum bounce_kind kind, struct bounce_row *rows,
    size_t count, struct pool *pool)
{
	const struct mail	*mail = &m->envelope.mail;
	struct bounce		 b = { .kind = kind, .queue_id = m->id,
	    .sender = mail->sender, .envelope_id = mail->envelope_id,
	    .return_what = mail->return_what, .flags = mail->flags,
	    .arrival_us = mail->arrival_us,
	    .content_offset = m->layout.content_offset,
	    .content_length = m->layout.content_length,
	    .expires_us = mail->arrival_us + retry.lifetime * 1000,
	    .rows = rows, .count = count, .message = message_fd(m) };
	struct bounced		 answer;

	if (b.message == -1) {
		log_warning("%s: cannot be opened for a report: %s", m->id,
		    strerror(errno));
		return -1;
	}
	if (link_ask(to_bounce, PACKET_BOUNCE, &b, PACKET_BOUNCED, &answer,
	    pool, clock_now() + PATIENCE, false) == -1) {
		log_warning("%s: bounce does not answer: %s", m->id,
		    strerror(errno));
		return -1;
	}
	if (answer.code / 100 == 2)
		return 0;
	log_warning("%s: sender notification failed: %s", m->id, answer.text);
	return -1;
}

/* The next recipients in this state that want a report, as many as fit into a
 * packet; *next moves behind them. */
static size_t
gather(const struct message *m, enum work_state state, int64_t notify,
    struct bounce_row *rows, uint32_t *numbers, size_t *next)
{
	size_t	n = 0, used = 0;
	size_t	i;

	for (i = *next; i < m->envelope.count && n < ROWS_MAX; i++) {
		if (m->work[i].state != state || !is_wanted(m, i, notify))
			continue;
		fill_row(&rows[n], m, i, state == WORK_FAILED ?
		    OUTCOME_BOUNCED : OUTCOME_DEFERRED);
		used += row_size(&rows[n]);
		if (n > 0 && used > ROOM)
			break;
		numbers[n++] = (uint32_t)i;
	}
	*next = i;
	return n;
}

/* Without a sender nobody can be told, but it is not kept a secret. */
static void
tell_log(const struct message *m)
{
	size_t	i;

	for (i = 0; i < m->envelope.count; i++)
		if (m->work[i].state == WORK_FAILED)
			log_warning("%s: to=<%s> failed, and the message has no "
			    "sender who could be told: %s", m->id,
			    message_address(m, i), m->work[i].reason->text);
}

/* Report one kind; returns false when any part was not stored. Those parts'
 * failures are not reported and are tried again. */
static WAITS bool
report(struct message *m, enum work_state state, enum bounce_kind kind,
    int64_t notify)
{
	struct pool		*pool;
	struct bounce_row	*rows;
	uint32_t		*numbers;
	size_t			 next = 0, n;
	bool			 is_stored = true;

	while (next < m->envelope.count) {
		pool = pool_new("report", 0);
		rows = pool_array(pool, ROWS_MAX, sizeof(*rows));
		numbers = pool_array(pool, ROWS_MAX, sizeof(*numbers));
		n = gather(m, state, notify, rows, numbers, &next);
		if (n > 0 && send_report(m, kind, rows, n, pool) == -1) {
			is_stored = false;
			while (kind == BOUNCE_FAILURE && n > 0)
				m->work[numbers[--n]].state = WORK_DEFERRED;
		}
		pool_free(pool);
	}
	return is_stored;
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

/* The failed ones. */
void
notify_failures(struct message *m)
{
	if (m->fate == FATE_GONE || !has_any(m, WORK_FAILED))
		return;
	if (m->envelope.mail.sender[0] == '\0')
		tell_log(m);
	else
		(void)report(m, WORK_FAILED, BOUNCE_FAILURE, NOTIFY_FAILURE);
}

/* The waiting ones, when the time has come. */
void
notify_delay(struct message *m)
{
	const struct mail	*mail = &m->envelope.mail;

	if (retry.warning == 0 || m->was_warned || m->fate != FATE_NONE ||
	    mail->sender[0] == '\0' || !has_any(m, WORK_DEFERRED) ||
	    clock_wall_us() - mail->arrival_us < retry.warning * 1000)
		return;
	m->is_warned_now = report(m, WORK_DEFERRED, BOUNCE_DELAY,
	    NOTIFY_DELAY);
}
