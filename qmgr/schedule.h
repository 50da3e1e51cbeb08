#ifndef QMGR_SCHEDULE_H
#define QMGR_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/tree.h>

#include "common/base/mem.h"
#include "qmgr/site.h"

/*
 * Whose turn it is. A schedule has sites, a site has jobs, a job is what one
 * message has for one next hop at that site. Nothing here knows what a
 * message is, or waits. Times are monotonic milliseconds.
 */

/* Two lines, which get turns by turns: mail that has had few deliveries so
 * far, and mailings. */
enum line { LINE_FEW, LINE_MANY, LINES };

/* What all jobs of a message have in common. */
struct share {
	unsigned	 turns;			/* deliveries begun */
	uint32_t	 who;			/* sent it: a hash */
};

/* Jobs of one sender in a line of a site. */
TAILQ_HEAD(job_queue, job);
struct party {
	RB_ENTRY(party)		 entry;		/* among those of the line */
	TAILQ_ENTRY(party)	 next;		/* in turn */
	uint32_t		 who;
	size_t			 count;
	struct job_queue	 jobs;
};
TAILQ_HEAD(party_queue, party);
RB_HEAD(party_tree, party);

struct job {
	TAILQ_ENTRY(job)	 next;		/* in its site's queue */
	RB_ENTRY(job)		 entry;		/* for who makes jobs */
	struct destination	*site;
	void			*message;
	struct share		*share;		/* or NULL */
	char			*nexthop;
	uint32_t		*numbers;	/* of recipients */
	size_t			 first, end, room;
	size_t			 least;		/* waits for so many */
	bool			 is_queued;
	enum line		 line;		/* if it is queued */
	struct party		*party;		/* likewise */
};

/*
 * How many jobs wait for one thing, a site or all that a schedule has. The
 * rest is evict.c's, which keeps any of them from filling the memory.
 */
struct load {
	TAILQ_ENTRY(load) next;		/* among the clogged */
	uint32_t	 mark;		/* of waiting messages */
	size_t		 queued;	/* jobs */
	bool		 is_clogged;
	size_t		 keep;		/* so many, if it is */
	int64_t		 warned;
};

/* Where a site stands in the schedule. */
enum place { PLACE_FEW, PLACE_MANY, PLACE_PAUSED, PLACE_NOWHERE };

/* A site and what waits for it. (struct site is the configuration's.) */
struct destination {
	RB_ENTRY(destination)	 entry;		/* in its transport */
	TAILQ_ENTRY(destination) next;		/* in a line of the schedule */
	RB_ENTRY(destination)	 pause;		/* or among the paused */
	struct schedule		*schedule;
	const struct pace	*pace;
	char			*name;		/* in its transport */
	char			*label;		/* as resolve calls the site */
	struct load		 load;
	struct party_queue	 parties[LINES];
	struct party_tree	 by_who[LINES];
	enum line		 turn;		/* whose it is */
	size_t			 waiting;	/* recipients in jobs */
	unsigned		 in_flight;
	unsigned		 users;		/* jobs that know it */
	struct window		 window;
	int64_t			 not_before;	/* rate delay; 0: none */
	enum place		 place;
	bool			 is_quick;	/* the last delivery was */
	char			*why;		/* it is dead; "4.4.1 text" */
	int64_t			 died;		/* when, if not revived since */
};

RB_HEAD(paused_sites, destination);
struct schedule {
	TAILQ_HEAD(, destination) lines[LINES];	/* that may have a turn */
	enum line		 turn;
	struct paused_sites	 paused;
	struct load		 load;
	unsigned		 in_flight, slots;	/* slots 0: any */
	void			*owner;
};

void		 schedule_init(struct schedule *, void *owner);
void		 destination_init(struct destination *, struct schedule *,
		    const struct pace *, char *name);

/* One more recipient; memory from the pool. Does not queue the job. */
void		 job_add(struct job *, struct pool *, uint32_t number);
static inline size_t
job_count(const struct job *job)
{
	return job->end - job->first;
}

/* The job's turn will come, if it has recipients enough. Queued already:
 * nothing happens. */
void		 schedule_queue(struct job *);
/* It has no turn any more. */
void		 schedule_withdraw(struct job *);

/*
 * The job whose turn it is, NULL if there is none; not taken. Jobs of dead
 * sites have their turn too: *is_dead tells. *when is set to the time of the
 * next turn if only a rate delay stands against it, else NEVER.
 */
struct job	*schedule_next(struct schedule *, int64_t now, bool *is_dead,
		    int64_t *when);
/* The first `count` recipients of that job are taken, for a delivery or (when
 * dead) for nothing; the others wait for the next turn. */
void		 schedule_take(struct job *, size_t count, bool is_delivery);
/* A delivery to the site is over; the window may have changed. */
void		 schedule_ended(struct destination *, int64_t now);
/* The window or the life of the site changed. */
void		 schedule_refresh(struct destination *);
/* Is there nothing in it that may have a turn, now or after a pause? */
bool		 schedule_is_empty(const struct schedule *);

/* Is nothing known of the site that a new one would not know? */
bool		 destination_is_idle(struct destination *, int64_t now);

#endif
