/*
 * storm.c - reports at their rate, one sender after the other, in a line that
 * has an end.
 *
 * needs: qmgr/storm.c qmgr/retry.c
 */
#include "qmgr/storm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/fiber/loop.h"
#include "qmgr/retry.h"

enum { AT_ONCE = 20, LINE = 400, EACH = 100 };	/* as in storm.c */

/* One who wants a turn, and what came of it. */
struct guest {
	struct message	 message;
	bool		 is_patient, is_over, had_turn;
	int64_t		 when;
	unsigned	 place;		/* in the order of turns */
};

static struct guest	guests[3 * LINE];
static unsigned		places, inside, most_inside, kept;

/* So many reports in a second. */
static void
set_rate(int64_t rate)
{
	*(int64_t *)storm_params[0].place = rate;
	storm_start();
}

static int
set_up(void **state)
{
	(void)state;
	memset(guests, 0, sizeof(guests));
	places = inside = most_inside = kept = 0;
	retry = (struct retry_settings){ .minimal = 1000,
	    .maximal = 100 * 1000 };
	return 0;
}

/* Take a turn, stay a moment, leave. */
static void
visit(void *arg)
{
	struct guest	*g = arg;

	g->had_turn = storm_take(&g->message, g->is_patient);
	g->is_over = true;
	if (!g->had_turn)
		return;
	g->when = clock_now();
	g->place = places++;
	if (++inside > most_inside)
		most_inside = inside;
	(void)fiber_sleep(1);
	inside--;
	storm_give();
}

/* So many of one sender, from this one on. */
static void
invite(unsigned first, unsigned count, uint32_t who)
{
	unsigned	i;

	for (i = first; i < first + count; i++) {
		guests[i].message.share.who = who;
		fiber_start(visit, &guests[i]);
	}
}

/* How many of these had a turn? */
static unsigned
served(unsigned first, unsigned count)
{
	unsigned	i, n = 0;

	for (i = first; i < first + count; i++)
		n += guests[i].had_turn;
	return n;
}

static void
no_more_are_begun_than_the_rate_says(void **state)
{
	int64_t	begun = clock_now();
	int	i;

	(void)state;
	set_rate(200);
	invite(0, EACH, 1);
	loop_run();
	assert_int_equal(served(0, EACH), EACH);
	assert_in_range(most_inside, 1, AT_ONCE);
	for (i = 0; i < EACH; i++)	/* a tenth of a second comes at once */
		assert_true(guests[i].place <= 200 / 10 + 1 +
		    (guests[i].when - begun + 1) * 200 / 1000);
}

static void
senders_have_turns(void **state)
{
	(void)state;
	set_rate(500);
	invite(0, EACH, 1);
	invite(EACH, 1, 2);
	invite(EACH + 1, 1, 3);
	loop_run();
	assert_int_equal(served(0, EACH + 2), EACH + 2);
	assert_true(guests[EACH].place < EACH / 2 + 10);
	assert_true(guests[EACH + 1].place < EACH / 2 + 10);
}

/* Keep all places. */
static void
keep(void *arg)
{
	(void)arg;
	while (kept < AT_ONCE) {
		assert_true(storm_take(&guests[0].message, false));
		kept++;
	}
}

/* Give them back when all others have asked. */
static void
give_back(void *arg)
{
	(void)arg;
	(void)fiber_sleep(20);
	while (kept-- > 0)
		storm_give();
}

/* Nobody has a turn until all are here. */
static void
close_doors(void)
{
	set_rate(0);
	fiber_start(keep, NULL);
	fiber_start(give_back, NULL);
}

static void
one_sender_has_a_part_of_the_line(void **state)
{
	(void)state;
	close_doors();
	invite(0, EACH + 5, 1);
	invite(EACH + 5, 1, 2);
	loop_run();
	assert_int_equal(served(0, EACH + 5), EACH);
	assert_int_equal(served(EACH + 5, 1), 1);
}

static void
when_it_is_full_those_who_have_nobody_in_it_come_in(void **state)
{
	unsigned	i;

	(void)state;
	close_doors();
	for (i = 0; i < LINE / EACH; i++)
		invite(i * EACH, EACH, i + 1);
	invite(LINE, 1, 1);
	for (i = 1; i <= LINE + 1; i++)
		invite(LINE + i, 1, 1000 + i);
	loop_run();
	assert_int_equal(served(0, LINE), LINE);
	assert_int_equal(served(LINE, 1), 0);
	assert_int_equal(served(LINE + 1, LINE), LINE);
	assert_int_equal(served(2 * LINE + 1, 1), 0);
}

static void
the_patient_wait_and_keep_nobody_out(void **state)
{
	unsigned	i;

	(void)state;
	for (i = 0; i < 2 * LINE + 5; i++)
		guests[i].is_patient = true;
	close_doors();
	invite(0, 2 * LINE + 5, 1);
	invite(2 * LINE + 5, 1, 2);
	loop_run();
	assert_int_equal(served(0, 2 * LINE + 6), 2 * LINE + 6);
	assert_true(guests[2 * LINE + 5].place < AT_ONCE);
}

static void
who_is_put_off_comes_one_after_the_other(void **state)
{
	int64_t	before = 0, pause, most;
	int	i;

	(void)state;
	set_rate(100);
	for (i = 0; i < 200; i++) {
		pause = storm_pause();
		assert_true(pause >= 1000 && pause + 1 >= before);
		before = pause;
	}
	assert_in_range(before, 1000 + 1500, 1000 + 2500);
	most = retry.maximal + retry.maximal / 4;
	for (i = 0; i < 20 * 1000; i++)
		assert_true((pause = storm_pause()) <= most);
	assert_true(pause >= retry.maximal - retry.maximal / 4);
}

/* The last test: it cannot be undone. */
static void
end(void *arg)
{
	(void)arg;
	(void)fiber_sleep(20);
	assert_false(guests[1].is_over);
	storm_drain();
	(void)fiber_sleep(20);
	while (kept-- > 0)
		storm_give();
}

static void
at_the_end_nobody_waits_and_nobody_comes(void **state)
{
	(void)state;
	set_rate(0);
	guests[2].is_patient = true;
	fiber_start(keep, NULL);
	fiber_start(end, NULL);
	invite(1, 20, 1);
	loop_run();
	assert_int_equal(served(1, 20), 0);
	assert_true(guests[1].is_over && guests[2].is_over);
	assert_false(storm_take(&guests[1].message, true));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test_setup(no_more_are_begun_than_the_rate_says,
		    set_up),
		cmocka_unit_test_setup(senders_have_turns, set_up),
		cmocka_unit_test_setup(one_sender_has_a_part_of_the_line,
		    set_up),
		cmocka_unit_test_setup(
		    when_it_is_full_those_who_have_nobody_in_it_come_in,
		    set_up),
		cmocka_unit_test_setup(the_patient_wait_and_keep_nobody_out,
		    set_up),
		cmocka_unit_test_setup(
		    who_is_put_off_comes_one_after_the_other, set_up),
		cmocka_unit_test_setup(
		    at_the_end_nobody_waits_and_nobody_comes, set_up),
	};

	loop_open();
	return cmocka_run_group_tests_name("storm", tests, NULL, NULL);
}
