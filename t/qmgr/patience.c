/*
 * patience.c - pauses grow, and the end does not wait for a disk.
 *
 * needs: qmgr/patience.c
 */
#include "qmgr/patience.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/fiber/loop.h"

enum { SLEEPERS = 50, MANY = 1000 };

static unsigned	woken, given_up, tries;

static void
pauses_double_up_to_a_minute(void **state)
{
	int64_t	pause = 0;
	int	i;

	(void)state;
	assert_int_equal(pause = patience_next(pause), 1000);
	assert_int_equal(pause = patience_next(pause), 2000);
	for (i = 0; i < 10; i++)
		pause = patience_next(pause);
	assert_int_equal(pause, 60 * 1000);
	assert_int_equal(patience_next(pause), 60 * 1000);
}

/* One that a disk keeps waiting, in the middle of a long pause. */
static void
wait_long(void *arg)
{
	struct patience	p = { .pause = 30 * 1000 };

	(void)arg;
	if (patience_wait(&p))
		woken++;
}

/* A while later, twice; between them somebody else begins to wait. */
static void
hurry(void *arg)
{
	(void)arg;
	fiber_sleep(20);
	assert_true(patience_hurry());
	fiber_start(wait_long, NULL);
	fiber_sleep(20);
	assert_int_equal(woken, SLEEPERS);
	assert_false(patience_hurry());
	fiber_sleep(1100);
	assert_int_equal(woken, SLEEPERS);
	assert_true(patience_hurry());
}

static void
who_is_waited_for_tries_now_but_not_all_the_time(void **state)
{
	int64_t	begun = clock_now();
	int	i;

	(void)state;
	for (i = 0; i < SLEEPERS; i++)
		fiber_start(wait_long, NULL);
	fiber_start(hurry, NULL);
	loop_run();
	assert_int_equal(woken, SLEEPERS + 1);
	assert_true(clock_now() - begun < 25 * 1000);
	woken = 0;
}

/* One that goes on trying until it is told not to. */
static void
try_on(void *arg)
{
	struct patience	p = { .pause = 30 * 1000 };

	(void)arg;
	for (tries = 0; tries < MANY && patience_wait(&p); tries++)
		;
	given_up++;
}

/* A while later. */
static void
end(void *arg)
{
	(void)arg;
	fiber_sleep(20);
	assert_int_equal(woken, 0);
	patience_drain();
}

static void
the_end_wakes_all_and_gives_each_some_last_tries(void **state)
{
	int64_t	begun = clock_now();
	int	i;

	(void)state;
	for (i = 0; i < SLEEPERS; i++)
		fiber_start(wait_long, NULL);
	fiber_start(try_on, NULL);
	fiber_start(end, NULL);
	loop_run();
	assert_int_equal(woken, SLEEPERS);
	assert_int_equal(given_up, 1);
	assert_in_range(tries, 2, 20);
	assert_true(clock_now() - begun < 25 * 1000);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(pauses_double_up_to_a_minute),
		cmocka_unit_test(
		    who_is_waited_for_tries_now_but_not_all_the_time),
		cmocka_unit_test(
		    the_end_wakes_all_and_gives_each_some_last_tries),
	};

	loop_open();
	return cmocka_run_group_tests_name("patience", tests, NULL, NULL);
}
