/*
 * limit.pml - how many deliveries a site has at once, and that none of its
 * messages is forgotten: qmgr/schedule.c, qmgr/site.c.
 *
 * Two sites share the slots. A site stands in the line exactly when it has
 * jobs and room in its window, or is dead (schedule.c P1); nothing searches
 * for one that should stand there. When half of the slots are taken, a site
 * has one place only; that place is looked at when something of its own
 * changes, not when the others' slots become free.
 *
 *	LIMIT	never more deliveries at once than the greatest window; a
 *		window has a place
 *	ALIVE	who has jobs is in the line, or something of his is under way:
 *		when nothing can happen any more there are no jobs
 */
#define JOBS	3
#define WIDEST	2
#define SLOTS	3
#define FAILS	3
#define DEATHS	2		/* of the agent */
#define COHORTS	2		/* that fail before a site is dead */

typedef site {
	byte jobs, waiting, in_flight, window, cohort;
	bit is_dead, in_line
};
site s[2];
byte slots, fails, deaths, done;

#ifdef MUTANT_ZERO_WINDOW
#define LEAST	0
#else
#define LEAST	1
#endif
#ifdef MUTANT_NO_SHARE_LEFT
#define CROWDED	0
#else
#define CROWDED	1
#endif
#define ROOM(x)	(slots * 2 < SLOTS -> s[x].window : \
		(s[x].window < CROWDED -> s[x].window : CROWDED))

inline refresh(x)
{
	s[x].in_line = (s[x].jobs > 0 && (s[x].is_dead ||
	    s[x].in_flight < ROOM(x)))
}

/* schedule_freed() */
inline freed(x)
{
	s[x].in_flight--; slots--;
#ifndef MUTANT_NO_REFRESH
	refresh(x)
#endif
}

#define SITE(x) \
	/* its turn: a dead one's jobs are deferred, another's delivered */ \
	:: atomic { s[x].in_line && s[x].is_dead -> \
		s[x].waiting = s[x].waiting + s[x].jobs; s[x].jobs = 0; \
		refresh(x) } \
	:: atomic { s[x].in_line && !s[x].is_dead && slots < SLOTS -> \
		s[x].jobs--; s[x].in_flight++; slots++; \
		assert(s[x].in_flight <= WIDEST);		/* LIMIT */ \
		refresh(x) } \
	/* it answered */ \
	:: atomic { s[x].in_flight > 0 -> s[x].cohort = 0; done++; \
		if \
		:: s[x].window < WIDEST -> s[x].window++ \
		:: else \
		fi; \
		freed(x) } \
	/* it did not */ \
	:: atomic { s[x].in_flight > 0 && fails < FAILS -> \
		fails++; s[x].waiting++; s[x].cohort++; \
		if \
		:: s[x].cohort >= COHORTS * s[x].window -> s[x].is_dead = 1 \
		:: else -> \
			if \
			:: s[x].window > LEAST -> s[x].window-- \
			:: else \
			fi \
		fi; \
		assert(s[x].window > 0);			/* LIMIT */ \
		freed(x) } \
	/* its agent died: the jobs are handed out again */ \
	:: atomic { s[x].in_flight > 0 && deaths < DEATHS -> \
		deaths++; s[x].jobs++; LOSE(x) } \
	/* time */ \
	:: atomic { s[x].is_dead && s[x].jobs == 0 && s[x].waiting > 0 -> \
		s[x].is_dead = 0; s[x].window = 1; s[x].cohort = 0; \
		refresh(x) } \
	:: atomic { !s[x].is_dead && s[x].waiting > 0 -> \
		s[x].waiting--; s[x].jobs++; refresh(x) }

#ifdef MUTANT_SLOT_LOST
#define LOSE(x)	s[x].in_flight--; refresh(x)
#else
#define LOSE(x)	freed(x)
#endif

init
{
	s[0].jobs = JOBS; s[1].jobs = JOBS - 1;
	s[0].window = 1; s[1].window = WIDEST;
	refresh(0); refresh(1);
end:	do
	SITE(0)
	SITE(1)
	:: timeout -> assert(done == 2 * JOBS - 1 && slots == 0); /* ALIVE */
		break
	od
}
