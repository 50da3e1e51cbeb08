#ifndef QMGR_RETRY_H
#define QMGR_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/param/param.h"

/* When to try again, when to warn, when to give up. Milliseconds. */
struct retry_settings {
	int64_t	 minimal, maximal;		/* back-off */
	int64_t	 lifetime, bounce_lifetime;
	int64_t	 warning;			/* 0: no warnings */
	int64_t	 scan_every;
	int64_t	 longest;	/* maximal of any transport */
};
extern struct retry_settings	 retry;
extern const struct param	 retry_params[];

/*
 * How long to wait after this attempt (the first is 0): minimal, doubled each
 * time up to maximal, spread by a quarter to both sides; `random` is any
 * number.
 */
int64_t	 retry_pause(const struct retry_settings *, unsigned attempt,
	    uint32_t random);

/* A number that nobody knows. */
uint32_t retry_random(void);

/* The same with the settings for all transports and a number nobody knows. */
int64_t	 retry_pause_now(unsigned attempt);

/* The longest pause that any message makes. */
int64_t	 retry_longest_pause(void);

/* How old a message is, in milliseconds, after so many attempts. */
int64_t	 retry_age(const struct retry_settings *, int64_t arrival_us,
	    unsigned attempts);

/* Is a message of this age to be given up after a failed try? */
bool	 retry_is_too_old(const struct retry_settings *, int64_t age,
	    bool is_bounce);

/*
 * Has the wall clock gone its way beside the monotonic one? After a jump of
 * more than an hour ages mean nothing until each message could have been
 * tried once: false until then. Both times in milliseconds.
 */
struct retry_clock {
	bool	 is_set;
	int64_t	 difference;	/* wall - monotonic, as last seen */
	int64_t	 trusted_from;	/* monotonic */
};
bool	 retry_clock_is_sane(struct retry_clock *, int64_t wall, int64_t now,
	    int64_t cycle);

/* The clock of this process. */
bool	 retry_may_expire(void);

#endif
