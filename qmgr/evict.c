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
 * It is the greediest senders' mail that is put back, and who has a handful at
 * the site or less keeps it there: who sends one message to a site that
 * somebody else has clogged has his turn.
 *
 * A transport may fill the memory, too, with a little for each of very many
 * sites (or recipients, if each is a site of his own): when no site has a
 * hundredth of what is open and nothing has left for a moment, the same is
 * done to the lane with most jobs. While some leave it is not: new mail has
 * every second place (waiting.c), and to open messages only to put them back
 * would cost more.
 *
 * Who stands in a write-ahead log has nothing to come back from yet: he gets a
 * file first (unfiled.c), and is put back when the search is repeated.
 *
 * P1  Only messages that nobody works on are put back: no delivery is out, no
 *     route is asked for, and every byte that crosses a recipient off has been
 *     written.
 * P2  Who was put back is looked at every minimal_backoff_time, whatever
 *     happens to the site.
 */
#include "qmgr/evict.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/fiber/fiber.h"
#include "qmgr/again.h"
#include "qmgr/retry.h"
#include "qmgr/scan.h"
#include "qmgr/sync.h"
#include "qmgr/transport.h"
#include "qmgr/unfiled.h"
#include "qmgr/waiting.h"

enum {
	SEARCH_PAUSE = 1000,		/* after a search for nothing */
	FILING_PAUSE = 50,		/* while those found get files */
	REFILL_PAUSE = 200,
	STANDSTILL = 2000,		/* nobody leaves */
	GREEDY = 100,			/* one of so many open messages */
	HANDFUL = 4,			/* messages of one sender */
	CALLS = 256,			/* loads refilled in one go */
	RECIPIENTS = 1000		/* looked at in one message */
};

static int64_t	active_limit, recipient_limit, recipient_minimum, warn_time;
static int64_t	no_search_before, last_room;
static bool	is_refilling, awaits_files;
static TAILQ_HEAD(, load) clogged = TAILQ_HEAD_INITIALIZER(clogged);

const struct param	evict_params[] = {
	PARAM_INT("qmgr_message_active_limit", active_limit, "20000", 1,
	    10000000, "How many messages the queue manager has open; others "
	    "wait until one of these is done with."),
	PARAM_INT("qmgr_message_recipient_limit", recipient_limit, "20000", 1,
	    100000000, "How many recipients the open messages may have "
	    "together before no more with many of them are opened. One "
	    "message is read as a whole, however many it has, and counts "
	    "for 10000 at most."),
	PARAM_INT("qmgr_message_recipient_minimum", recipient_minimum, "10",
	    1, 100000, "A message with so many recipients at most is opened "
	    "nevertheless."),
	PARAM_TIME("qmgr_clog_warn_time", warn_time, "300s", 0, 864000,
	    "How often to warn of a site that fills the open messages; 0 "
	    "means never."),
	PARAM_END
};

/* None more? */
static bool
is_full(void)
{
	return message_count() >= (size_t)active_limit;
}

/* One more? */
bool
evict_has_room(void)
{
	if (is_full())
		return false;
	last_room = clock_now();
	return true;
}

/* All of them. */
size_t
evict_limit(void)
{
	return (size_t)active_limit;
}

