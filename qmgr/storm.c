/*
 * storm.c - reports are made one sender after the other, and not too many.
 *
 * A next hop that refuses a hundred thousand messages at once makes as many
 * reports due; each of them is a message of its own. So there is a rate, and
 * a line in which senders have turns. The line is short: who finds it full
 * puts his message back, with what is to be reported (notify.c), and comes
 * again at a time at which there will be room, if all goes on like this.
 *
 * P1  No more than bounce_report_rate_limit reports are begun in a second, in
 *     the long run, and no more than AT_ONCE are under way.
 * P2  No more than LINE fibers wait here, EACH of them for one sender, but
 *     that one who has nobody in the line is let in until it is twice as
 *     long. So a storm to one sender puts off no report to another. Who is
 *     patient is not counted, and does not make the line longer for others.
 */
#include "qmgr/storm.h"

#include <stdlib.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "qmgr/retry.h"

enum {
	AT_ONCE = 20,
	LINE = 400, EACH = 100,
	WHOLE = 1000			/* credit for one report */
};

static int64_t	rate;

const struct param	storm_params[] = {
	PARAM_INT("bounce_report_rate_limit", rate, "100", 0, 1000000,
	    "How many reports to senders are made in a second; others wait "
	    "for their turn, in the queue if they are many. 0 means any "
	    "number."),
	PARAM_END
};

/* A fiber in the line. */
struct waiting {
	TAILQ_ENTRY(waiting)	 next;
	struct fiber		*fiber;
	bool			 is_patient, has_turn, must_go;
};

/* Those of one sender. */
struct crowd {
	RB_ENTRY(crowd)		 entry;
	TAILQ_ENTRY(crowd)	 next;
	uint32_t		 who;
	size_t			 count;
	TAILQ_HEAD(, waiting)	 waiting;
};

static int
compare(const struct crowd *a, const struct crowd *b)
{
	return a->who < b->who ? -1 : a->who > b->who;
}

RB_HEAD(crowds, crowd);
RB_PROTOTYPE(crowds, crowd, entry, )
RB_GENERATE(crowds, crowd, entry, compare)

static struct crowds		crowds = RB_INITIALIZER(&crowds);
static TAILQ_HEAD(, crowd)	line = TAILQ_HEAD_INITIALIZER(line);
static size_t			in_line, patient;	/* of them */
static unsigned			under_way;
static int64_t			credit, counted_at;
static int64_t			horizon;	/* microseconds */
static struct fiber		*usher;
static bool			is_draining;

/* --- the rate ------------------------------------------------------------ */

/* What may be begun at once after a pause: the reports of a tenth second. */
static int64_t
credit_most(void)
{
	return (rate / 10 + 1) * WHOLE;
}

/* Add what has come since the last look. */
static void
count_credit(void)
{
	int64_t	now = clock_now(), most = credit_most();

	if (now - counted_at > 1000)
		credit = most;
	else
		credit += (now - counted_at) * rate;
	if (credit >= most) {
		credit = most;
		if (in_line == 0)
			horizon = 0;	/* the storm is over */
	}
	counted_at = now;
}

/* How long until the next one, 0 now; NEVER: until one is given back. */
static int64_t
time_left(void)
{
	if (under_way >= AT_ONCE)
		return NEVER;
	if (rate == 0)
		return 0;
	count_credit();
	return credit >= WHOLE ? 0 : (WHOLE - credit) / rate + 1;
}

/* One begins. */
static void
begin(void)
{
	under_way++;
	credit -= rate > 0 ? WHOLE : 0;
}

/* Come back then. */
int64_t
storm_pause(void)
{
	int64_t	now = clock_now(), least = now + 1000, pause;

	if (horizon < least * 1000)
		horizon = least * 1000;
	horizon += 1000000 / (rate > 0 ? rate : 1000);
	pause = horizon / 1000 - now;
	return pause < retry.maximal ? pause : retry_pause_now(UINT8_MAX);
}

/* --- the line ------------------------------------------------------------ */

/* Those of this sender, or NULL. */
static struct crowd *
crowd_of(uint32_t who)
{
	struct crowd	key = { .who = who };

	return RB_FIND(crowds, &crowds, &key);
}

/* The same, made if need be. */
static struct crowd *
crowd_made(uint32_t who)
{
	struct crowd	*c = crowd_of(who);

	if (c != NULL)
		return c;
	c = mem_alloc(sizeof(*c));
	*c = (struct crowd){ .who = who };
	TAILQ_INIT(&c->waiting);
	RB_INSERT(crowds, &crowds, c);
	TAILQ_INSERT_TAIL(&line, c, next);
	return c;
}

/* Is there room for one more (P2)? */
static bool
has_room(uint32_t who)
{
	const struct crowd	*c = crowd_of(who);
	size_t			 count = in_line - patient;

	return c == NULL ? count < 2 * LINE : count < LINE && c->count < EACH;
}

/* The first of those who are next; they go behind the others. */
static struct waiting *
take_first(void)
{
	struct crowd	*c = TAILQ_FIRST(&line);
	struct waiting	*w = TAILQ_FIRST(&c->waiting);

	TAILQ_REMOVE(&c->waiting, w, next);
	TAILQ_REMOVE(&line, c, next);
	in_line--;
	patient -= w->is_patient;
	if (--c->count == 0) {
		RB_REMOVE(crowds, &crowds, c);
		free(c);
	} else
		TAILQ_INSERT_TAIL(&line, c, next);
	return w;
}

/* The fiber that gives turns; lives while there is a line. */
static void
run(void *arg)
{
	struct waiting	*w;
	int64_t		 left;

	(void)arg;
	fiber_name("reports");
	while (in_line > 0) {
		left = time_left();
		if (left > 0) {
			(void)fiber_park(left == NEVER ? NEVER :
			    clock_now() + left);
			continue;
		}
		w = take_first();
		w->has_turn = true;
		begin();
		fiber_wake(w->fiber);
	}
	usher = NULL;
}

/* Stand in the line. */
static WAITS bool
wait_in_line(uint32_t who, bool is_patient)
{
	struct waiting	 w = { .fiber = fiber_self(),
			    .is_patient = is_patient };
	struct crowd	*c = crowd_made(who);

	TAILQ_INSERT_TAIL(&c->waiting, &w, next);
	c->count++;
	in_line++;
	patient += is_patient;
	if (usher == NULL)
		usher = fiber_start(run, NULL);
	while (!w.has_turn && !w.must_go)
		(void)fiber_park(NEVER);
	return w.has_turn;
}

/* --- what others ask for ------------------------------------------------- */

/* All credit is there. */
void
storm_start(void)
{
	counted_at = clock_now();
	credit = credit_most();
}

/* Wait for a turn. */
bool
storm_take(const struct message *m, bool is_patient)
{
	if (is_draining)
		return false;
	if (in_line == 0 && time_left() == 0) {
		begin();
		return true;
	}
	return (is_patient || has_room(m->share.who)) &&
	    wait_in_line(m->share.who, is_patient);
}

/* A report is made. */
void
storm_give(void)
{
	CLAIM(under_way > 0);
	under_way--;
	if (usher != NULL)
		fiber_wake(usher);
}

/* The end: what waits here is put back. */
void
storm_drain(void)
{
	struct waiting	*w;

	is_draining = true;
	while (in_line > 0) {
		w = take_first();
		w->must_go = true;
		fiber_wake(w->fiber);
	}
	if (usher != NULL)
		fiber_wake(usher);
}
