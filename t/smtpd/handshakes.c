/*
 * handshakes.c - claims about whose handshake begins when.
 *
 * needs: smtpd/handshakes.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "common/fiber/loop.h"

#include "smtpd/handshakes.h"

enum { MANY = 200, FIRST_LATE = 150, GIVES_UP = 40, IS_STOPPED = 60 };

static int	 numbers[MANY];
static int	 order[MANY], served, refused[MANY];
static int64_t	 started, served_at[MANY];

/* One who asks, and leaves at once when it may begin. */
WAITS static void
ask(void *arg)
{
	int	number = *(int *)arg;
	int64_t	patience = number == GIVES_UP ? 15 : 60 * 1000;

	if (handshake_await(clock_now() + patience) == -1) {
		refused[number] = errno;
		return;
	}
	served_at[served] = clock_now() - started;
	order[served++] = number;
}

/* Most come at once, others while those wait. */
WAITS static void
come(void *unused)
{
	struct fiber	*fiber;
	int		 i;

	(void)unused;
	started = clock_now();
	for (i = 0; i < MANY; i++) {
		numbers[i] = i;
		fiber = fiber_start(ask, &numbers[i]);
		if (i >= FIRST_LATE)
			(void)fiber_sleep(1);
		else if (i == IS_STOPPED) {
			fiber_yield();
			fiber_cancel(fiber);
		}
	}
	while (served < MANY - 2)
		(void)fiber_sleep(10);
	loop_stop();
}

static void
who_comes_first_is_first(void **state)
{
	int	i, expected = 0;

	(void)state;
	loop_open();
	fiber_start(come, NULL);
	loop_run();
	assert_int_equal(served, MANY - 2);
	for (i = 0; i < served; i++, expected++) {
		while (expected == GIVES_UP || expected == IS_STOPPED)
			expected++;
		assert_int_equal(order[i], expected);
	}
}

static void
sixteen_begin_in_a_moment(void **state)
{
	int	i;

	(void)state;
	for (i = 16; i < served; i++)
		assert_true(served_at[i] >= 10 * (i / 16) - 10);
}

static void
who_has_no_time_leaves_the_queue(void **state)
{
	(void)state;
	assert_int_equal(refused[GIVES_UP], ETIMEDOUT);
	assert_int_equal(refused[IS_STOPPED], ECANCELED);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(who_comes_first_is_first),
		cmocka_unit_test(sixteen_begin_in_a_moment),
		cmocka_unit_test(who_has_no_time_leaves_the_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
