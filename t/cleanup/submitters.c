/*
 * submitters.c - claims about who may post, and as whom.
 *
 * needs: cleanup/submitters.c
 */
#include "cleanup/submitters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct pool	*pool;

static int
begin(void **state)
{
	(void)state;
	submitters.null_sender = "<>";
	pool = pool_new("test", 0);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

/* May he be this sender? */
static bool
may(const char *patterns, const char *sender)
{
	return submitters_may_be(pool, patterns, sender, "+");
}

static void
only_a_single_static_table_is_everybody(void **state)
{
	(void)state;
	assert_true(submitters_is_anybody("static:anyone"));
	assert_false(submitters_is_anybody("!al, static:anyone"));
	assert_false(submitters_is_anybody("static:anyone, al"));
	assert_false(submitters_is_anybody("al"));
	assert_false(submitters_is_anybody(""));
}

static void
the_first_word_that_fits_decides(void **state)
{
	(void)state;
	assert_int_equal(submitters_find("al, bob", "bob"), SUBMITTER_MAY);
	assert_int_equal(submitters_find("Al", "aL"), SUBMITTER_MAY);
	assert_int_equal(submitters_find("al", "a"), SUBMITTER_MAY_NOT);
	assert_int_equal(submitters_find("a", "al"), SUBMITTER_MAY_NOT);
	assert_int_equal(submitters_find("!al, static:x", "al"),
	    SUBMITTER_MAY_NOT);
	assert_int_equal(submitters_find("!al, static:x", "bob"),
	    SUBMITTER_MAY);
	assert_int_equal(submitters_find("!!al", "al"), SUBMITTER_MAY);
	assert_int_equal(submitters_find("!static:x", "al"),
	    SUBMITTER_MAY_NOT);
	assert_int_equal(submitters_find("", "al"), SUBMITTER_MAY_NOT);
	assert_int_equal(submitters_find(" ,\t", "al"), SUBMITTER_MAY_NOT);
}

static void
files_and_tables_are_for_who_can_read_them(void **state)
{
	(void)state;
	assert_int_equal(submitters_find("/etc/users", "al"),
	    SUBMITTER_WHO_KNOWS);
	assert_int_equal(submitters_find("hash:/x, al", "al"),
	    SUBMITTER_WHO_KNOWS);
	assert_int_equal(submitters_find("!hash:/x, al", "al"),
	    SUBMITTER_WHO_KNOWS);
	assert_int_equal(submitters_find("inline:{al=x}", "al"),
	    SUBMITTER_WHO_KNOWS);
	assert_int_equal(submitters_find("al, hash:/x", "al"),
	    SUBMITTER_MAY);
	assert_int_equal(submitters_find("!al, hash:/x", "al"),
	    SUBMITTER_MAY_NOT);
}

static void
patterns_are_addresses_domains_and_anybody(void **state)
{
	(void)state;
	assert_true(may("*", "x@y.test"));
	assert_true(may("*", ""));
	assert_true(may("al@y.test, bob", "Al@Y.test"));
	assert_true(may("al@y.test\tbob", "bob"));
	assert_false(may("bob", "bob@y.test"));
	assert_false(may("bob@y.test", "bob"));
	assert_true(may("@y.test", "any@Y.TEST"));
	assert_false(may("@y.test", "any@x.y.test"));
	assert_false(may("@y.test", "any"));
	assert_false(may("@", "any"));
	assert_false(may("@", ""));
	assert_false(may("", "x"));
	assert_false(may("a*", "al"));
	assert_false(may("*x", "al"));
}

static void
the_null_sender_has_a_name(void **state)
{
	(void)state;
	assert_true(may("al <>", ""));
	assert_false(may("al", ""));
	assert_false(may("<>", "al"));
	submitters.null_sender = "nobody";
	assert_true(may("nobody", ""));
	assert_false(may("<>", ""));
}

static void
an_extension_of_the_sender_does_not_count(void **state)
{
	(void)state;
	assert_true(may("al@y.test", "al+x@y.test"));
	assert_true(may("al", "al+x"));
	assert_false(may("al+x", "al+x"));
	assert_true(submitters_may_be(pool, "al+x", "al+x", ""));
	assert_false(submitters_may_be(pool, "al", "al+x", ""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    only_a_single_static_table_is_everybody, begin, end),
		cmocka_unit_test_setup_teardown(
		    the_first_word_that_fits_decides, begin, end),
		cmocka_unit_test_setup_teardown(
		    files_and_tables_are_for_who_can_read_them, begin, end),
		cmocka_unit_test_setup_teardown(
		    patterns_are_addresses_domains_and_anybody, begin, end),
		cmocka_unit_test_setup_teardown(the_null_sender_has_a_name,
		    begin, end),
		cmocka_unit_test_setup_teardown(
		    an_extension_of_the_sender_does_not_count, begin, end)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
