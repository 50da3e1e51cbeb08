/*
 * agent.c - delays in the log, as delay_logging_resolution_limit wants them.
 */
#include "common/daemon/agent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "common/param/site.h"

/* What so many microseconds look like with so many digits. */
static void
expect(int64_t digits, int64_t us, const char *text)
{
	char	to[32];

	site.delay_digits = digits;
	assert_string_equal(agent_seconds(to, us), text);
}

static void
two_digits_count(void **state)
{
	(void)state;
	expect(2, 0, "0");
	expect(2, -5, "0");
	expect(2, 70000, "0.07");
	expect(2, 123456, "0.12");
	expect(2, 1234567, "1.2");
	expect(2, 12345678, "12");
	expect(2, 3600000000, "3600");
}

static void
zeros_at_the_end_are_left_out(void **state)
{
	(void)state;
	expect(2, 100000, "0.1");
	expect(2, 2000000, "2");
	expect(2, 996000, "1");
	expect(2, 10000000, "10");
	expect(6, 1000000, "1");
}

static void
the_limit_is_about_what_is_behind_the_point(void **state)
{
	(void)state;
	expect(0, 1700000, "2");
	expect(0, 300000, "0");
	expect(1, 123456, "0.1");
	expect(2, 1234, "0");
	expect(3, 1234, "0.001");
	expect(4, 1234, "0.0012");
	expect(6, 1234, "0.0012");
	expect(6, 12, "0.000012");
	expect(6, 12345678, "12");
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(two_digits_count),
		cmocka_unit_test(zeros_at_the_end_are_left_out),
		cmocka_unit_test(the_limit_is_about_what_is_behind_the_point),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
