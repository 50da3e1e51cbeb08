/*
 * requeue.c - a message of the queue on its way through cleanup again.
 *
 * An administrator wants its addresses rewritten and its aliases expanded
 * anew, and its content filter to be that of now (postsuper -r). qmgr hands the
 * file over, waits for the queue id that the message gets, and removes the
 * file.
 *
 * P1  EX_OK is answered only after cleanup said 250.
 * P2  A file that comes twice, since qmgr died in between, gets the first one's
 *     queue id and no second message, as long as this process lives.
 *     When cleanup says 4xx the message stays as it is, however old it becomes:
 *     a table or the disk is out of order, which is no attempt at a delivery,
 *     and who wanted it to begin anew does not want it returned for that. The
 *     new message grows old as all do.
 * P3  What the message was when it came stays so: sender, DSN options, where it
 *     came from and when, and with that whether its headers are ours to
 *     rewrite.
 */
#include "cleanup/requeue.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "common/daemon/peers.h"
#include "common/fiber/offload.h"
#include "common/ipc/overrides.h"
#include "common/queue/queue.h"

#include "cleanup/answer.h"
#include "cleanup/bring.h"
#include "cleanup/ticket.h"

enum { TURN_TIME = 60 * 1000 };

static unsigned	busy;

/* A file on its way. */
struct again {
	struct pool		*pool;
	int			 fd;
	struct source		*source;	/* of it */
	struct envelope		 envelope;
	struct queue_layout	 layout;
	const char		*why;
};

/* On a thread: the envelope. */
static int
read_envelope(void *arg)
{
	struct again	*a = arg;

	a->why = envelope_read(&a->envelope, &a->layout, a->pool, a->fd);
	return 0;
}

/* The rows of who still waits. */
static void
take_recipients(struct again *a)
{
	const struct envelope	*e = &a->envelope;
	struct mail		*m = &a->envelope.mail;
	size_t			 i;

	m->recipients = pool_array(a->pool, e->count,
	    sizeof(*m->recipients));
	m->count = 0;
	for (i = 0; i < e->count; i++)
		if (e->recipients[i].status == RECIPIENT_TO_DO)
			m->recipients[m->count++] = e->recipients[i].row;
}

/* What this service leaves out holds, not what another one did. */
static void
renew_options(struct mail *m)
{
	m->flags &= ~(MAIL_NO_EXPAND | MAIL_NO_CHECKS | MAIL_IS_HELD);
	m->flags |= overrides_flags() | MAIL_IS_AGAIN;
	m->filter = overrides_filter();
}

/* Bring it. */
WAITS static struct submitted
requeue(struct request *r, struct source *from)
{
	const struct requeue	*q = r->object;
	struct again		 a = { .pool = r->pool, .fd = q->message,
				    .source = from };
	struct queued		 queued;

	if (offload(read_envelope, &a) == -1)
		return answer_say(EX_TEMPFAIL, "", strerror(errno));
	if (a.why != NULL)
		return answer_say(EX_TEMPFAIL, "", a.why);
	take_recipients(&a);
	renew_options(&a.envelope.mail);
	if (a.envelope.mail.count == 0)
		return answer_say(EX_TEMPFAIL, "", "nobody waits for it");
	if (bring_again(r->pool, &a.envelope.mail, a.source,
	    a.layout.content_offset, a.layout.content_length, &queued) == -1)
		return answer_say(EX_TEMPFAIL, "", strerror(errno));
	if (queued.code != 250)
		return answer_say(queued.code >= 500 ? EX_UNAVAILABLE :
		    EX_TEMPFAIL, "", queued.reply);
	log_info("%s: uid=%d from=<%s> orig_id=%s", queued.queue_id,
	    (int)r->uid, log_address(a.envelope.mail.sender), q->queue_id);
	return answer_say(EX_OK, queued.queue_id, queued.reply);
}

/* The same, once for each file (P2). */
WAITS static struct submitted
requeue_once(struct request *r, struct source *from)
{
	const struct requeue	*q = r->object;
	char			 id[QUEUE_ID_MAX + 1];
	struct submitted	 answer;
	struct ticket		*ticket;

	ticket = ticket_take(r->uid, q->queue_id, id, clock_now() + TURN_TIME);
	if (ticket == NULL && *id != '\0')
		return answer_say(EX_OK, pool_strdup(r->pool, id), "queued before");
	if (ticket == NULL)
		return answer_say(EX_TEMPFAIL, "", strerror(errno));
	answer = requeue(r, from);
	ticket_give(ticket, answer.queue_id);
	return answer;
}

/* PACKET_REQUEUE. */
void
on_requeue(struct request *r)
{
	const struct requeue	*q = r->object;
	struct source		*from = source_new(q->message, r->uid);
	const char		*why = daemon_unsupported();
	struct submitted	 answer;

	busy++;
	answer = why != NULL ? answer_say(EX_TEMPFAIL, "", why) :
	    requeue_once(r, from);
	source_close(from);
	(void)channel_reply(r, PACKET_SUBMITTED, &answer);
	busy--;
}

/* How many are under way. */
unsigned
requeue_busy(void)
{
	return busy;
}
