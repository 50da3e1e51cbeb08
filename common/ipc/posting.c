/*
 * posting.c - one message on its way into cleanup.
 *
 * Called by everything that brings mail: smtpd, pickup, bounce, local. The
 * packets and their order are told in packets.h. The first, MAIL, waits for the
 * first piece of the text, and both go together: cleanup has nothing to do for
 * a message whose text has not come. One that begins to drain meanwhile is left
 * for another. While credit for some packets is on its way, the next are sent:
 * where both sides are quick nobody waits.
 *
 * P1  The last piece is sent only behind all the others: a message of which a
 *     part could not be handed over is abandoned, never finished.
 */

#include "common/ipc/posting.h"

#include <errno.h>
#include <string.h>

#include "common/base/str.h"

struct posting {
	struct pool	*pool;
	struct link	*cleanup;
	struct channel	*channel;
	struct exchange	*exchange;	/* from the first packet on */
	struct queued	 answer;
	struct str	 first;		/* MAIL, while it is not sent */
	struct str	 text;		/* up to CONTENT_MAX bytes */
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

/* Has cleanup said something already? */
static bool
is_answered(const struct posting *p)
{
	return p->exchange != NULL && exchange_is_answered(p->exchange);
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

/* Begin with one that takes new mail: the first choice, if it still does. */
WAITS static int
begin(struct posting *p, int64_t deadline)
{
	if (!channel_is_open(p->channel) || channel_is_draining(p->channel)) {
		end(p);
		p->channel = link_channel(p->cleanup, 0, deadline);
		if (p->channel == NULL)
			return -1;
		channel_hold(p->channel);
	}
	p->exchange = exchange_begin(p->channel, PACKET_QUEUED, &p->answer,
	    p->pool);
	return 0;
}

/* RECIPIENTS with the rest, from `done` on. */
WAITS static int
send_recipients(struct posting *p, const struct mail *mail, size_t done,
    int64_t deadline)
{
	struct recipients	more;

	for (; done < mail->count; done += more.count) {
		more.recipients = mail->recipients + done;
		more.count = rows_that_fit(more.recipients,
		    mail->count - done, 60000);
		more.has_more = done + more.count < mail->count;
		if (channel_send(p->channel, PACKET_RECIPIENTS,
		    exchange_id(p->exchange), &more, deadline) == -1)
			return -1;
	}
	return 0;
}

/* The envelope: MAIL with the first recipients, kept if there are no more. */
WAITS static int
send_envelope(struct posting *p, const struct mail *mail, int64_t deadline)
{
	struct mail	first = *mail;

	first.count = rows_that_fit(mail->recipients, mail->count, 40000);
	if (first.count > mail->count)
		first.count = mail->count;
	first.has_more = first.count < mail->count;
	if (!first.has_more)
		return channel_make(p->channel, PACKET_MAIL, &first,
		    &p->first);
	if (begin(p, deadline) == -1 || channel_send(p->channel, PACKET_MAIL,
	    exchange_id(p->exchange), &first, deadline) == -1)
		return -1;
	return send_recipients(p, mail, first.count, deadline);
}

struct posting *
posting_open(struct pool *pool, struct link *cleanup, struct mail *mail,
    int64_t deadline)
{
	struct posting	*p;

	p = pool_alloc(pool, sizeof(*p));
	p->pool = pool;
	p->cleanup = cleanup;
	p->channel = link_channel(cleanup, 0, deadline);
	if (p->channel == NULL)
		return NULL;
	channel_hold(p->channel);
	str_init(&p->first, pool, 0);
	str_init(&p->text, pool, CONTENT_MAX);
	if (send_envelope(p, mail, deadline) == -1) {
		posting_abandon(p);	/* MAIL may be there */
		return NULL;
	}
	return p;
}

/* One content packet with what has been gathered. */
WAITS static int
send_content(struct posting *p, bool is_last, int64_t deadline)
{
	struct content	content;

	if (p->exchange == NULL && (p->channel == NULL ||
	    begin(p, deadline) == -1))
		return -1;
	content.data.data = p->text.data;
	content.data.len = p->text.len;
	content.is_last = is_last;
	content.wants_credit = !is_last && (p->sent + 1) % CREDIT_EVERY == 0;
	if (channel_send_behind(p->channel, p->first.len > 0 ? &p->first :
	    NULL, PACKET_CONTENT, exchange_id(p->exchange), &content,
	    deadline) == -1)
		return -1;
	str_clear(&p->first);
	str_clear(&p->text);
	p->sent++;

	if (!content.wants_credit)
		return 0;
	return exchange_wait_credit(p->exchange, p->sent / CREDIT_EVERY - 1,
	    deadline);
}

int
posting_write(struct posting *p, const void *data, size_t len,
    int64_t deadline)
{
	const char	*from = data;
	size_t		 n;

	while (len > 0) {
		if (p->text.len == CONTENT_MAX &&
		    send_content(p, false, deadline) == -1) {
			p->is_torn = true;
			return -1;
		}
		if (is_answered(p)) {
			errno = EPIPE;
			return -1;
		}
		n = CONTENT_MAX - p->text.len;
		if (n > len)
			n = len;
		str_add_mem(&p->text, from, n);
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
	if (p->is_torn && !is_answered(p)) {
		posting_abandon(p);
		errno = EPIPE;
		return -1;
	}
	if (!is_answered(p))
		result = send_content(p, true, deadline);
	if (result == 0 || is_answered(p))
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
	int		error = errno;

	if (p->exchange != NULL && !exchange_is_answered(p->exchange))
		channel_post(p->channel, PACKET_ABANDON,
		    exchange_id(p->exchange), &nothing);
	end(p);
	errno = error;
}
