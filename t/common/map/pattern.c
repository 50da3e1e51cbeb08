/*
 * pattern.c - claims about tables of patterns, whichever the engine.
 */
#include "t/common/map/table.h"

/* The same table with each engine that there is. */
static const char *const	engines[] = {
	"regexp:t",
#ifdef HAVE_PCRE2
	"pcre:t",
#endif
};
enum { ENGINES = sizeof(engines) / sizeof(engines[0]) };

static void
answers(const char *text, const char *key, const char *value)
{
	size_t	i;

	write_file("t", text);
	for (i = 0; i < ENGINES; i++)
		assert_string_equal(answer(open_table(engines[i]), key),
		    value);
}

static void
refuses(const char *text, const char *why)
{
	size_t	i;

	write_file("t", text);
	for (i = 0; i < ENGINES; i++)
		if (strstr(refusal(engines[i]), why) == NULL)
			fail_msg("%s", refusal(engines[i]));
}

static void
groups_go_into_the_result(void **state)
{
	(void)state;
	answers("/^(.*)@a\\.(com|org)$/ $1-${2}-$(1)x $$5\n", "U@a.org",
	    "U-org-Ux $5");
	answers("/^(a)?(b)$/ <$1><$2>\n", "b", "<><b>");
}

static void
case_does_not_matter_unless_told(void **state)
{
	(void)state;
	answers("/abc/ yes\n", "xABCx", "yes");
	answers("/abc/i yes\n", "xABCx", "(none)");
}

static void
negation_and_nesting_decide(void **state)
{
	static const char	text[] =
	    "if /^a/\n"
	    "  \n"
	    "!/z$/ a-not-z\n"
	    "if !/y/\n"
	    "/./ a-z-not-y\n"
	    "endif\n"
	    "endif\n"
	    "/y/ y\n";

	(void)state;
	answers(text, "ab", "a-not-z");
	answers(text, "abz", "a-z-not-y");
	answers(text, "ayz", "y");
	answers(text, "b", "(none)");
}

static void
any_mark_may_stand_for_the_slash(void **state)
{
	(void)state;
	answers("!!%a/b% percent\n", "xa/bx", "percent");
	answers("/a\\/b/ slash\n", "a/b", "slash");
}

static void
the_first_rule_that_fits_counts(void **state)
{
	(void)state;
	answers("/a/ one\n/b/ two\n/ab/ three\n", "ab", "one");
	answers("/x/ one\n/b/\n  two words\n", "ab", "two words");
}

static void
mistakes_are_told_with_file_and_line(void **state)
{
	(void)state;
	refuses("/a/ ok\n/(/ x\n", "t:2: ");
	refuses("/a/\n", "t:1: expected a result");
	refuses("/a x\n", "t:1: expected / at the end");
	refuses("abc x\n", "t:1: expected a pattern");
	refuses("/a/q x\n", "t:1: expected flags");
	refuses("/(a)/ $2\n", "t:1: the result uses $2, but the pattern has "
	    "1 groups");
	refuses("!/(a)/ $1\n", "t:1: a pattern that must not match");
	refuses("/a/ $x\n", "t:1: expected a number after $");
	refuses("/(a)/ ${1\n", "t:1: expected a number after $");
	refuses("/a/ x\nif /a/\n", "t:2: if without endif");
	refuses("endif\n", "t:1: endif without if");
	refuses("if /a/ more\nendif\n", "t:1: expected nothing after");
	refuses(" /a/ x\n", "t:1: a line that begins with white space");
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(groups_go_into_the_result),
		cmocka_unit_test(case_does_not_matter_unless_told),
		cmocka_unit_test(negation_and_nesting_decide),
		cmocka_unit_test(any_mark_may_stand_for_the_slash),
		cmocka_unit_test(the_first_rule_that_fits_counts),
		cmocka_unit_test(mistakes_are_told_with_file_and_line),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
