/*
 * recipient.c - one recipient: alias, .forward, mailbox_transport, mailbox,
 * fallback_transport, in that order.
 *
 * Called by main.c for each recipient of a message, and by alias.c for the
 * users whose mailboxes an alias names.
 *
 * R1  A name that neither an alias nor the user database knows is returned;
 *     one that nobody could be asked about now is tried again.
 * R2  Root's mailbox is in the spool, and root's home is not looked at.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/mail/trace.h"

#include "local/homes.h"
#include "local/local.h"
#include "local/spool.h"

enum {
	STORE_TIME = 10 * 60 * 1000,	/* locks, large messages, slow disks */
	HEAD_LIMIT = 8000
};

const struct param	recipient_params[] = {
	PARAM_SIZE("mailbox_size_limit", set.mailbox_size_limit, "51200000",
	    0, INT64_MAX, "The greatest size of an mbox file, and of a "
	    "message in a Maildir, in bytes. 0 is no limit."),
	PARAM_END
};

/* --- what goes in front of the message ----------------------------------- */

/* Return-Path:, X-Original-To:, Delivered-To:, with LF line ends. */
static char *
make_head(struct addressee *a)
{
	struct str	 head;
	char		*from, *to;
	const char	*original = a->row->original;

	str_init(&head, a->delivery->pool, HEAD_LIMIT);
	trace_return_path(&head, a->delivery->mail->sender);
	if (*original == '\0')
		original = a->row->address;
	if (original[strcspn(original, "\r\n")] == '\0')
		str_addf(&head, "X-Original-To: %s\r\n", original);
	trace_delivered_to(&head, a->row->address);
	for (from = to = head.data; *from != '\0'; from++)
		if (*from != '\r')
			*to++ = *from;
	*to = '\0';
	return head.data;
}

/* "From SENDER Sat Nov 21 23:11:00 2026" */
static char *
make_from_line(struct addressee *a)
{
	const char	*sender = a->delivery->mail->sender;
	time_t		 now = (time_t)(clock_wall_us() / 1000000);
	char		 date[40];
	struct tm	 tm;

	if (strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y",
	    localtime_r(&now, &tm)) == 0)
		date[0] = '\0';
	if (*sender == '\0' || sender[strcspn(sender, "\r\n")] != '\0')
		sender = "MAILER-DAEMON";
	return pool_printf(a->delivery->pool, "From %s %s", sender, date);
}

/* --- mailbox ------------------------------------------------------------- */

/* The mailbox's path (R2). */
static char *
mailbox_path(struct pool *pool, const struct home *h)
{
	if (h->uid == 0 || spool.home_mailbox[0] == '\0')
		return spool_path(pool, h->user);
	return pool_printf(pool, "%s/%s", h->path, spool.home_mailbox);
}

/* Have the user's process put the message into the mailbox. */
WAITS static int
store(struct addressee *a, struct home *h)
{
	struct delivery	*d = a->delivery;
	char		*path = mailbox_path(d->pool, h);
	struct stored	 stored;
	struct store	 ask = {
		.kind = spool_is_maildir(path) ? STORE_MAILDIR : STORE_MBOX,
		.path = path,
		.queue_id = d->mail->queue_id,
		.head = make_head(a),
		.from_line = make_from_line(a),
		.content_offset = d->mail->content_offset,
		.content_length = d->mail->content_length,
		.size_limit = set.mailbox_size_limit,
		.message = d->mail->message
	};

	a->times.ready_us = clock_wall_us();
	if (channel_ask(h->channel, PACKET_STORE, &ask, PACKET_STORED, &stored,
	    d->pool, clock_now() + STORE_TIME) == -1)
		return addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.0",
		    "the mailbox process of %s gave no answer: %s", h->user,
		    strerror(errno));
	return addressee_settle(a, (enum outcome)stored.outcome, 0,
	    stored.dsn, "%s", stored.text);
}

/* What the process of a user has to do. */
WAITS static int
deliver_as(struct addressee *a, struct home *h, bool asks_forward)
{
	int	found;

	if (asks_forward && h->uid != 0 &&
	    (found = forward_deliver(a, h)) != 0)
		return found == 1 ? 0 : -1;
	if ((found = reroute_mailbox(a, h->user)) != 0)
		return found == 1 ? 0 : -1;
	return store(a, h);
}

/* To a name that the user database does not have: somebody else may know it,
 * else it is returned. */
WAITS static int
deliver_unknown(struct addressee *a, const char *user, const char *why)
{
	int	found;

	if ((found = reroute_mailbox(a, user)) == 0)
		found = reroute_unknown(a, user);
	if (found != 0)
		return found == 1 ? 0 : -1;
	return addressee_settle(a, OUTCOME_BOUNCED, 0, "5.1.1", "%s", why);
}

/* To a user of this machine. */
int
recipient_to_user(struct addressee *a, const char *user, bool asks_forward)
{
	struct home	*h;
	const char	*why;
	int		 result;

	if (*user == '\0' || strlen(user) > 255)
		return addressee_settle(a, OUTCOME_BOUNCED, 0, "5.1.1",
		    "unknown user: \"%s\"", user);
	switch (home_take(a->delivery->pool, user, &h, &why)) {
	case HOME_UNKNOWN:
		return deliver_unknown(a, user, why);
	case HOME_TEMPORARY:
		return addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.0", "%s",
		    why);
	default:
		result = deliver_as(a, h, asks_forward);
		home_give(h);
		return result;
	}
}

/* --- the recipient ------------------------------------------------------- */

/* Alias, .forward, mailbox, unless the message has been here before. */
void
recipient_deliver(struct addressee *a)
{
	switch (loops_find(a->delivery, a->row->address)) {
	case -1:
		(void)addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.0",
		    "cannot read the message: %s", strerror(errno));
		return;
	case 1:
		(void)addressee_settle(a, OUTCOME_BOUNCED, 0, "5.4.6",
		    "mail forwarding loop for %s", a->row->address);
		return;
	default:
		break;
	}
	if (alias_deliver(a) == 0)
		(void)recipient_to_user(a, a->user, true);
}
