/*
 * schedule.c - whose turn it is.
 *
 * Round robin three times: sites have their turns one after the other, within
 * a site those who sent something have theirs, and each of them has one
 * message after the other delivered, one delivery at a time. So a message for
 * one person waits for one delivery of a mailing at most, a mailing to one
 * site delays no other, and who sends fifty thousand messages to a site has
 * one turn there for each that somebody else has.
 *
 * A mailing to a hundred thousand sites has as many places among the sites.
 * So there are two lines, at the sites and at each site: one for messages that
 * have had few deliveries so far, one for those that have had more; when both
 * have somebody, they have turns by turns.
 *
 * P1  A site is in a line exactly when it has a job, no rate delay to wait
 *     for, and either room in its window or no life: nothing is searched.
 *     Those that wait for their rate delay stand in a tree by time, senders
 *     in one by name. A step costs O(log n).
 * P2  A job that has become a mailing changes its line when its turn comes,
 *     once.
 */
#include "qmgr/schedule.h"

#include <stdlib.h>

#include "common/base/bug.h"
#include "common/base/clock.h"

enum {
	FEW = 8,			/* deliveries */
	MANY_SLOTS = 8,
	REMEMBERED = 60 * 60 * 1000	/* that a site was dead */
};

static int
compare_pauses(const struct destination *a, const struct destination *b)
{
	if (a->not_before != b->not_before)
		return a->not_before < b->not_before ? -1 : 1;
	return a < b ? -1 : a > b;
}

static int
compare_parties(const struct party *a, const struct party *b)
{
	return a->who < b->who ? -1 : a->who > b->who;
}

RB_PROTOTYPE(party_tree, party, entry, )
RB_GENERATE(party_tree, party, entry, compare_parties)
RB_PROTOTYPE(paused_sites, destination, pause, )
RB_GENERATE(paused_sites, destination, pause, compare_pauses)

/* A schedule without sites. */
void
schedule_init(struct schedule *s, void *owner)
{
	*s = (struct schedule){ .owner = owner };
	TAILQ_INIT(&s->lines[LINE_FEW]);
	TAILQ_INIT(&s->lines[LINE_MANY]);
	RB_INIT(&s->paused);
}

/* A site without jobs. */
void
destination_init(struct destination *s, struct schedule *schedule,
    const struct pace *pace, char *name)
{
	*s = (struct destination){ .schedule = schedule, .pace = pace,
	    .name = name, .label = name, .place = PLACE_NOWHERE };
	TAILQ_INIT(&s->parties[LINE_FEW]);
	TAILQ_INIT(&s->parties[LINE_MANY]);
	window_start(&s->window, pace);
}

/* One more recipient. */
void
job_add(struct job *job, struct pool *pool, uint32_t number)
{
	size_t	room = job->room;

	if (job->end == room) {
		job->room = room == 0 ? 4 : 2 * room;
		job->numbers = room == 0 ?
		    pool_array(pool, job->room, sizeof(uint32_t)) :
		    pool_resize(pool, job->numbers, room * sizeof(uint32_t),
		    job->room * sizeof(uint32_t));
	}
	job->numbers[job->end++] = number;
	if (job->is_queued)
		job->site->waiting++;
}

/* --- where a site stands ------------------------------------------------- */

/* How many deliveries may it have at once? When half of the slots are taken,
 * one that has not shown that it gets things done has one slot: a thousand
 * sites that do nothing but wait leave some to others. */
static int64_t
room_of(const struct destination *s)
{
	const struct schedule	*all = s->schedule;

	if (s->is_quick || s->window.size < 1 || all->slots < MANY_SLOTS ||
	    all->in_flight < all->slots / 2)
		return s->window.size;
	return 1;
}

/* Where should it? */
static enum place
place_of(const struct destination *s)
{
	bool	is_dead = s->window.dead_until != 0;

	if (s->load.queued == 0 || (!is_dead && s->in_flight >= room_of(s)))
		return PLACE_NOWHERE;
	if (!is_dead && s->not_before != 0)
		return PLACE_PAUSED;
	return TAILQ_EMPTY(&s->parties[LINE_FEW]) ? PLACE_MANY : PLACE_FEW;
}

