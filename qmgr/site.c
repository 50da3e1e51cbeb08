/*
 * site.c - how many deliveries a site may have at once.
 *
 * The window starts small. While the site answers, each delivery adds a part
 * of a step, and a whole step widens the window by one; while it cannot be
 * talked to, each delivery takes a part away, and the first part of a step is
 * enough to narrow it. When as many deliveries in a row have failed as the
 * window had places (one cohort), the site is dead: nothing is tried there
 * until its time is over.
 *
 * The names of the settings, their defaults and what they mean are Postfix's.
 */
#include "qmgr/site.h"

#include <stdlib.h>

#include "common/base/text.h"

/* A factor, then nothing or what it is divided by. */
const char *
feedback_parse(const char *text, struct feedback *f)
{
	static const char	expected[] = "expected a number from 0 to 1, "
				    "alone or followed by /concurrency or "
				    "/sqrt_concurrency";
	char			*rest;

	f->factor = strtod(text, &rest);
	if (rest == text || !(f->factor >= 0 && f->factor <= 1))
		return expected;
	while (*rest == ' ')
		rest++;
	if (*rest == '\0')
		f->per = FEEDBACK_PER_DELIVERY;
	else if (text_equal(rest, "/concurrency") ||
	    text_equal(rest, "/ concurrency"))
		f->per = FEEDBACK_PER_WINDOW;
	else if (text_equal(rest, "/sqrt_concurrency") ||
	    text_equal(rest, "/ sqrt_concurrency"))
		f->per = FEEDBACK_PER_ROOT;
	else
		return expected;
	return NULL;
}

/* A square root, good enough for a small number of deliveries. */
static double
root(double n)
{
	double	guess = n > 1 ? n : 1;
	int	i;

	for (i = 0; i < 20; i++)
		guess = (guess + n / guess) / 2;
	return guess;
}

/* What one delivery counts at this window. */
static double
part(const struct feedback *f, int64_t window)
{
	switch (f->per) {
	case FEEDBACK_PER_WINDOW:
		return f->factor / (double)window;
	case FEEDBACK_PER_ROOT:
		return f->factor / root((double)window);
	default:
		return f->factor;
	}
}

/* Within the limit. */
void
window_fit(struct window *w, const struct pace *p)
{
	if (p->limit > 0 && w->size > p->limit)
		w->size = p->limit;
}

/* The initial window, within the limit. */
void
window_start(struct window *w, const struct pace *p)
{
	*w = (struct window){ .size = p->initial };
	window_fit(w, p);
	if (w->size < 1)
		w->size = 1;
}

/* The site answers. A window that is not used up is wide enough. */
void
window_succeeded(struct window *w, const struct pace *p, unsigned in_flight)
{
	double	step;

	w->cohorts = 0;
	if (w->size >= (int64_t)in_flight + p->initial)
		return;
	step = part(&p->up, w->size);
	w->success += step;
	/* Half a part early: three thirds are not quite one. */
	while (w->success + step / 2 >= 1) {
		w->size++;
		w->success -= 1;
		w->failure = 0;
	}
	window_fit(w, p);
}

/* The site does not answer. */
bool
window_failed(struct window *w, const struct pace *p, int64_t now)
{
	double	step;

	if (w->dead_until > now)
		return false;
	w->cohorts += 1.0 / (double)w->size;
	if (p->cohorts > 0 && w->cohorts + 1e-9 >= p->cohorts) {
		w->dead_until = now + p->dead_time;
		return true;
	}
	step = part(&p->down, w->size);
	w->failure -= step;
	while (w->failure < -1e-9) {
		w->size--;
		w->success = 0;
		w->failure += 1;
	}
	if (w->size < 1)
		w->size = 1;
	return false;
}

/* Is it left alone? */
bool
window_is_dead(struct window *w, const struct pace *p, int64_t now)
{
	if (w->dead_until == 0)
		return false;
	if (w->dead_until > now)
		return true;
	window_start(w, p);
	return false;
}
