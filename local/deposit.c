/*
 * deposit.c - a copy into a mailbox or file, and what stands in front of it.
 *
 * Called by recipient.c, errand.c, virtual.c with the process that stores it,
 * by shell.c and pipe.c for the head.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/mail/trace.h"

#include "local/homes.h"
#include "local/local.h"
#include "local/locking.h"
#include "local/spool.h"

enum {
	STORE_TIME = 10 * 60 * 1000,	/* locks, large messages, slow disks */
	HEAD_LIMIT = 8000
};

/* Return-Path:, X-Original-To:, Delivered-To:, with LF line ends. */
char *
head_make(struct addressee *a, unsigned fields)
{
	struct str	 head;
	char		*from, *to;
	const char	*original = a->row->original;

	str_init(&head, a->delivery->pool, HEAD_LIMIT);
	if (fields & HEAD_RETURN_PATH)
		trace_return_path(&head, a->sender);
	if (*original == '\0')
		original = a->row->address;
	if ((fields & HEAD_ORIGINAL) &&
	    original[strcspn(original, "\r\n")] == '\0')
		str_addf(&head, "X-Original-To: %s\r\n", original);
	if (fields & HEAD_DELIVERED)
		trace_delivered_to(&head, a->row->address);
	for (from = to = head.data; *from != '\0'; from++)
		if (*from != '\r')
			*to++ = *from;
	*to = '\0';
	return head.data;
}

/* "From SENDER Sat Nov 21 23:11:00 2026" */
char *
head_from_line(struct addressee *a)
{
	const char	*sender = a->sender;
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

/* Have the process store it. */
int
deposit(struct addressee *a, struct home *h, const struct deposit *what)
{
	struct delivery	*d = a->delivery;
	struct stored	 stored;
	struct store	 ask = {
		.kind = spool_is_maildir(what->path) ? STORE_MAILDIR :
		    STORE_MBOX,
		.flags = what->flags, .path = what->path,
		.queue_id = d->mail->queue_id,
		.head = head_make(a, what->head),
		.from_line = head_from_line(a),
		.content_offset = d->mail->content_offset,
		.content_length = d->mail->content_length,
		.size_limit = what->size_limit, .unless = what->unless,
		.files = what->files, .message = d->mail->message
	};
	const char	*wrong = locking_fill(&ask);

	if (wrong != NULL && ask.kind == STORE_MBOX)
		return addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.5", "%s",
		    wrong);
	if (strlen(what->path) > 4000)
		return addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.5",
		    "the path of the mailbox is too long");
	a->times.ready_us = clock_wall_us();
	if (d->mail->flags & MAIL_IS_PROBE)
		return addressee_settle(a, OUTCOME_SENT, 0, "2.0.0",
		    "delivers to mailbox");
	if (channel_ask(h->channel, PACKET_STORE, &ask, PACKET_STORED, &stored,
	    d->pool, clock_now() + STORE_TIME) == -1)
		return addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.0",
		    "the mailbox process of %s gave no answer: %s", h->user,
		    strerror(errno));
	if (stored.outcome == OUTCOME_REROUTED)
		return what->files > 0 ? 1 : addressee_settle(a,
		    OUTCOME_DEFERRED, 0, "4.3.0", "the mailbox process of %s "
		    "answered what it was not asked", h->user);
	return addressee_settle(a, (enum outcome)stored.outcome, 0,
	    stored.dsn, "%s", stored.outcome == OUTCOME_SENT &&
	    what->sent != NULL ? what->sent : stored.text);
}
