#ifndef QMGR_SITE_H
#define QMGR_SITE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How many deliveries a site may have at once: a window that grows while it
 * answers and shrinks while it does not. Times are monotonic milliseconds.
 */

/* What one delivery counts: factor, or factor / window, or / its root. */
enum feedback_per { FEEDBACK_PER_DELIVERY, FEEDBACK_PER_WINDOW,
    FEEDBACK_PER_ROOT };
struct feedback {
	double			 factor;	/* 0 to 1 */
	enum feedback_per	 per;
};

/* "1", "0.5/concurrency", "1/sqrt_concurrency": NULL, or what is expected. */
const char	*feedback_parse(const char *, struct feedback *);

/* The settings of a transport. */
struct pace {
	int64_t		 initial, limit;	/* window; limit 0: none */
	int64_t		 recipients;		/* in one delivery; 0: any */
	struct feedback	 up, down;
	double		 cohorts;		/* 0: never dead */
	int64_t		 dead_time;
	int64_t		 rate_delay;		/* between two deliveries */
};

struct window {
	int64_t		 size;
	double		 success, failure;	/* parts of a step */
	double		 cohorts;		/* failures in a row / size */
	int64_t		 dead_until;		/* 0: alive */
};

void		 window_start(struct window *, const struct pace *);
/* The settings have changed: no wider than they allow. */
void		 window_fit(struct window *, const struct pace *);
/* A delivery reached the site (whatever it then said); in_flight counts it. */
void		 window_succeeded(struct window *, const struct pace *,
		    unsigned in_flight);
/* The site could not be talked to. True when that makes it dead. */
bool		 window_failed(struct window *, const struct pace *,
		    int64_t now);
/* A site whose time is over is alive again, with a fresh window. */
bool		 window_is_dead(struct window *, const struct pace *,
		    int64_t now);

#endif
