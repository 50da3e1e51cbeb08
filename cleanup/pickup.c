/*
 * pickup.c - mail posted by users of this machine.
 *
 * sendmail connects to public/pickup, sends one packet with the envelope and
 * the descriptor of a file, and waits for the queue id. What came while this
 * program was not running lies in maildrop/ (maildrop.c). qmgr hands over what
 * is to pass cleanup once more (requeue.c).
 *
 * P1  Exit status 0 is answered only after cleanup said 250.
 * P2  A submission repeated with its token gets the first one's queue id and
 *     no second message.
 * P3  Who submits is who the kernel says connected; nothing else he says of
 *     himself is believed.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "common/daemon/peers.h"
#include "common/fiber/queue.h"
#include "common/ipc/overrides.h"
#include "common/param/site.h"
#include "common/queue/queue.h"

#include "cleanup/bring.h"
#include "cleanup/maildrop.h"
#include "cleanup/requeue.h"
#include "cleanup/permit.h"
#include "cleanup/submitters.h"
#include "cleanup/ticket.h"

enum {
	SUBMISSIONS_AT_ONCE = 100,
	TURN_TIME = 60 * 1000		/* how long to wait for one's turn */
};

static struct semaphore	turns;
static unsigned		submissions;

/* An answer; the text is a literal or in the request's pool. */
static struct submitted
say(int64_t exit_status, const char *queue_id, const char *text)
{
	return (struct submitted){
		.exit_status = exit_status,
		.queue_id = (char *)(uintptr_t)queue_id,
		.text = (char *)(uintptr_t)text
	};
}

/* The envelope as the maildrop has it; NULL, or what is wrong. */
static const char *
envelope_of(struct request *r, struct drop *d)
{
	const struct submit	*s = r->object;
	static char		 root[] = "root";
	struct stat		 st;

	if (fstat(s->message, &st) == -1 || !S_ISREG(st.st_mode))
		return "the message is not in a regular file";
	if (s->sender == NULL && r->uid != 0)
		return "the sender is missing";
	*d = (struct drop){
		.sender = s->sender != NULL ? s->sender : root,
		.full_name = s->full_name,
		.envelope_id = s->envelope_id,
		.return_what = s->return_what,
		.verp = s->verp,
		.flags = s->flags,
		.content_length = st.st_size,
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
		return say(EX_OK, q->queue_id, q->reply);
	}
	return say(q->code >= 500 ? EX_UNAVAILABLE : EX_TEMPFAIL, "",
	    q->reply);
}

/* Bring it to cleanup. */
WAITS static struct submitted
submit(struct request *r, const struct drop *d)
{
	const struct submit	*s = r->object;
	struct queued		 queued;

	if (site.message_size_limit > 0 &&
	    d->content_length > site.message_size_limit)
		return say(EX_UNAVAILABLE, "", "the message is larger than "
		    "message_size_limit");
	if (semaphore_take(&turns, clock_now() + TURN_TIME) == -1)
		return say(EX_TEMPFAIL, "", "too many submissions");
	if (bring(r->pool, d, r->uid, s->message, 0, &queued) == -1) {
		semaphore_give(&turns);
		return say(EX_TEMPFAIL, "", strerror(errno));
	}
	semaphore_give(&turns);
	return translate(r, d, &queued);
}

/* Not taken: whose mistake it was is told to the log. */
static struct submitted
refuse(const struct request *r, int exit_status, const char *why)
{
	log_warning("not accepted from uid=%d: %s", (int)r->uid, why);
	return say(exit_status, "", why);
}

/* The same, once for each token, by who may. */
WAITS static struct submitted
submit_once(struct request *r, const struct drop *d)
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
		return say(EX_OK, pool_strdup(r->pool, id), "queued before");
	if (ticket == NULL)
		return say(EX_TEMPFAIL, "", strerror(errno));
	answer = submit(r, d);
	ticket_give(ticket, answer.queue_id);
	return answer;
}

/* SUBMIT: somebody posts a message. */
static void
on_submit(struct request *r)
{
	const struct submit	*s = r->object;
	struct submitted	 answer;
	struct drop		 drop;
	const char		*why;

	submissions++;
	if ((why = daemon_unsupported()) != NULL) {
		log_warning("mail is not accepted: %s", why);
		answer = say(EX_TEMPFAIL, "", why);
	} else if ((why = envelope_of(r, &drop)) != NULL)
		answer = refuse(r, EX_DATAERR, why);
	else
		answer = submit_once(r, &drop);
	close(s->message);
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
	return submissions + maildrop_busy() + requeue_busy();
}

/* Open the queue and the way to cleanup. */
static void
start(void)
{
	semaphore_init(&turns, SUBMISSIONS_AT_ONCE);
	if (queue_open(daemon_queue_fd(), 1u << QUEUE_MAILDROP) == -1)
		die("cannot open maildrop/ in the queue directory: %s",
		    strerror(errno));
	bring_start();
	permit_start();
	fiber_start(maildrop_drain, NULL);
}

int
main(int argc, char **argv)
{
	static const struct param *const	tables[] = { drop_params,
						    bring_params,
						    submitters_params,
						    overrides_params, NULL };
	static const struct daemon		pickup = {
		.name = "pickup",
		.params = tables,
		.peers = peers,
		.start = start,
		.busy = count_busy
	};

	return daemon_run(argc, argv, &pickup);
}
