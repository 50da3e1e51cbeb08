/*
 * fiber.c - fibers start, wait, wake, time out, are cancelled, and end.
 *
 * Claims are noted by the fibers and checked on the main stack: an assertion
 * that fails on a fiber's stack would jump out of it.
 */
#include "common/fiber/fiber.h"


#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/log.h"
#include "common/fiber/loop.h"

struct note {
	struct fiber	*other;
	int		 result;
	int		 error;
	int		 count;
	int64_t		 took;
	bool		 is_done;
};

static char	story[64];

/* Add a letter to the story of who ran when. */
static void
tell(char letter)
{
	size_t	len = strlen(story);

	if (len + 1 < sizeof story) {
		story[len] = letter;
		story[len + 1] = '\0';
	}
}

static void
tell_twice(void *letter)
{
	tell(*(char *)letter);
	fiber_yield();
	tell(*(char *)letter);
}

static void
fibers_run_in_the_order_they_became_ready(void **state)
{
	char	letters[] = "abc";

	(void)state;
	story[0] = '\0';
	fiber_start(tell_twice, &letters[0]);
	fiber_start(tell_twice, &letters[1]);
	fiber_start(tell_twice, &letters[2]);
	assert_int_equal(fiber_count(), 3);
	loop_run();
	assert_string_equal(story, "abcabc");
	assert_int_equal(fiber_count(), 0);
	assert_null(fiber_self());
}

/* Park; note what came of it. */
static void
park(void *arg)
{
	struct note	*note = arg;

	note->result = fiber_park(NEVER);
	note->error = errno;
	note->is_done = true;
}

static void
wake_other(void *arg)
{
	struct note	*note = arg;

	fiber_wake(note->other);
}

static void
a_parked_fiber_is_woken(void **state)
{
	struct note	note = { .result = -2 };

	(void)state;
	note.other = fiber_start(park, &note);
	fiber_start(wake_other, &note);
	loop_run();
	assert_true(note.is_done);
	assert_int_equal(note.result, 0);
}

static void
a_wake_before_the_park_is_not_lost(void **state)
{
	struct note	note = { .result = -2 };

	(void)state;
	fiber_wake(fiber_start(park, &note));
	loop_run();
	assert_int_equal(note.result, 0);
}

/* Sleep and yield, then park once for the kept wake and once in vain. */
static void
sleep_then_park(void *arg)
{
	struct note	*note = arg;

	note->count = fiber_sleep(30);
	note->result = fiber_park(NEVER);
	if (fiber_park(clock_now() + 1) == -1)
		note->error = errno;
}

static void
a_wake_during_a_sleep_counts_for_the_next_park_only(void **state)
{
	struct note	note = { .result = -2, .count = -2 };
	int64_t		start = clock_now();

	(void)state;
	note.other = fiber_start(sleep_then_park, &note);
	fiber_start(wake_other, &note);
	loop_run();
	assert_true(clock_now() - start >= 30);
	assert_int_equal(note.count, 0);
	assert_int_equal(note.result, 0);
	assert_int_equal(note.error, ETIMEDOUT);
}

static void
park_briefly(void *arg)
{
	struct note	*note = arg;
	int64_t		 start = clock_now();

	note->result = fiber_park(start + 20);
	note->error = errno;
	note->took = clock_now() - start;
}

static void
a_park_ends_at_its_deadline_and_not_before(void **state)
{
	struct note	note = { 0 };

	(void)state;
	fiber_start(park_briefly, &note);
	loop_run();
	assert_int_equal(note.result, -1);
	assert_int_equal(note.error, ETIMEDOUT);
	assert_true(note.took >= 20);
}

static void
park_in_the_past(void *arg)
{
	struct note	*note = arg;

	note->result = fiber_park(clock_now() - 1);
	note->error = errno;
}

static void
a_deadline_in_the_past_times_out_at_once(void **state)
{
	struct note	note = { 0 };

	(void)state;
	fiber_start(park_in_the_past, &note);
	loop_run();
	assert_int_equal(note.result, -1);
	assert_int_equal(note.error, ETIMEDOUT);
}

static void
sleep_and_tell(void *arg)
{
	const char	*letter = arg;

	fiber_sleep((*letter - 'a') * 5);
	tell(*letter);
}

static void
sleepers_wake_in_the_order_of_their_time(void **state)
{
	char	letters[] = "dbca";
	size_t	i;

	(void)state;
	story[0] = '\0';
	for (i = 0; letters[i] != '\0'; i++)
		fiber_start(sleep_and_tell, &letters[i]);
	loop_run();
	assert_string_equal(story, "abcd");
}

/* Wait four times; count the waits that say ECANCELED. */
static void
wait_in_vain(void *arg)
{
	struct note	*note = arg;

	if (fiber_park(NEVER) == -1 && errno == ECANCELED)
		note->count++;
	if (fiber_sleep(60000) == -1 && errno == ECANCELED)
		note->count++;
	fiber_wake(fiber_self());
	if (fiber_park(NEVER) == -1 && errno == ECANCELED)
		note->count++;
	note->result = fiber_is_cancelled();
}