/* Take it from where it stands. */
static void
leave_place(struct destination *s)
{
	if (s->place == PLACE_PAUSED)
		RB_REMOVE(paused_sites, &s->schedule->paused, s);
	else if (s->place != PLACE_NOWHERE)
		TAILQ_REMOVE(&s->schedule->lines[s->place], s, next);
	s->place = PLACE_NOWHERE;
}

/* Put it where it should stand: at the end, if that is a line. */
void
schedule_refresh(struct destination *s)
{
	enum place	place = place_of(s);

	if (place == s->place)
		return;
	leave_place(s);
	s->place = place;
	if (place == PLACE_PAUSED)
		RB_INSERT(paused_sites, &s->schedule->paused, s);
	else if (place != PLACE_NOWHERE)
		TAILQ_INSERT_TAIL(&s->schedule->lines[place], s, next);
}

/* Is there anything? */
bool
schedule_is_empty(const struct schedule *s)
{
	return TAILQ_EMPTY(&s->lines[LINE_FEW]) &&
	    TAILQ_EMPTY(&s->lines[LINE_MANY]) && RB_EMPTY(&s->paused);
}

/* --- jobs ---------------------------------------------------------------- */

/* Has it recipients enough for a turn? */
static bool
is_worth_a_turn(const struct job *job)
{
	return job_count(job) > 0 && job_count(job) >= job->least;
}

/* The line for it now. */
static enum line
line_of(const struct job *job)
{
	return job->share != NULL && job->share->turns >= FEW ? LINE_MANY :
	    LINE_FEW;
}

/* The party of who sent this, in the line; made if need be. */
static struct party *
party_of(struct destination *s, enum line line, const struct share *share)
{
	struct party	*p, key = { .who = share != NULL ? share->who : 0 };

	if ((p = RB_FIND(party_tree, &s->by_who[line], &key)) != NULL)
		return p;
	p = mem_alloc(sizeof(*p));
	*p = (struct party){ .who = key.who };
	TAILQ_INIT(&p->jobs);
	RB_INSERT(party_tree, &s->by_who[line], p);
	TAILQ_INSERT_TAIL(&s->parties[line], p, next);
	return p;
}

/* At the end of its line: behind all that the same sender has there. */
static void
line_up(struct job *job)
{
	job->line = line_of(job);
	job->party = party_of(job->site, job->line, job->share);
	TAILQ_INSERT_TAIL(&job->party->jobs, job, next);
	job->party->count++;
}

/* Out of its line. If it had its turn, its sender goes behind the others. */
static void
leave_line(struct job *job, bool had_turn)
{
	struct party_queue	*line = &job->site->parties[job->line];
	struct party		*p = job->party;

	TAILQ_REMOVE(&p->jobs, job, next);
	job->party = NULL;
	if (--p->count == 0) {
		TAILQ_REMOVE(line, p, next);
		RB_REMOVE(party_tree, &job->site->by_who[job->line], p);
		free(p);
	} else if (had_turn) {
		TAILQ_REMOVE(line, p, next);
		TAILQ_INSERT_TAIL(line, p, next);
	}
}

/* Queue a job at its site. */
void
schedule_queue(struct job *job)
{
	if (job->is_queued || !is_worth_a_turn(job))
		return;
	job->is_queued = true;
	line_up(job);
	job->site->load.queued++;
	job->site->schedule->load.queued++;
	job->site->waiting += job_count(job);
	schedule_refresh(job->site);
}

/* Take a job out. */
void
schedule_withdraw(struct job *job)
{
	if (!job->is_queued)
		return;
	job->is_queued = false;
	leave_line(job, false);
	job->site->load.queued--;
	job->site->schedule->load.queued--;
	job->site->waiting -= job_count(job);
	schedule_refresh(job->site);
}

/* --- turns --------------------------------------------------------------- */

