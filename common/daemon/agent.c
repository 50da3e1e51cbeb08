/*
 * agent.c - what every delivery agent does the same way.
 *
 * Called by smtp, local and error at the end of a delivery. The shape of the
 * log line is Postfix's, since programs read it.
 */

#include "common/daemon/agent.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/param/site.h"

#include "common/daemon/peers.h"

enum {
	ROWS_PER_PACKET = 100,
	PACKET_ROOM = 48 * 1024,
	SECOND = 1000 * 1000		/* in microseconds */
};

/* The number with a point before the last digits of it. */
static char *
print_decimal(char to[32], int64_t n, int digits)
{
	char	 reversed[32], *at = to;
	size_t	 len = 0;

	while (n > 0 || len == 0 || digits >= 0) {
		if (digits-- == 0 && len > 0)
			reversed[len++] = '.';
		reversed[len++] = (char)('0' + n % 10);
		n /= 10;
	}
	while (len > 0)
		*at++ = reversed[--len];
	*at = '\0';
	return to;
}

/* Two digits that count, but no more behind the point than the limit; zeros
 * at the end are left out, as Postfix does. */
char *
agent_seconds(char to[32], int64_t us)
{
	int64_t	unit = 10 * SECOND, least = SECOND;
	int	digits = 0;

	if (us < 0)
		us = 0;
	while (us < unit && digits < (int)site.delay_digits) {
		unit /= 10;
		least /= 10;
		digits++;
	}
	us = (us + least / 2) / least;
	while (digits > 0 && us % 10 == 0) {
		us /= 10;
		digits--;
	}
	return print_decimal(to, us, digits);
}

static const char *
status_word(const struct deliver *d, int64_t outcome)
{
	if (d->flags & MAIL_IS_PROBE)
		return outcome == OUTCOME_SENT ? "deliverable" :
		    "undeliverable";
	switch (outcome) {
	case OUTCOME_SENT:
		return "sent";
	case OUTCOME_DEFERRED:
		return "deferred";
	default:
		return site.soft_bounce ? "SOFTBOUNCE" : "bounced";
	}
}

void
agent_log(const struct deliver *d, const struct deliver_row *to,
    const char *relay, unsigned conn_use, const struct agent_times *t,
    const struct outcome_row *outcome)
{
	char	all[32], before[32], queued[32], ready[32], sent[32], use[32];
	char	dsn[16];

	strlcpy(dsn, outcome->dsn, sizeof(dsn));
	if (outcome->outcome == OUTCOME_BOUNCED && site.soft_bounce &&
	    dsn[0] == '5')
		dsn[0] = '4';		/* as qmgr will take it */
	use[0] = '\0';
	if (conn_use > 1)
		snprintf(use, sizeof(use), "conn_use=%u, ", conn_use);
	log_info("%s: to=<%s>, %s%s%srelay=%s, %sdelay=%s, "
	    "delays=%s/%s/%s/%s, dsn=%s, status=%s (%s)", d->queue_id,
	    log_address(to->address),
	    to->original[0] != '\0' ? "orig_to=<" : "",
	    log_address(to->original),
	    to->original[0] != '\0' ? ">, " : "", relay, use,
	    agent_seconds(all, t->done_us - d->arrival_us),
	    agent_seconds(before, d->active_us - d->arrival_us),
	    agent_seconds(queued, t->start_us - d->active_us),
	    agent_seconds(ready, t->ready_us - t->start_us),
	    agent_seconds(sent, t->done_us - t->ready_us), dsn,
	    status_word(d, outcome->outcome), outcome->text);
}

static size_t
row_size(const struct outcome_row *row)
{
	return strlen(row->dsn) + strlen(row->text) + strlen(row->remote) +
	    strlen(row->diagnostic) + 96;
}

/* A packet that cannot be sent would keep qmgr waiting for ever: what a
 * remote host says at great length is cut to what a field holds. */
static char *
fit(struct pool *pool, char *text, size_t size)
{
	return strlen(text) <= size ? text : pool_strndup(pool, text, size);
}

/* In as many packets as they need. */
static void
report(struct request *r, struct outcome_row *rows, size_t count, bool is_all)
{
	struct outcome_packet	packet;
	size_t			done, n, used;

	for (n = 0; n < count; n++) {
		rows[n].text = fit(r->pool, rows[n].text, REPLY_MAX);
		rows[n].diagnostic = fit(r->pool, rows[n].diagnostic,
		    REPLY_MAX);
		rows[n].remote = fit(r->pool, rows[n].remote, ADDRESS_MAX);
	}
	done = 0;
	do {
		used = 0;
		for (n = 0; done + n < count && n < ROWS_PER_PACKET; n++) {
			used += row_size(&rows[done + n]);
			if (n > 0 && used > PACKET_ROOM)
				break;
		}
		packet.rows = rows + done;
		packet.count = n;
		done += n;
		packet.is_last = is_all && done >= count;
		if (channel_post(r->channel, PACKET_OUTCOME, r->id,
		    &packet) == -1)
			channel_close(r->channel);	/* it will ask again */
	} while (done < count);
}

void
agent_report(struct request *r, struct outcome_row *rows, size_t count)
{
	report(r, rows, count, true);
}

void
agent_report_some(struct request *r, struct outcome_row *rows, size_t count)
{
	if (count > 0 && channel_is_open(r->channel))
		report(r, rows, count, false);
}

void
agent_report_all(struct request *r, const char *relay, enum outcome outcome,
    int64_t flags, const char *dsn, const char *text)
{
	struct deliver		*d = r->object;
	struct outcome_row	*rows;
	struct agent_times	 t;
	size_t			 i;

	t.start_us = t.ready_us = t.done_us = clock_wall_us();
	rows = pool_array(r->pool, d->count, sizeof(*rows));
	for (i = 0; i < d->count; i++) {
		rows[i].number = d->recipients[i].number;
		rows[i].outcome = outcome;
		rows[i].flags = flags;
		rows[i].dsn = (char *)dsn;
		rows[i].text = (char *)text;
		rows[i].remote = rows[i].diagnostic = "";
		agent_log(d, &d->recipients[i], relay, 0, &t, &rows[i]);
	}
	agent_report(r, rows, d->count);
}
