/*
 * repost.c - a message for other recipients, into cleanup as a new one.
 *
 * Called by alias.c and forward.c. The new message has the content of the old
 * one behind "Delivered-To: RECIPIENT", by which a loop is found, and goes
 * its own way from then on: each of its recipients is tried, deferred and
 * returned by itself.
 */
#include <errno.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/ipc/posting.h"
#include "common/mail/dsn.h"
#include "common/mail/trace.h"

#include "local/expand.h"

enum {
	BLOCK = 32 * 1024,
	POST_TIME = 10 * 60 * 1000
};

/* The envelope: a list with an owner asks for its own reports, which name its
 * members and not itself (RFC 3461 5.2.7.1); an alias passes the sender's
 * wishes on (5.2.7.2). */
static void
make_envelope(const struct expansion *e, struct mail *mail)
{
	const struct deliver	*old = e->to->delivery->mail;
	static char		 nothing[1], origin[] = "local";
	size_t			 i;

	*mail = (struct mail){
		.sender = e->sender, .origin = origin,
		.client_name = nothing, .client_address = nothing,
		.helo = nothing, .protocol = nothing, .full_name = nothing,
		.envelope_id = e->is_list ? nothing : old->envelope_id,
		.return_what = e->is_list ? nothing : old->return_what,
		.login = nothing, .extra = nothing, .verp = nothing, .uid = -1,
		.flags = MAIL_IS_FORWARD |
		    (old->flags & (MAIL_IS_8BIT | MAIL_IS_UTF8)),
		.arrival_us = clock_wall_us(),
		.size_hint = old->content_length,
		.recipients = e->rows, .count = e->count
	};
	for (i = 0; e->is_list && i < e->count; i++) {
		e->rows[i].orcpt = expand_as_orcpt(e->to->delivery->pool,
		    e->rows[i].address);
		e->rows[i].notify = 0;
	}
}

/* Delivered-To: and the old content. 0, or -1 with errno. */
WAITS static int
write_content(struct addressee *a, struct posting *p, int64_t deadline)
{
	struct delivery	*d = a->delivery;
	char		*block = pool_alloc(d->pool, BLOCK);
	int64_t		 at = d->mail->content_offset,
			 left = d->mail->content_length;
	struct str	 head;
	size_t		 want;

	str_init(&head, d->pool, 0);
	if (shell_wants_delivered("forward"))
		trace_delivered_to(&head, a->row->address);
	if (posting_write(p, head.data, head.len, deadline) == -1)
		return -1;
	for (; left > 0; left -= (int64_t)want, at += (int64_t)want) {
		want = left < BLOCK ? (size_t)left : BLOCK;
		if (fs_pread(d->mail->message, block, want, at) !=
		    (ssize_t)want) {
			errno = EBADMSG;
			return -1;
		}
		if (posting_write(p, block, want, deadline) == -1)
			return -1;
	}
	return 0;
}

/* The whole conversation with cleanup: 0 with its answer, or -1. */
WAITS static int
post(struct expansion *e, struct queued *answer)
{
	struct mail	 mail;
	struct posting	*p;
	int64_t		 deadline = clock_now() + POST_TIME;

	make_envelope(e, &mail);
	p = posting_open(e->to->delivery->pool, to_cleanup, &mail,
	    local_deadline());
	if (p == NULL)
		return -1;
	if (write_content(e->to, p, deadline) == -1 && errno == EBADMSG) {
		posting_abandon(p);
		return -1;
	}
	/* whatever else went wrong, its answer may tell why */
	return posting_finish(p, answer, deadline);
}

/* What cleanup said against it. */
WAITS static int
settle_refusal(struct addressee *a, const struct queued *answer)
{
	bool		 is_permanent = answer->code >= 500;
	const char	*text = answer->reply, *dsn;
	size_t		 len;

	if (strlen(text) > 4)
		text += 4;
	dsn = is_permanent ? "5.0.0" : "4.3.0";
	if ((len = dsn_find(text, (int)answer->code)) > 0) {
		dsn = pool_strndup(a->delivery->pool, text, len);
		text += len;
		text += strspn(text, " ");
	}
	return addressee_settle(a, is_permanent ? OUTCOME_BOUNCED :
	    OUTCOME_DEFERRED, 0, dsn, "cannot forward: %s", text);
}

/*
 * What its sender is to be told of the success (RFC 3461 5.2.7): a list takes
 * delivery; one address that stands for another hands the wish on; of several,
 * none reports success, since this is told here.
 */
static int64_t
flags_of(const struct expansion *e)
{
	if (e->is_list)
		return 0;
	return e->is_single ? OUTCOME_PASSED_ON : OUTCOME_EXPANDED;
}

/* Post the message to the rows. */
int
repost(struct expansion *e)
{
	struct addressee	*a = e->to;
	struct queued		 answer;

	a->times.ready_us = clock_wall_us();
	if (a->delivery->mail->flags & MAIL_IS_PROBE)
		return addressee_settle(a, OUTCOME_SENT, flags_of(e), "2.0.0",
		    e->count > 1 ? "forwards to %s and others" :
		    "forwards to %s", e->rows[0].address);
	if (post(e, &answer) == -1)
		return addressee_settle(a, OUTCOME_DEFERRED, 0, "4.3.0",
		    "cannot forward: %s", errno == EBADMSG ?
		    "the message cannot be read" : strerror(errno));
	if (answer.code != 250)
		return settle_refusal(a, &answer);
	return addressee_settle(a, OUTCOME_SENT, flags_of(e), "2.0.0",
	    "forwarded as %s", answer.queue_id);
}