/* The job whose turn it is at the site. */
static struct job *
job_of(struct destination *s)
{
	struct party	*p = TAILQ_FIRST(&s->parties[s->turn]);

	if (p == NULL)
		p = TAILQ_FIRST(&s->parties[!s->turn]);
	return p != NULL ? TAILQ_FIRST(&p->jobs) : NULL;
}

/* The same, after who has become a mailing went to the other line (P2). */
static struct job *
right_job_of(struct destination *s)
{
	struct job	*job;

	while ((job = job_of(s)) != NULL && job->line == LINE_FEW &&
	    line_of(job) == LINE_MANY) {
		leave_line(job, false);
		line_up(job);
	}
	schedule_refresh(s);
	return job;
}

/* Those whose rate delay is over come back to the lines. */
static int64_t
end_pauses(struct schedule *schedule, int64_t now)
{
	struct destination	*s;

	while ((s = RB_MIN(paused_sites, &schedule->paused)) != NULL) {
		if (s->not_before > now)
			return s->not_before;
		leave_place(s);
		s->not_before = 0;
		schedule_refresh(s);
	}
	return NEVER;
}

/* The first in a line that may really have its turn. */
static struct job *
first_in(struct schedule *schedule, enum line line, int64_t now, bool *is_dead)
{
	struct destination	*s;
	struct job		*job;

	while ((s = TAILQ_FIRST(&schedule->lines[line])) != NULL) {
		*is_dead = window_is_dead(&s->window, s->pace, now);
		job = right_job_of(s);	/* it may have come to life, too */
		if (s->place == (enum place)line)
			return job;
	}
	return NULL;
}

/* Whose turn is it? */
struct job *
schedule_next(struct schedule *schedule, int64_t now, bool *is_dead,
    int64_t *when)
{
	struct job	*job;

	*when = end_pauses(schedule, now);
	job = first_in(schedule, schedule->turn, now, is_dead);
	if (job == NULL)
		job = first_in(schedule, !schedule->turn, now, is_dead);
	if (job == NULL)	/* mailings found there came over here (P2) */
		job = first_in(schedule, schedule->turn, now, is_dead);
	if (job != NULL)
		*when = NEVER;
	else	/* who just came to life may have a pause to wait for */
		*when = end_pauses(schedule, now);
	return job;
}

/* The job had its turn: it goes behind the others, and so does the site. */
void
schedule_take(struct job *job, size_t count, bool is_delivery)
{
	struct destination	*s = job->site;

	CLAIM(job->is_queued && count <= job_count(job));
	leave_line(job, true);
	s->turn = !job->line;
	s->waiting -= count;
	job->first += count;
	if (is_delivery) {
		s->in_flight++;
		s->schedule->in_flight++;
		if (job->share != NULL)
			job->share->turns++;
	}
	job->is_queued = is_worth_a_turn(job);
	if (job->is_queued)
		line_up(job);
	else {
		s->waiting -= job_count(job);
		s->load.queued--;
		s->schedule->load.queued--;
	}
	if (s->place == PLACE_FEW || s->place == PLACE_MANY)
		s->schedule->turn = s->place == PLACE_FEW ? LINE_MANY :
		    LINE_FEW;
	leave_place(s);
	schedule_refresh(s);
}

/* One place in the window is free again, and the rate delay begins. */
void
schedule_ended(struct destination *s, int64_t now)
{
	CLAIM(s->in_flight > 0);
	s->in_flight--;
	s->schedule->in_flight--;
	if (s->pace->rate_delay > 0) {
		leave_place(s);
		s->not_before = now + s->pace->rate_delay;
	}
	schedule_refresh(s);
}

/* Can it be forgotten? */
bool
destination_is_idle(struct destination *s, int64_t now)
{
	return s->users == 0 && s->in_flight == 0 && !s->load.is_clogged &&
	    s->not_before <= now &&
	    (s->died == 0 || now - s->died > REMEMBERED) &&
	    !window_is_dead(&s->window, s->pace, now);
}
