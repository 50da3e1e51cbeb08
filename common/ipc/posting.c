/*
 * posting.c - one message on its way into cleanup.
 *
 * Called by everything that brings mail: smtpd, pickup, bounce, local. The
 * packets and their order are told in packets.h.
 *
 * P1  The last piece is sent only behind all the others: a message of which a
 *     part could not be handed over is abandoned, never finished.
 */

#include "common/ipc/posting.h"

#include <errno.h>
#include <string.h>

#include "common/base/str.h"

struct posting {
	struct channel	*channel;
	struct exchange	*exchange;
	struct queued	 answer;
	char		*buffer;	/* CONTENT_MAX bytes */
	size_t		 filled;
	unsigned	 sent;		/* content packets so far */
	bool		 is_torn;	/* a piece could not be sent */
};

/* What a recipient's row takes in a packet, generously. */
static size_t
row_size(const struct recipient_row *row)
{
	return strlen(row->address) + strlen(row->original) +
	    strlen(row->orcpt) + 64;
}

/* How many of these rows fit into `room` bytes of a packet; at least one. */
static size_t
rows_that_fit(const struct recipient_row *rows, size_t count, size_t room)
{
	size_t	n, used;

	used = 0;
	for (n = 0; n < count && n < ROWS_MAX; n++) {
		used += row_size(&rows[n]);
		if (used > room)
			break;
	}
	return n > 0 ? n : 1;
}

/* The envelope: MAIL with the first recipients, RECIPIENTS with the rest. */
WAITS static int
send_envelope(struct posting *p, const struct mail *mail, int64_t deadline)
{
	struct mail		 first;
	struct recipients	 more;
	size_t			 n, done;

	first = *mail;
	first.count = rows_that_fit(mail->recipients, mail->count, 40000);
	if (first.count > mail->count)
		first.count = mail->count;
	first.has_more = first.count < mail->count;
	if (channel_send(p->channel, PACKET_MAIL, exchange_id(p->exchange),
	    &first, deadline) == -1)
		return -1;

	for (done = first.count; done < mail->count; done += n) {
		n = rows_that_fit(mail->recipients + done, mail->count - done,
		    60000);
		more.recipients = mail->recipients + done;
		more.count = n;
		more.has_more = done + n < mail->count;
		if (channel_send(p->channel, PACKET_RECIPIENTS,
		    exchange_id(p->exchange), &more, deadline) == -1)
			return -1;
	}
	return 0;
}

/* Forget the exchange and the channel. */
static void
end(struct posting *p)
{
	if (p->exchange != NULL)
		exchange_end(p->exchange);
	if (p->channel != NULL)
		channel_release(p->channel);
	p->exchange = NULL;
	p->channel = NULL;
}

struct posting *
posting_open(struct pool *pool, struct link *cleanup, struct mail *mail,
    int64_t deadline)
{
	struct posting	*p;

	p = pool_alloc(pool, sizeof(*p));
	p->channel = link_channel(cleanup, 0, deadline);
	if (p->channel == NULL)
		return NULL;
	channel_hold(p->channel);
	p->exchange = exchange_begin(p->channel, PACKET_QUEUED, &p->answer,
	    pool);
	p->buffer = pool_alloc(pool, CONTENT_MAX);
	if (send_envelope(p, mail, deadline) == -1) {
		end(p);
		return NULL;
	}
	return p;
}

/* One content packet with what has been gathered. */
WAITS static int
send_content(struct posting *p, bool is_last, int64_t deadline)
{
	struct content	content;

	content.data.data = p->buffer;
	content.data.len = p->filled;
	content.is_last = is_last;
	content.wants_credit = !is_last && (p->sent + 1) % CREDIT_EVERY == 0;
	if (channel_send(p->channel, PACKET_CONTENT, exchange_id(p->exchange),
	    &content, deadline) == -1)
		return -1;
	p->filled = 0;
	p->sent++;

	if (!content.wants_credit)
		return 0;
	return exchange_wait_credit(p->exchange, p->sent / CREDIT_EVERY,
	    deadline);
}

int
posting_write(struct posting *p, const void *data, size_t len,
    int64_t deadline)
{
	const char	*from = data;
	size_t		 n;

	while (len > 0) {
		if (p->filled == CONTENT_MAX &&
		    send_content(p, false, deadline) == -1) {
			p->is_torn = true;
			return -1;
		}
		if (exchange_is_answered(p->exchange)) {
			errno = EPIPE;
			return -1;
		}
		n = CONTENT_MAX - p->filled;
		if (n > len)
			n = len;
		memcpy(p->buffer + p->filled, from, n);
		p->filled += n;
		from += n;
		len -= n;
	}
	return 0;
}

int
posting_finish(struct posting *p, struct queued *answer, int64_t deadline)
{
	int	result;

	result = 0;
	if (p->is_torn && !exchange_is_answered(p->exchange)) {
		posting_abandon(p);
		errno = EPIPE;
		return -1;
	}
	if (!exchange_is_answered(p->exchange))
		result = send_content(p, true, deadline);
	if (result == 0 || exchange_is_answered(p->exchange))
		result = exchange_wait(p->exchange, deadline);
	if (result == 0)
		*answer = p->answer;
	else
		posting_abandon(p);
	end(p);
	return result;
}

void
posting_abandon(struct posting *p)
{
	struct empty	nothing = { 0 };

	if (p->exchange != NULL && !exchange_is_answered(p->exchange))
		channel_post(p->channel, PACKET_ABANDON,
		    exchange_id(p->exchange), &nothing);
	end(p);
}
