/*
 * pause.c - a place stays empty for longer and longer when its program cannot
 * work here, and for a few seconds when the kernel has too little of something.
 *
 * needs: master/pause.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sysexits.h>

#include "common/base/clock.h"
#include "master/pause.h"
#include "master/watch.h"

enum { EXITED = 256 };			/* wait(2): times the exit status */

int64_t			 watch_throttle_time = 60 * 1000;
static struct worker	 place;

/* The pause after a process that fell at its start. */
static int64_t
fall(int status)
{
	const struct process	p = { .started = clock_now() };

	pause_after_death(&place, &p, status);
	assert_true(place.not_before >= p.started + place.pause);
	assert_true(place.not_before <= clock_now() + place.pause);
	return place.pause;
}

static void
who_cannot_work_here_is_tried_more_and_more_rarely(void **state)
{
	static const int	pauses[] = { 1, 2, 4, 8, 16, 32, 60, 60 };
	size_t			i;

	(void)state;
	place = (struct worker){ 0 };
	for (i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++)
		assert_int_equal(fall(1 * EXITED), pauses[i] * 1000);
}

static void
who_was_killed_or_found_no_memory_is_tried_soon(void **state)
{
	static const int	statuses[] = {
		SIGKILL, EX_TEMPFAIL * EXITED, EX_OSERR * EXITED
	};
	size_t			i, k;

	(void)state;
	for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		place = (struct worker){ 0 };
		for (k = 0; k < 10; k++)
			(void)fall(statuses[i]);
		assert_int_equal(place.pause, 4000);
	}
	place = (struct worker){ 0 };
	for (i = 0; i < 10; i++)
		pause_after_refusal(&place);
	assert_int_equal(place.pause, 4000);
	assert_in_range(place.not_before, clock_now() + 3000,
	    clock_now() + 4000);
}

static void
a_crash_is_no_shortage(void **state)
{
	int	i;

	(void)state;
	place = (struct worker){ 0 };
	for (i = 0; i < 5; i++)
		(void)fall(SIGSEGV);
	assert_int_equal(place.pause, 16000);
}

static void
who_served_begins_anew(void **state)
{
	struct process	p = { .started = clock_now(), .is_ready = true };

	(void)state;
	place = (struct worker){ .pause = 32000 };
	pause_after_death(&place, &p, 1 * EXITED);
	assert_int_equal(place.pause, 1000);
	p.started -= 61 * 1000;
	pause_after_death(&place, &p, SIGSEGV);
	assert_int_equal(place.pause, 0);
	assert_true(place.not_before <= clock_now());
}

static void
who_left_of_its_own_waits_for_a_call(void **state)
{
	const struct process	p = { .started = clock_now() };

	(void)state;
	place = (struct worker){ .pause = 32000 };
	pause_after_death(&place, &p, 0);
	assert_int_equal(place.pause, 0);
	assert_in_range(place.not_before, clock_now() + 900,
	    clock_now() + 1000);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(
		    who_cannot_work_here_is_tried_more_and_more_rarely),
		cmocka_unit_test(
		    who_was_killed_or_found_no_memory_is_tried_soon),
		cmocka_unit_test(a_crash_is_no_shortage),
		cmocka_unit_test(who_served_begins_anew),
		cmocka_unit_test(who_left_of_its_own_waits_for_a_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
