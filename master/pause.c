/*
 * pause.c - how long a place stays empty after its process fell (W2).
 *
 * A program that cannot work here says so at each start: the pause between two
 * attempts grows up to service_throttle_time. Who was killed, or found too
 * little of something, would perhaps have had better luck a moment later; the
 * pause stays short then, so that mail flows again soon after the shortage.
 */
#include "master/pause.h"

#include <signal.h>
#include <sys/wait.h>
#include <sysexits.h>

#include "common/base/clock.h"
#include "master/watch.h"

enum {
	FIRST_PAUSE = 1000,
	SCARCE_PAUSE = 4000,
	LONG_LIFE = 60 * 1000
};

/* Twice as long as the last one, up to this. */
static void
lengthen(struct worker *w, int64_t longest)
{
	w->pause = w->pause == 0 ? FIRST_PAUSE : w->pause * 2;
	if (w->pause > longest)
		w->pause = longest;
	if (w->pause > watch_throttle_time)
		w->pause = watch_throttle_time;
}

/* Did the kernel have too little of something? */
static bool
is_scarcity(int status)
{
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGKILL;
	return WEXITSTATUS(status) == EX_TEMPFAIL ||
	    WEXITSTATUS(status) == EX_OSERR;
}

/* Who lived for long, or left by its own wish, is replaced as he is called. */
void
pause_after_death(struct worker *w, const struct process *p, int status)
{
	int64_t	now = clock_now();

	if (p->is_ready || status == 0 || now - p->started >= LONG_LIFE)
		w->pause = 0;
	if (status != 0 && now - p->started < LONG_LIFE)
		lengthen(w, is_scarcity(status) ? SCARCE_PAUSE :
		    watch_throttle_time);
	w->not_before = (p->is_ready ? p->started : now) + w->pause;
	if (status == 0)		/* until called again */
		w->not_before = now + FIRST_PAUSE;
}

/* No process, no memory: that passes. */
void
pause_after_refusal(struct worker *w)
{
	lengthen(w, SCARCE_PAUSE);
	w->not_before = clock_now() + w->pause;
}
