/*
 * pickup.c - mail posted by users of this machine.
 *
 * sendmail connects to public/pickup, sends one packet with the envelope and
 * the descriptor of a file, and waits for the queue id. What came while this
 * program was not running lies in maildrop/ (posters.c). qmgr hands over what
 * is to pass cleanup once more (requeue.c).
 *
 * drop-5  Exit status 0 is answered only after cleanup said 250.
 * drop-6  A submission repeated with its token gets the first one's queue id
 *         and no second message.
 * P1  Who submits is who the kernel says connected; nothing else he says of
 *     himself is believed.
 * P4  Users take turns; how fast one may post is bounded (allowance.c), and
 *     so is what a file of his that hangs keeps busy (source.c).
 */
#include <errno.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "common/daemon/peers.h"
#include "common/ipc/overrides.h"
#include "common/param/site.h"
#include "common/queue/queue.h"

#include "cleanup/allowance.h"
#include "cleanup/answer.h"
#include "cleanup/bring.h"
#include "cleanup/fair.h"
#include "cleanup/permit.h"
#include "cleanup/posters.h"
#include "cleanup/requeue.h"
#include "cleanup/source.h"
#include "cleanup/submitters.h"
#include "cleanup/tally.h"
#include "cleanup/ticket.h"

enum {
	SUBMISSIONS_AT_ONCE = 100,
	TURN_TIME = 60 * 1000		/* how long to wait for one's turn */
};

static struct fair	*turns;
static unsigned		 submissions;
static int64_t		 at_once_each;

static const struct param	pickup_params[] = {
	PARAM_INT("pickup_user_concurrency_limit", at_once_each, "20", 1,
	    SUBMISSIONS_AT_ONCE, "How many messages of one user of this "
	    "machine are taken at the same time; more of his wait. Users take "
	    "turns."),
	PARAM_END
};

/* The envelope as the maildrop has it; NULL, or what is wrong. */
static const char *
envelope_of(struct request *r, int64_t length, struct drop *d)
{
	const struct submit	*s = r->object;
	static char		 root[] = "root";

	if (s->sender == NULL && r->uid != 0)
		return "the sender is missing";
	*d = (struct drop){
		.sender = s->sender != NULL ? s->sender : root,
		.full_name = s->full_name,
		.envelope_id = s->envelope_id,
		.return_what = s->return_what,
		.verp = s->verp,
		.flags = s->flags,
		.content_length = length,
		.recipients = s->recipients,
		.count = s->count
	};
	return drop_check(r->pool, d);
}

/* What cleanup's answer means to the user. */
static struct submitted
translate(struct request *r, const struct drop *d, const struct queued *q)
{
	if (q->code == 250) {
		log_info("%s: uid=%d from=<%s>", q->queue_id, (int)r->uid,
		    log_address(d->sender));
		return answer_say(EX_OK, q->queue_id, q->reply);
	}
	return answer_say(q->code >= 500 ? EX_UNAVAILABLE : EX_TEMPFAIL, "",
	    q->reply);
}

/* Bring it to cleanup. */
WAITS static struct submitted
submit(struct request *r, struct source *from, const struct drop *d)
{
	struct queued	queued;
	int		result;

	if (site.message_size_limit > 0 &&
	    d->content_length > site.message_size_limit)
		return answer_say(EX_UNAVAILABLE, "", "the message is larger than "
		    "message_size_limit");
	if (allowance_take(r->uid, d->content_length) > 0) {
		log_info("uid=%d has posted very much: it waits in maildrop/",
		    (int)r->uid);
		return answer_say(EX_TEMPFAIL, "", "too much mail at a time");
	}
	if (fair_take(turns, r->uid, clock_now() + TURN_TIME) == -1)
		return answer_say(EX_TEMPFAIL, "", "too many submissions");
	result = bring(r->pool, d, r->uid, from, 0, &queued);
	fair_give(turns, r->uid);
	if (result == -1)
		return answer_say(EX_TEMPFAIL, "", strerror(errno));
	return translate(r, d, &queued);
}

/* Not taken: whose mistake it was is told to the log. */
static struct submitted
refuse(const struct request *r, int exit_status, const char *why)
{
	log_warning("not accepted from uid=%d: %s", (int)r->uid, why);
	return answer_say(exit_status, "", why);
}

/* The same, once for each token, by who may. */
WAITS static struct submitted
submit_once(struct request *r, struct source *from, const struct drop *d)
{
	const struct submit	*s = r->object;
	struct refusal		 refusal;
	const char		*why;
	char			 id[QUEUE_ID_MAX + 1];
	struct submitted	 answer;
	struct ticket		*ticket;

	if ((why = permit(r->pool, d, r->uid, &refusal)) != NULL)
		return refuse(r, refusal.exit_status, why);
	ticket = ticket_take(r->uid, s->token, id, clock_now() + TURN_TIME);
	if (ticket == NULL && *id != '\0')
		return answer_say(EX_OK, pool_strdup(r->pool, id), "queued before");
	if (ticket == NULL)
		return answer_say(EX_TEMPFAIL, "", strerror(errno));
	answer = submit(r, from, d);
	ticket_give(ticket, answer.queue_id);
	return answer;
}

/* Look at the file, then at the envelope. */
WAITS static struct submitted
take(struct request *r, struct source *from)
{
	int64_t		 length = source_length(from);
	struct drop	 drop;
	const char	*why;

	if (length == -1 && errno != EINVAL)
		return answer_say(EX_TEMPFAIL, "", strerror(errno));
	why = length == -1 ? "the message is not in a regular file" :
	    envelope_of(r, length, &drop);
	if (why != NULL)
		return refuse(r, EX_DATAERR, why);
	return submit_once(r, from, &drop);
}

/* SUBMIT: somebody posts a message. */
static void
on_submit(struct request *r)
{
	const struct submit	*s = r->object;
	struct source		*from = source_new(s->message, r->uid);
	struct submitted	 answer;
	const char		*why;

	submissions++;
	if ((why = daemon_unsupported()) != NULL) {
		log_warning("mail is not accepted: %s", why);
		answer = answer_say(EX_TEMPFAIL, "", why);
	} else
		answer = take(r, from);
	source_close(from);
	channel_reply(r, PACKET_SUBMITTED, &answer);
	submissions--;
}

static const struct peer peers[] = {
	{ "*", PACKET_SUBMIT, on_submit, ON_A_FIBER },
	{ "qmgr", PACKET_REQUEUE, on_requeue, ON_A_FIBER },
	{ NULL, 0, NULL, 0 }
};

/* What is under way. */
static unsigned
count_busy(void)
{
	return submissions + posters_busy() + requeue_busy();
}

/* Open the queue and the way to cleanup. */
static void
start(void)
{
	turns = fair_new(SUBMISSIONS_AT_ONCE, (unsigned)at_once_each);
	source_start();
	if (queue_open(daemon_queue_fd(), 1u << QUEUE_MAILDROP) == -1)
		die("cannot open maildrop/ in the queue directory: %s",
		    strerror(errno));
	bring_start();
	permit_start();
	fiber_start(posters_drain, NULL);
}

int
main(int argc, char **argv)
{
	static const struct param *const	tables[] = { drop_params,
						    pickup_params,
						    allowance_params,
						    tally_params,
						    bring_params,
						    submitters_params,
						    overrides_params, NULL };
	static const struct daemon		pickup = {
		.name = "pickup",
		.params = tables,
		.peers = peers,
		.before = source_before,
		.start = start,
		.busy = count_busy
	};

	return daemon_run(argc, argv, &pickup);
}
