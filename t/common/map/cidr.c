/*
 * cidr.c - claims about tables of networks.
 */
#include "t/common/map/table.h"

static void
the_first_network_that_holds_the_address_counts(void **state)
{
	struct map	*m;

	(void)state;
	write_file("t", "10.1.0.0/16 inner\n10.0.0.0/8 outer\n"
	    "[2001:db8::]/32 six\n192.0.2.1 host\n");
	m = open_table("cidr:t");
	assert_true(map_is_pattern(m));
	assert_string_equal(answer(m, "10.1.2.3"), "inner");
	assert_string_equal(answer(m, "10.2.2.3"), "outer");
	assert_string_equal(answer(m, "11.0.0.0"), "(none)");
	assert_string_equal(answer(m, "2001:db8::1"), "six");
	assert_string_equal(answer(m, "2001:db9::1"), "(none)");
	assert_string_equal(answer(m, "192.0.2.1"), "host");
	assert_string_equal(answer(m, "::ffff:192.0.2.1"), "host");
	assert_string_equal(answer(m, "example.test"), "(none)");
}

static void
networks_are_negated_and_nested(void **state)
{
	struct map	*m;

	(void)state;
	write_file("t", "if 10.0.0.0/8\n!10.1.0.0/16 not-one\n"
	    "10.1.1.0/24 one\nendif\nif !10.0.0.0/8\n0.0.0.0/0 far\nendif\n");
	m = open_table("cidr:t");
	assert_string_equal(answer(m, "10.2.0.1"), "not-one");
	assert_string_equal(answer(m, "10.1.1.1"), "one");
	assert_string_equal(answer(m, "10.1.2.1"), "(none)");
	assert_string_equal(answer(m, "192.0.2.1"), "far");
}

static void
mistakes_are_told_with_file_and_line(void **state)
{
	(void)state;
	write_file("t", "10.0.0.0/8 ok\n10.0.0.1/8 no\n");
	assert_string_equal(refusal("cidr:t"),
	    "cidr:t: t:2: expected 10.0.0.0/8");
	write_file("t", "10.0.0.0/8\n");
	assert_non_null(strstr(refusal("cidr:t"), "t:1: expected a result"));
	write_file("t", "if 10.0.0.0/8\n");
	assert_non_null(strstr(refusal("cidr:t"), "t:1: if without endif"));
	write_file("t", "endif\n");
	assert_non_null(strstr(refusal("cidr:t"), "t:1: endif without if"));
	write_file("t", "nowhere x\n");
	assert_non_null(strstr(refusal("cidr:t"), "t:1: "));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(
		    the_first_network_that_holds_the_address_counts),
		cmocka_unit_test(networks_are_negated_and_nested),
		cmocka_unit_test(mistakes_are_told_with_file_and_line),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
