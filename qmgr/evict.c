/*
 * evict.c - one site never fills the open messages.
 *
 * When as many messages are open as may be and another one is due, the site
 * with most jobs in its queue is found; half of the messages that wait for
 * nothing but this site are put back, the last ones first, and the site is
 * clogged. So room is shared between greedy sites by halves, and who has
 * little keeps it. A message that was put back has had no attempt: its file is
 * as it was, and nothing is logged. It waits for its site: when the site's
 * queue has become half as long as it was left, the missing ones are fetched,
 * and more of them if there is room again.
 *
 * P1  Only messages that nobody works on are put back: no delivery is out, no
 *     route is asked for, and every byte that crosses a recipient off has been
 *     written.
 * P2  Who was put back is looked at every minimal_backoff_time, whatever
 *     happens to the site.
 */
#include "qmgr/evict.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/fiber/fiber.h"
#include "qmgr/again.h"
#include "qmgr/retry.h"
#include "qmgr/scan.h"
#include "qmgr/sync.h"
#include "qmgr/transport.h"
#include "qmgr/waiting.h"

enum {
	SEARCH_PAUSE = 1000,		/* after a search for nothing */
	REFILL_PAUSE = 200,
	RECIPIENTS = 1000		/* looked at in one message */
};

static int64_t	active_limit, recipient_limit, recipient_minimum, warn_time;
static int64_t	no_search_before;
static bool	is_refilling;
static TAILQ_HEAD(, destination) clogged = TAILQ_HEAD_INITIALIZER(clogged);

const struct param	evict_params[] = {
	PARAM_INT("qmgr_message_active_limit", active_limit, "20000", 1,
	    10000000, "How many messages the queue manager has open; others "
	    "wait until one of these is done with."),
	PARAM_INT("qmgr_message_recipient_limit", recipient_limit, "20000", 1,
	    100000000, "How many recipients the open messages may have "
	    "together before no more with many of them are opened. One "
	    "message is read as a whole, however many it has."),
	PARAM_INT("qmgr_message_recipient_minimum", recipient_minimum, "10",
	    1, 100000, "A message with so many recipients at most is opened "
	    "nevertheless."),
	PARAM_TIME("qmgr_clog_warn_time", warn_time, "300s", 0, 864000,
	    "How often to warn of a site that fills the open messages; 0 "
	    "means never."),
	PARAM_END
};

/* One more? */
bool
evict_has_room(void)
{
	return message_count() < (size_t)active_limit;
}

/* One with many recipients? */
bool
evict_has_room_for_many(void)
{
	return message_recipients() < (size_t)recipient_limit;
}

/* Few. */
size_t
evict_few(void)
{
	return (size_t)recipient_minimum;
}

/* Somewhere near the first pause of a message that was tried. */
int64_t
evict_pause(void)
{
	return retry_pause_now(0);
}

/* --- putting back -------------------------------------------------------- */

/* Is nothing left of the message but what waits for this job's turn (P1)? */
static bool
waits_only_for(const struct message *m, const struct job *job)
{
	size_t	i;

	if (m->is_settling || m->is_dirty || m->fate != FATE_NONE ||
	    m->crossing_count > 0 || m->open == 0 ||
	    m->open != job_count(job) || m->envelope.count > RECIPIENTS)
		return false;
	for (i = 0; i < m->envelope.count; i++)
		if (m->work[i].state != WORK_WAITING &&
		    m->work[i].state != WORK_SENT &&
		    m->work[i].state != WORK_OVER)
			return false;
	return true;
}

/* Put a message back. */
void
evict(struct job *job)
{
	struct message	*m = job->message;
	unsigned	 flags;
	struct marks	 marks = again_marks(m, &flags);
	char		 id[QUEUE_ID_MAX + 1];
	enum queue_dir	 dir = m->dir;

	flags |= WAITING_PARKED;
	marks.site = job->site->mark;
	if (m->is_flushed)
		flags |= WAITING_FLUSHED;
	strlcpy(id, m->id, sizeof(id));
	schedule_withdraw(job);
	sync_forget(m);
	message_close(m);
	(void)waiting_add(id, dir, clock_now() + evict_pause());
	(void)waiting_set_marks(id, &marks, flags);
	feed_wake();
}

