/*
 * retry.c - five days in a moment: pauses grow, spread and end.
 *
 * needs: qmgr/retry.c
 */
#include "qmgr/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/base/clock.h"

static const struct retry_settings	standard = {
	.minimal = 300000, .maximal = 4000000,
	.lifetime = 432000000, .bounce_lifetime = 86400000
};

static void
pauses_double_up_to_the_longest(void **state)
{
	static const int64_t	expected[] = { 300000, 600000, 1200000,
				    2400000, 4000000, 4000000 };
	unsigned		i;

	(void)state;
	for (i = 0; i < 6; i++)
		assert_in_range(retry_pause(&standard, i, UINT32_MAX / 2),
		    expected[i] - 2, expected[i] + 2);
	assert_in_range(retry_pause(&standard, 4000000000u, UINT32_MAX / 2),
	    3999998, 4000002);
}

static void
pauses_spread_by_a_quarter_to_both_sides(void **state)
{
	(void)state;
	assert_int_equal(retry_pause(&standard, 0, 0), 225000);
	assert_in_range(retry_pause(&standard, 0, UINT32_MAX), 374998, 375000);
	assert_in_range(retry_pause_now(0), 0, 1);	/* nothing is set */
}

static void
five_days_take_about_a_hundred_attempts(void **state)
{
	int64_t		age = 0;
	unsigned	attempts = 0;

	(void)state;
	while (!retry_is_too_old(&standard, age, false))
		age += retry_pause(&standard, attempts++, UINT32_MAX / 2);
	assert_in_range(attempts, 100, 120);
	assert_in_range(age, 432000000, 436000000);
}

static void
mail_without_a_sender_has_its_own_lifetime(void **state)
{
	(void)state;
	assert_true(retry_is_too_old(&standard, 86400000, true));
	assert_false(retry_is_too_old(&standard, 86400000, false));
	assert_false(retry_is_too_old(&standard, -5, false));
}

static void
who_came_before_the_clock_was_set_ages_by_attempts(void **state)
{
	int64_t	now = clock_wall_us();

	(void)state;
	assert_in_range(retry_age(&standard, now - 7000000, 90), 7000, 8000);
	assert_int_equal(retry_age(&standard, 15 * 1000000, 0), 0);
	assert_in_range(retry_age(&standard, 15 * 1000000, 3),
	    7 * standard.minimal - 10, 7 * standard.minimal + 10);
}

static void
a_jump_of_the_clock_stops_expiry_for_one_cycle(void **state)
{
	struct retry_clock	c = { .is_set = false };
	const int64_t		hour = 3600000, start = 1700000000000;

	(void)state;
	assert_true(retry_clock_is_sane(&c, start, 0, 2 * hour));
	assert_true(retry_clock_is_sane(&c, start + hour, hour, 2 * hour));
	/* six days in a second */
	assert_false(retry_clock_is_sane(&c, start + 145 * hour, hour + 1000,
	    2 * hour));
	assert_false(retry_clock_is_sane(&c, start + 146 * hour, 2 * hour,
	    2 * hour));
	assert_true(retry_clock_is_sane(&c, start + 148 * hour,
	    4 * hour, 2 * hour));
	/* and back */
	assert_false(retry_clock_is_sane(&c, start + 4 * hour, 4 * hour,
	    2 * hour));
}

static void
small_corrections_of_the_clock_change_nothing(void **state)
{
	struct retry_clock	c = { .is_set = false };
	int64_t			now;

	(void)state;
	for (now = 0; now < 100000; now += 1000)
		assert_true(retry_clock_is_sane(&c, 1000000 + now * 2, now,
		    60000));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(pauses_double_up_to_the_longest),
		cmocka_unit_test(pauses_spread_by_a_quarter_to_both_sides),
		cmocka_unit_test(five_days_take_about_a_hundred_attempts),
		cmocka_unit_test(mail_without_a_sender_has_its_own_lifetime),
		cmocka_unit_test(
		    who_came_before_the_clock_was_set_ages_by_attempts),
		cmocka_unit_test(
		    a_jump_of_the_clock_stops_expiry_for_one_cycle),
		cmocka_unit_test(
		    small_corrections_of_the_clock_change_nothing),
	};

	return cmocka_run_group_tests_name("retry", tests, NULL, NULL);
}
