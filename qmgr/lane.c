/*
 * lane.c - one worker of a transport, and what is handed to it.
 *
 * Each lane has a fiber while it has work: it takes the job whose turn it is
 * and has dispatch.c post it, until slots, windows or jobs are used up. The
 * end of a delivery starts it again.
 *
 * P1  With a transport_rate_delay each delivery of the transport begins that
 *     long after the one before, whatever lane it takes; lanes have turns.
 */
#include "qmgr/lane.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/ipc/packets.h"
#include "qmgr/dispatch.h"
#include "qmgr/message.h"
#include "qmgr/outcome.h"

enum {
	PATIENCE = 30 * 1000,		/* for a connection to a worker */
	SLICE = 100			/* suspended in one go */
};

static bool	is_draining;

/* --- what is not handed out ---------------------------------------------- */

/* A dead site's job: nothing is tried, in pieces that let others run. */
static void
suspend(struct job *job)
{
	const char	*why = job->site->why, *text = "site does not answer";
	char		 dsn[16] = "4.4.1", line[512];
	size_t		 n = job_count(job);
	const char	*space;

	if (why != NULL && (space = strchr(why, ' ')) != NULL) {
		snprintf(dsn, sizeof(dsn), "%.*s", (int)(space - why), why);
		text = space + 1;
	}
	snprintf(line, sizeof(line), "delivery temporarily suspended: %s",
	    text);
	dispatch_postpone(job, n < SLICE ? n : SLICE, dsn, line, true);
}

/* No worker can be reached: everything in the lane waits for another time. */
static WAITS void
be_unavailable(struct lane *lane)
{
	struct job	*job;
	size_t		 n;
	bool		 is_dead;
	int64_t		 when;

	if (clock_now() >= lane->unavailable_until) {
		log_warning("transport %s does not answer",
		    lane->transport->name);
		lane_leave_alone(lane);
	}
	while ((job = schedule_next(&lane->schedule, clock_now(), &is_dead,
	    &when)) != NULL) {
		n = job_count(job);
		dispatch_postpone(job, n < SLICE ? n : SLICE, "4.3.0",
		    "mail transport unavailable", false);
		fiber_breathe();
	}
}

/* Not before its time is over. */
void
lane_leave_alone(struct lane *lane)
{
	lane->unavailable_until = clock_now() + tuning_transport_pause();
}

/* --- slots and turns ----------------------------------------------------- */

/* Has the lane a free slot? */
static bool
has_slot(const struct lane *lane)
{
	const struct transport	*t = lane->transport;

	return (lane->limit == 0 || lane->in_flight < lane->limit) &&
	    (t->limit == 0 || t->in_flight < t->limit);
}

/* The lane wants no turn any more; the next one may have it. */
static void
leave_turns(struct lane *lane)
{
	struct transport	*t = lane->transport;

	if (!lane->is_in_turn)
		return;
	lane->is_in_turn = false;
	TAILQ_REMOVE(&t->turns, lane, next);
	if (!TAILQ_EMPTY(&t->turns))
		lane_kick(TAILQ_FIRST(&t->turns));
}

/* May the lane deliver, as far as the transport's rate delay is concerned
 * (P1)? If not, *when it may, or NEVER if it will be kicked. */
static bool
has_turn(struct lane *lane, int64_t *when)
{
	struct transport	*t = lane->transport;

	if (t->tuning.rate_delay == 0)
		return true;
	if (!lane->is_in_turn) {
		lane->is_in_turn = true;
		TAILQ_INSERT_TAIL(&t->turns, lane, next);
	}
	*when = TAILQ_FIRST(&t->turns) == lane ? t->not_before : NEVER;
	return *when <= clock_now();
}

/* It had its turn. */
static void
use_turn(struct lane *lane)
{
	lane->transport->not_before = clock_now() +
	    lane->transport->tuning.rate_delay;
	leave_turns(lane);
}

/* --- the fiber ----------------------------------------------------------- */

/* A channel to the worker, or NULL when there is none to be had. */
static WAITS struct channel *
reach(struct lane *lane)
{
	if (clock_now() < lane->unavailable_until)
		return NULL;
	return link_channel(lane->transport->link, lane->hint,
	    clock_now() + PATIENCE);
}

/* Post the job whose turn it is; reaching the worker may have been a wait. */
static WAITS void
hand_out(struct lane *lane, struct channel *c)
{
	struct job	*job;
	bool		 is_dead;
	int64_t		 when;

	job = schedule_next(&lane->schedule, clock_now(), &is_dead, &when);
	if (job == NULL || is_dead || !has_slot(lane))
		return;
	if (dispatch_deliver(c, lane, job))
		use_turn(lane);
	else
		fiber_yield();		/* let the channel notice its end */
}

/* The lane's next step: true when it may have another one at once. */
static WAITS bool
step(struct lane *lane, int64_t *when)
{
	struct channel	*c;
	struct job	*job;
	bool		 is_dead;

	job = schedule_next(&lane->schedule, clock_now(), &is_dead, when);
	if (job == NULL) {
		leave_turns(lane);
		return false;
	}
	if (is_dead) {
		suspend(job);
		return true;
	}
	if (!has_slot(lane)) {
		leave_turns(lane);
		*when = NEVER;
		return false;
	}
	if (!has_turn(lane, when))
		return false;
	if ((c = reach(lane)) == NULL)
		be_unavailable(lane);
	else
		hand_out(lane, c);
	return true;
}

/* The life of the fiber. */
static void
run(void *arg)
{
	struct lane	*lane = arg;
	int64_t		 when;

	fiber_name("lane");
	while (!is_draining) {
		if (step(lane, &when))
			fiber_breathe();
		else if (when == NEVER)
			break;
		else {		/* a rate delay: nobody else will wake us */
			lane->sleeper = fiber_self();
			(void)fiber_park(when);
			lane->sleeper = NULL;
		}
	}
	lane->is_running = false;
}

/* Start it, if it does not run. */
void
lane_kick(struct lane *lane)
{
	if (lane->sleeper != NULL)
		fiber_wake(lane->sleeper);
	if (lane->is_running || is_draining ||
	    schedule_is_empty(&lane->schedule))
		return;
	lane->is_running = true;
	fiber_start(run, lane);
}

/* All of them. */
void
lanes_kick_all(void)
{
	struct transport	*t;
	unsigned		 i;

	for (t = transport_next(NULL); t != NULL; t = transport_next(t))
		for (i = 0; i < t->workers; i++)
			lane_kick(&t->lanes[i]);
}

/* When it is the transport's slots that are short, the lanes get them in
 * turn. */
void
lane_has_slot(struct lane *lane)
{
	struct transport	*t = lane->transport;
	unsigned		 i;

	if (t->limit == 0 || t->in_flight + 1 < t->limit) {
		lane_kick(lane);
		return;
	}
	t->last_lane = (t->last_lane + 1) % t->workers;
	for (i = 0; i < t->workers; i++)
		lane_kick(&t->lanes[(t->last_lane + i) % t->workers]);
}

/* The end. */
void
lanes_drain(void)
{
	is_draining = true;
}