/* One that was tried before? */
bool
evict_has_room_for_tried(void)
{
	return message_count() < (size_t)(active_limit - active_limit / 10) &&
	    evict_has_room();
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

/* Has this more than it may keep? */
static bool
is_over(const struct load *l)
{
	return l->is_clogged && l->queued > l->keep;
}

/* What the job waits for with too many others; NULL: nothing. */
static struct load *
overload_of(const struct job *job)
{
	struct load	*site = &job->site->load,
			*lane = &job->site->schedule->load;

	if (is_over(site) && (job->party == NULL ||
	    job->party->count > HANDFUL))
		return site;
	return is_over(lane) ? lane : NULL;
}

/* Put a message back, to wait for that. */
static void
put_back(struct job *job, const struct load *load)
{
	struct message	*m = job->message;
	unsigned	 flags;
	struct marks	 marks = again_marks(m, &flags);
	char		 id[QUEUE_ID_MAX + 1];
	enum queue_dir	 dir = m->dir;

	flags |= WAITING_PARKED;
	marks.site = load->mark;
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

/* Will it have a file soon, so that it can be put back? */
static bool
gets_file(struct message *m, const struct job *job)
{
	if (!m->is_to_file && (m->holds > 0 || !waits_only_for(m, job)))
		return false;
	unfiled_file_soon(m);
	awaits_files = true;
	return true;
}

/* Put back so many of one sender's, from the end of his line, or see that they
 * get files. */
static size_t
put_back_of(struct party *p, size_t wanted, const struct load *load)
{
	struct job	*job, *before;
	struct message	*m;
	size_t		 n = 0, left = p->count;

	/* The last one takes the party with it. */
	for (job = TAILQ_LAST(&p->jobs, job_queue); left > 0 && n < wanted;
	    job = before, left--) {
		before = TAILQ_PREV(job, job_queue, next);
		m = job->message;
		if (m->log != NULL) {
			n += gets_file(m, job) ? 1 : 0;
			continue;
		}
		if (m->holds > 0 || !waits_only_for(m, job))
			continue;
		put_back(job, load);
		n++;
	}
	return n;
}

/* How many would go if each sender kept so many? */
static size_t
above(const struct destination *s, size_t keep)
{
	const struct party	*p;
	size_t			 n = 0;
	int			 line;

	for (line = LINE_FEW; line < LINES; line++)
		TAILQ_FOREACH(p, &s->parties[line], next)
			if (p->count > keep)
				n += p->count - keep;
	return n;
}

/* Put back so many of a site's: each sender keeps as much as another one, if he
 * has as much. */
static size_t
put_back_some(struct destination *s, size_t wanted, const struct load *load)
{
	struct party	*p, *following;
	size_t		 keep = s->load.queued, n = 0;
	int		 line;

	while (keep > 0 && above(s, keep) < wanted)
		keep /= 2;
	for (line = LINE_FEW; line < LINES; line++)
		TAILQ_FOREACH_SAFE(p, &s->parties[line], next, following)
			if (n < wanted && p->count > keep)
				n += put_back_of(p, p->count - keep <
				    wanted - n ? p->count - keep : wanted - n,
				    load);
	return n;
}

/* The same of all sites of a lane. */
static size_t
put_back_lane(struct lane *lane, size_t wanted)
{
	struct destination	*s;
	size_t			 n = 0;

	RB_FOREACH(s, destinations, &lane->transport->sites)
		if (n < wanted && lane_of(s) == lane && s->load.queued > 0)
			n += put_back_some(s, wanted - n,
			    &lane->schedule.load);
	return n;
}

/* Are there files to come first, before there is room? */
static bool
only_asked(void)
{
	return awaits_files && is_full();
}

/* Put it back at once. */
void
evict(struct job *job)
{
	put_back(job, overload_of(job));
}

/* --- who is clogged ------------------------------------------------------ */

/* The site with the longest queue. */
static struct destination *
most_loaded(void)
{
	struct transport	*t;
	struct destination	*s, *most = NULL;

	for (t = transport_next(NULL); t != NULL; t = transport_next(t))
		RB_FOREACH(s, destinations, &t->sites)
			if (most == NULL ||
			    s->load.queued > most->load.queued)
				most = s;
	return most;
}

/* The lane with most jobs. */
static struct lane *
most_loaded_lane(void)
{
	struct transport	*t;
	struct lane		*lane, *most = NULL;

	for (t = transport_next(NULL); t != NULL; t = transport_next(t))
		for (lane = t->lanes; lane < t->lanes + t->workers; lane++)
			if (most == NULL || lane->schedule.load.queued >
			    most->schedule.load.queued)
				most = lane;
	return most;
}

/* Is it time to say that something has too much? */
static bool
is_to_be_told(struct load *l)
{
	int64_t	now = clock_now();

	if (warn_time == 0 || (l->warned != 0 && now - l->warned < warn_time))
		return false;
	l->warned = now;
	return true;
}

/* From now on no more is wanted for this. */
static void
put_on_list(struct load *l)
{
	l->keep = l->queued;
	if (l->is_clogged)
		return;
	l->is_clogged = true;
	TAILQ_INSERT_TAIL(&clogged, l, next);
}

/* And now it is again. */
static void
take_off_list(struct load *l)
{
	l->is_clogged = false;
	TAILQ_REMOVE(&clogged, l, next);
}

/* Make room at the expense of a site. */
static bool
relieve_site(void)
{
	struct destination	*s = most_loaded();
	size_t			 open = message_count(), queued;

	if (s == NULL || s->load.queued < 2 ||
	    s->load.queued < open / GREEDY)
		return false;
	queued = s->load.queued;
	if (put_back_some(s, queued / 2, &s->load) == 0 || only_asked())
		return false;
	if (is_to_be_told(&s->load))
		log_warning("mail for %s (transport %s) is using up %zu of "
		    "%zu active queue entries; some of it waits outside",
		    s->name, lane_of(s)->transport->name, queued, open);
	put_on_list(&s->load);
	return true;
}

/* Make room at the expense of a transport. */
static bool
relieve_lane(void)
{
	struct lane	*lane = most_loaded_lane();
	struct load	*l;
	size_t		 open = message_count(), queued;

	if (clock_now() - last_room < STANDSTILL || lane == NULL)
		return false;
	l = &lane->schedule.load;
	queued = l->queued;
	if (queued < 2 || put_back_lane(lane, queued / 2) == 0 ||
	    only_asked())
		return false;
	if (is_to_be_told(l))
		log_warning("mail for many sites of transport %s is using up "
		    "%zu of %zu active queue entries; some of it waits "
		    "outside", lane->transport->name, queued, open);
	put_on_list(l);
	return true;
}

/* Make room. */
bool
evict_make_room(void)
{
	if (clock_now() < no_search_before)
		return false;
	awaits_files = false;
	if (relieve_site() || relieve_lane())
		return true;
	no_search_before = clock_now() +
	    (awaits_files ? FILING_PAUSE : SEARCH_PAUSE);
	return false;
}

/* Is that clogged? Few are. */
bool
evict_is_clogged(uint32_t mark)
{
	const struct load	*l;

	if (mark != 0)
		TAILQ_FOREACH(l, &clogged, next)
			if (l->mark == mark)
				return l->queued >= l->keep;
	return false;
}

/* Should it go at once? Not without a file, after which it is asked again. */
struct job *
evict_wanted(struct message *m)
{
	struct job	*job = message_next_job(m, NULL);

	/* The caller's is the one hold that there may be. */
	if (job == NULL || message_next_job(m, job) != NULL ||
	    m->holds != 1 || !job->is_queued || overload_of(job) == NULL ||
	    !waits_only_for(m, job))
		return NULL;
	if (m->log == NULL)
		return job;
	unfiled_file_soon(m);
	return NULL;
}

/* --- fetching them again ------------------------------------------------- */

/* Is it clogged, and has its queue become short? */
static bool
is_short(const struct load *l)
{
	return l->is_clogged && l->queued <= l->keep / 2;
}

/* How many to fetch: what is missing; more of it, if there is room. */
static size_t
missing(struct load *l)
{
	if (message_count() < (size_t)active_limit / 4 * 3)
		l->keep += (size_t)active_limit / 8 + 1;
	return l->keep > l->queued ? l->keep - l->queued : 1;
}

/* Fetch for all that are short, in one go through the index. Of whom nobody is
 * left there, he is not clogged any more. False: none is short. */
static bool
refill(void)
{
	struct call	*calls = mem_alloc(CALLS * sizeof(*calls)), *call;
	struct load	*l, *following;
	size_t		 i, n = 0;

	TAILQ_FOREACH(l, &clogged, next)
		if (is_short(l) && n < CALLS)
			calls[n++] = (struct call){ .site = l->mark,
			    .limit = missing(l) };
	n = waiting_sort(calls, n);
	if (n > 0 && waiting_pull(calls, n, WAITING_PARKED, clock_now(), 0) >
	    0)
		feed_wake();
	TAILQ_FOREACH_SAFE(l, &clogged, next, following)
		for (i = 0; i < n; i++) {
			call = &calls[i];
			if (call->site == l->mark && call->found == 0) {
				take_off_list(l);
				break;
			}
		}
	free(calls);
	return n > 0;
}

/* Until none is short. Each look goes through the index, so there are not many
 * of them. */
static void
refill_all(void *arg)
{
	(void)arg;
	fiber_name("refill");
	while (refill() && fiber_sleep(REFILL_PAUSE) == 0)
		;
	is_refilling = false;
}

/* See that it is done. */
void
evict_refill(struct destination *s)
{
	if (is_refilling || (!is_short(&s->load) &&
	    !is_short(&s->schedule->load)))
		return;
	is_refilling = true;
	fiber_start(refill_all, NULL);
}
