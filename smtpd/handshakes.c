/*
 * handshakes.c - how many TLS handshakes begin in a moment.
 *
 * Called by starttls.c. A handshake costs half a millisecond of the processor,
 * or some more, and who asks for it next to nothing. So only so many begin in
 * a moment, however many ask at once, and those who do not ask are heard in
 * between.
 *
 * P1  Who came first is first: no newcomer overtakes who waits.
 * P2  Waiting costs nothing: a fiber is woken once, when it is its turn.
 */

#include "smtpd/handshakes.h"

#include <stdbool.h>
#include <sys/queue.h>

enum { AT_ONCE = 16, MOMENT = 10 };	/* handshakes, milliseconds */

struct ticket {
	struct fiber		*fiber;
	bool			 is_called;
	TAILQ_ENTRY(ticket)	 next;
};
static TAILQ_HEAD(, ticket) tickets = TAILQ_HEAD_INITIALIZER(tickets);
static bool		 has_caller;
static int64_t		 moment;	/* when it began */
static unsigned		 begun;		/* in it */

/* May one begin in this moment? Not while others wait for that (P1). */
static bool
is_free(void)
{
	if (has_caller)
		return false;
	if (clock_now() - moment >= MOMENT) {
		moment = clock_now();
		begun = 0;
	}
	return begun < AT_ONCE;
}

/* A new moment: call so many of those who wait. Were there any? */
static bool
call_some(void)
{
	struct ticket	*t;

	moment = clock_now();
	for (begun = 0; begun < AT_ONCE; begun++) {
		if ((t = TAILQ_FIRST(&tickets)) == NULL)
			break;
		TAILQ_REMOVE(&tickets, t, next);
		t->is_called = true;
		fiber_wake(t->fiber);
	}
	return begun > 0;
}

/* Call some in each moment until nobody waits. Those who were called last have
 * not run yet: newcomers are behind them for one moment more (P1). */
WAITS static void
call_all(void *unused)
{
	(void)unused;
	fiber_name("handshakes");
	while (fiber_sleep(MOMENT) == 0 && call_some())
		;
	has_caller = false;
}

int
handshake_await(int64_t deadline)
{
	struct ticket	t = { .fiber = fiber_self() };

	if (is_free()) {
		begun++;
		return 0;
	}
	TAILQ_INSERT_TAIL(&tickets, &t, next);
	if (!has_caller) {
		has_caller = true;
		(void)fiber_start(call_all, NULL);
	}
	while (!t.is_called)
		if (fiber_park(deadline) == -1) {
			if (!t.is_called)
				TAILQ_REMOVE(&tickets, &t, next);
			return -1;
		}
	return 0;
}
