/*
 * schedule.c - whose turn it is.
 *
 * Round robin twice: sites have their turns one after the other, and within a
 * site messages have theirs, one delivery at a time. So a message for one
 * person waits for one delivery of a mailing at most, and a mailing to one
 * site delays no other.
 *
 * P1  A site is in the list exactly when it has a job and either room in its
 *     window or no life: nothing is searched, each step costs O(1). Sites
 *     that wait for their rate delay stay in the list and are passed over.
 */
#include "qmgr/schedule.h"

#include "common/base/bug.h"
#include "common/base/clock.h"

/* A schedule without sites. */
void
schedule_init(struct schedule *s, void *owner)
{
	s->owner = owner;
	TAILQ_INIT(&s->sites);
}

/* A site without jobs. */
void
destination_init(struct destination *s, struct schedule *schedule,
    const struct pace *pace, char *name)
{
	*s = (struct destination){ .schedule = schedule, .pace = pace,
	    .name = name };
	TAILQ_INIT(&s->jobs);
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

/* Should the site be in the list? */
static bool
has_turn(const struct destination *s)
{
	return !TAILQ_EMPTY(&s->jobs) &&
	    (s->window.dead_until != 0 || s->in_flight < s->window.size);
}

/* Put the site into the list, at its end, or take it out. */
void
schedule_refresh(struct destination *s)
{
	bool	wants = has_turn(s);

	if (wants == s->is_listed)
		return;
	if (wants)
		TAILQ_INSERT_TAIL(&s->schedule->sites, s, next);
	else
		TAILQ_REMOVE(&s->schedule->sites, s, next);
	s->is_listed = wants;
}

/* Has it recipients enough for a turn? */
static bool
is_worth_a_turn(const struct job *job)
{
	return job_count(job) > 0 && job_count(job) >= job->least;
}

/* Queue a job at its site. */
void
schedule_queue(struct job *job)
{
	if (job->is_queued || !is_worth_a_turn(job))
		return;
	job->is_queued = true;
	TAILQ_INSERT_TAIL(&job->site->jobs, job, next);
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
	TAILQ_REMOVE(&job->site->jobs, job, next);
	job->site->waiting -= job_count(job);
	schedule_refresh(job->site);
}

/* The first site of the list whose rate delay is over. */
struct job *
schedule_next(struct schedule *schedule, int64_t now, bool *is_dead,
    int64_t *when)
{
	struct destination	*s, *following;

	*when = NEVER;
	for (s = TAILQ_FIRST(&schedule->sites); s != NULL; s = following) {
		following = TAILQ_NEXT(s, next);
		*is_dead = window_is_dead(&s->window, s->pace, now);
		if (*is_dead)
			return TAILQ_FIRST(&s->jobs);
		schedule_refresh(s);	/* it may have come to life */
		if (!s->is_listed)
			continue;
		if (s->not_before <= now)
			return TAILQ_FIRST(&s->jobs);
		if (s->not_before < *when)
			*when = s->not_before;
	}
	return NULL;
}

/* The job had its turn: it goes behind the others, and so does the site. */
void
schedule_take(struct job *job, size_t count, int64_t now, bool is_delivery)
{
	struct destination	*s = job->site;

	CLAIM(job->is_queued && count <= job_count(job));
	job->first += count;
	s->waiting -= count;
	TAILQ_REMOVE(&s->jobs, job, next);
	job->is_queued = is_worth_a_turn(job);
	if (job->is_queued)
		TAILQ_INSERT_TAIL(&s->jobs, job, next);
	else
		s->waiting -= job_count(job);
	if (is_delivery) {
		s->in_flight++;
		s->not_before = now + s->pace->rate_delay;
	}
	if (s->is_listed) {
		TAILQ_REMOVE(&s->schedule->sites, s, next);
		s->is_listed = false;
	}
	schedule_refresh(s);
}

/* One place in the window is free again. */
void
schedule_ended(struct destination *s)
{
	CLAIM(s->in_flight > 0);
	s->in_flight--;
	schedule_refresh(s);
}

/* Can it be forgotten? */
bool
destination_is_idle(struct destination *s, int64_t now)
{
	return s->users == 0 && s->in_flight == 0 &&
	    s->not_before <= now && !window_is_dead(&s->window, s->pace, now);
}