static void
cancel_other(void *arg)
{
	struct note	*note = arg;

	fiber_cancel(note->other);
	fiber_wake(note->other);
}

static void
every_wait_of_a_cancelled_fiber_fails(void **state)
{
	struct note	note = { 0 };

	(void)state;
	note.other = fiber_start(wait_in_vain, &note);
	fiber_start(cancel_other, &note);
	loop_run();
	assert_int_equal(note.count, 3);
	assert_int_equal(note.result, 1);
}

static void
a_fiber_cancelled_before_it_ran_runs_and_leaves(void **state)
{
	struct note	note = { 0 };

	(void)state;
	fiber_cancel(fiber_start(wait_in_vain, &note));
	loop_run();
	assert_int_equal(note.count, 3);
}

/* Spoil errno and the number in the log for the others. */
static void
spoil(void *unused)
{
	int	i;

	(void)unused;
	for (i = 0; i < 4; i++) {
		errno = EDOM;
		log_number = 999;
		fiber_yield();
	}
}

static void
keep(void *arg)
{
	struct note	*note = arg;

	errno = ENOTDIR;
	log_number = 42;
	fiber_yield();
	note->error = errno;
	errno = EISDIR;
	fiber_sleep(1);
	note->count = errno;
	note->result = (int)log_number;
}

static void
errno_and_log_number_belong_to_the_fiber(void **state)
{
	struct note	note = { 0 };
	uint64_t	before = log_number;

	(void)state;
	fiber_start(keep, &note);
	fiber_start(spoil, NULL);
	loop_run();
	assert_int_equal(note.error, ENOTDIR);
	assert_int_equal(note.count, EISDIR);
	assert_int_equal(note.result, 42);
	assert_int_equal(log_number, before);
}

/* Breathe a hundred times, and see how often the other one ran. */
static void
breathe(void *arg)
{
	struct note	*note = arg;
	int		 i;

	for (i = 0; i < 100; i++) {
		fiber_breathe();
		if (story[0] == 'x' && note->count == 0)
			note->count = i + 1;
	}
}

static void
tell_x(void *unused)
{
	(void)unused;
	tell('x');
}

static void
the_64th_call_without_a_wait_lets_others_run(void **state)
{
	struct note	note = { 0 };

	(void)state;
	story[0] = '\0';
	fiber_start(breathe, &note);
	fiber_start(tell_x, NULL);
	loop_run();
	assert_int_equal(note.count, 64);
}

static void
count_and_park(void *arg)
{
	struct note	*note = arg;

	if (fiber_park(clock_now() + 60000) == 0)
		note->count++;
}

/* Start many, let them all park, and wake them all. */
static void
crowd(void *arg)
{
	static struct fiber	*fibers[10000];
	struct note		*note = arg;
	size_t			 i, n = sizeof fibers / sizeof fibers[0];

	for (i = 0; i < n; i++)
		fibers[i] = fiber_start(count_and_park, note);
	fiber_sleep(1);
	note->result = (int)fiber_count();
	for (i = 0; i < n; i++)
		fiber_wake(fibers[i]);
}

static void
ten_thousand_fibers_live_at_once(void **state)
{
	struct note	note = { 0 };

	(void)state;
	fiber_start(crowd, &note);
	loop_run();
	assert_int_equal(note.result, 10001);
	assert_int_equal(note.count, 10000);
	assert_int_equal(fiber_count(), 0);
}

static void
start_another(void *arg)
{
	struct note	*note = arg;

	if (++note->count < 5)
		fiber_start(start_another, note);
}

static void
a_fiber_may_start_fibers(void **state)
{
	struct note	note = { 0 };

	(void)state;
	fiber_start(start_another, &note);
	loop_run();
	assert_int_equal(note.count, 5);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(fibers_run_in_the_order_they_became_ready),
		cmocka_unit_test(a_parked_fiber_is_woken),
		cmocka_unit_test(a_wake_before_the_park_is_not_lost),
		cmocka_unit_test(
		    a_wake_during_a_sleep_counts_for_the_next_park_only),
		cmocka_unit_test(a_park_ends_at_its_deadline_and_not_before),
		cmocka_unit_test(a_deadline_in_the_past_times_out_at_once),
		cmocka_unit_test(sleepers_wake_in_the_order_of_their_time),
		cmocka_unit_test(every_wait_of_a_cancelled_fiber_fails),
		cmocka_unit_test(
		    a_fiber_cancelled_before_it_ran_runs_and_leaves),
		cmocka_unit_test(errno_and_log_number_belong_to_the_fiber),
		cmocka_unit_test(the_64th_call_without_a_wait_lets_others_run),
		cmocka_unit_test(ten_thousand_fibers_live_at_once),
		cmocka_unit_test(a_fiber_may_start_fibers),
	};

	loop_open();
	return cmocka_run_group_tests_name("fiber", tests, NULL, NULL);
}