/* Put back so many of a site's, from the end of its queue. */
static size_t
evict_some(struct destination *s, size_t wanted)
{
	struct job	*job, *before;
	struct message	*m;
	size_t		 n = 0;
	int		 line;

	for (line = LINE_FEW; line < LINES; line++)
		TAILQ_FOREACH_REVERSE_SAFE(job, &s->jobs[line], job_queue,
		    next, before) {
			m = job->message;
			if (n == wanted)
				return n;
			if (m->holds > 0 || !waits_only_for(m, job))
				continue;
			evict(job);
			n++;
		}
	return n;
}

/* --- clogged sites ------------------------------------------------------- */

/* The site with the longest queue. */
static struct destination *
most_loaded(void)
{
	struct transport	*t;
	struct destination	*s, *most = NULL;

	for (t = transport_next(NULL); t != NULL; t = transport_next(t))
		RB_FOREACH(s, destinations, &t->sites)
			if (most == NULL || s->queued > most->queued)
				most = s;
	return most;
}

/* Say that a site has too much, now and then. */
static void
warn(struct destination *s, size_t queued, size_t open)
{
	int64_t	now = clock_now();

	if (warn_time == 0 || (s->clog_warned != 0 &&
	    now - s->clog_warned < warn_time))
		return;
	s->clog_warned = now;
	log_warning("mail for %s (transport %s) is using up %zu of %zu active "
	    "queue entries; some of it waits outside", s->name,
	    lane_of(s)->transport->name, queued, open);
}

/* From now on no more is wanted for this site. */
static void
put_on_list(struct destination *s)
{
	s->keep = s->queued;
	if (s->is_clogged)
		return;
	s->is_clogged = true;
	TAILQ_INSERT_TAIL(&clogged, s, clog);
}

/* And now it is again. */
static void
take_off_list(struct destination *s)
{
	s->is_clogged = false;
	TAILQ_REMOVE(&clogged, s, clog);
}

/* Make room. */
bool
evict_make_room(void)
{
	struct destination	*s;
	size_t			 queued, open = message_count();

	if (clock_now() < no_search_before)
		return false;
	s = most_loaded();
	queued = s == NULL ? 0 : s->queued;
	if (queued > 1 && evict_some(s, queued / 2) > 0) {
		warn(s, queued, open);
		put_on_list(s);
		return true;
	}
	no_search_before = clock_now() + SEARCH_PAUSE;
	return false;
}

/* Is a site clogged? Few are. */
bool
evict_is_clogged(uint32_t site)
{
	const struct destination	*s;

	if (site != 0)
		TAILQ_FOREACH(s, &clogged, clog)
			if (s->mark == site)
				return s->queued >= s->keep;
	return false;
}

/* Should it go at once? */
struct job *
evict_wanted(struct message *m)
{
	struct job	*job = message_next_job(m, NULL);

	/* The caller's is the one hold that there may be. */
	if (job == NULL || message_next_job(m, job) != NULL ||
	    m->holds != 1 || !job->is_queued || !job->site->is_clogged ||
	    job->site->queued <= job->site->keep || !waits_only_for(m, job))
		return NULL;
	return job;
}

/* Has its queue become short? */
static bool
is_short(const struct destination *s)
{
	return s->queued <= s->keep / 2;
}

/* Fetch what is missing; more of it, if there is room. Nobody left: it is not
 * clogged any more. */
static void
refill(struct destination *s)
{
	size_t	missing;

	if (message_count() < (size_t)active_limit / 4 * 3)
		s->keep += (size_t)active_limit / 8 + 1;
	missing = s->keep > s->queued ? s->keep - s->queued : 1;
	if (waiting_pull(&s->mark, 1, WAITING_PARKED, missing, clock_now(),
	    0) == 0)
		take_off_list(s);
	feed_wake();
}

/* Fetch for all whose queues are short, until none is. Each look goes through
 * the index, so there are not many of them. */
static void
refill_all(void *arg)
{
	struct destination	*s, *following;
	bool			 has_some = true;

	(void)arg;
	fiber_name("refill");
	while (has_some) {
		has_some = false;
		TAILQ_FOREACH_SAFE(s, &clogged, clog, following)
			if (is_short(s)) {
				has_some = true;
				refill(s);
			}
		if (has_some && fiber_sleep(REFILL_PAUSE) == -1)
			break;
	}
	is_refilling = false;
}

/* See that it is done. */
void
evict_refill(struct destination *s)
{
	if (!s->is_clogged || is_refilling || !is_short(s))
		return;
	is_refilling = true;
	fiber_start(refill_all, NULL);
}
