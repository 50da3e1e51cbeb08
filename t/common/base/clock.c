/*
 * clock.c - claims about dates and clocks.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"

static void
live_in(const char *zone)
{
	setenv("TZ", zone, 1);
	clock_prepare();
}

static void
mail_date_is_that_of_rfc_5322(void **state)
{
	char	date[CLOCK_DATE_SIZE];

	(void)state;
	live_in("UTC0");
	assert_string_equal(clock_mail_date(date, sizeof(date), 1795302660),
	    "Sat, 21 Nov 2026 23:11:00 +0000");
	assert_string_equal(clock_mail_date(date, sizeof(date), 0),
	    "Thu, 1 Jan 1970 00:00:00 +0000");
}

static void
zones_east_and_west_are_told(void **state)
{
	char	date[CLOCK_DATE_SIZE];

	(void)state;
	live_in("IST-5:30");
	assert_string_equal(clock_mail_date(date, sizeof(date), 1795302660),
	    "Sun, 22 Nov 2026 04:41:00 +0530");
	live_in("NST3:30");
	assert_string_equal(clock_mail_date(date, sizeof(date), 1795302660),
	    "Sat, 21 Nov 2026 19:41:00 -0330");
}

static void
log_date_pads_the_day(void **state)
{
	char	date[CLOCK_DATE_SIZE];

	(void)state;
	live_in("UTC0");
	assert_string_equal(clock_log_date(date, sizeof(date), 1795302660),
	    "Nov 21 23:11:00");
	assert_string_equal(clock_log_date(date, sizeof(date), 0),
	    "Jan  1 00:00:00");
}

static void
absurd_times_do_no_harm(void **state)
{
	char	date[CLOCK_DATE_SIZE];

	(void)state;
	live_in("UTC0");
	assert_string_equal(clock_mail_date(date, sizeof(date), INT64_MAX),
	    "Thu, 1 Jan 1970 00:00:00 +0000");
	assert_string_equal(clock_mail_date(date, sizeof(date), INT64_MIN),
	    "Thu, 1 Jan 1970 00:00:00 +0000");
	assert_string_equal(clock_log_date(date, 7, 0), "Jan  1");
}

static void
clocks_agree_with_the_system(void **state)
{
	int64_t	before = clock_now(), wall = clock_wall_us();

	(void)state;
	assert_true(before > 0 && before < NEVER);
	assert_true(clock_now() >= before);
	assert_true(wall / 1000000 <= time(NULL));
	assert_true(wall / 1000000 >= time(NULL) - 60);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(mail_date_is_that_of_rfc_5322),
		cmocka_unit_test(zones_east_and_west_are_told),
		cmocka_unit_test(log_date_pads_the_day),
		cmocka_unit_test(absurd_times_do_no_harm),
		cmocka_unit_test(clocks_agree_with_the_system),
	};

	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
