/*
 * pcre.c - claims about Perl-compatible expressions in tables.
 */
#include "t/common/map/table.h"

#ifdef HAVE_PCRE2
static void
flags_turn_over_what_is_the_rule(void **state)
{
	struct map	*m;

	(void)state;
	write_file("t", "/^a.b$/ dot\n/^c.d$/s nodot\n/^ e f $/x spaced\n"
	    "/^g$/m line\n/h/A anchored\n/(i+)(.*)/U <$1>\n");
	m = open_table("pcre:t");
	assert_string_equal(answer(m, "a\nb"), "dot");
	assert_string_equal(answer(m, "c\nd"), "(none)");
	assert_string_equal(answer(m, "EF"), "spaced");
	assert_string_equal(answer(m, "x\ng"), "line");
	assert_string_equal(answer(m, "xh"), "(none)");
	assert_string_equal(answer(m, "hx"), "anchored");
	assert_string_equal(answer(m, "iii"), "<i>");
}

static void
a_pattern_that_explodes_is_a_temporary_failure(void **state)
{
	struct map	*m;

	(void)state;
	write_file("t", "/^(?:(?:x+x+)+x+)+y$/ y\n");
	m = open_table("pcre:t");
	assert_string_equal(answer(m, "xxxxy"), "y");
	assert_string_equal(answer(m, "xxxxyz"), "(none)");
	assert_string_equal(answer(m, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxyz"), "(error)");
}

#else

static void
a_build_without_the_library_says_so(void **state)
{
	(void)state;
	assert_non_null(strstr(refusal("pcre:t"),
	    "this build has no tables of type pcre"));
}
#endif

int
main(void)
{
	const struct CMUnitTest	tests[] = {
#ifdef HAVE_PCRE2
		cmocka_unit_test(flags_turn_over_what_is_the_rule),
		cmocka_unit_test(
		    a_pattern_that_explodes_is_a_temporary_failure),
#else
		cmocka_unit_test(a_build_without_the_library_says_so),
#endif
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
