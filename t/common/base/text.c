/*
 * text.c - claims about reading values and lists.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"

static void
integer_keeps_to_its_bounds(void **state)
{
	int64_t	n = 0;

	(void)state;
	assert_null(text_integer("1", 1, 100, &n));
	assert_int_equal(n, 1);
	assert_null(text_integer("0100", 1, 100, &n));
	assert_int_equal(n, 100);
	assert_null(text_integer("-5", -5, 5, &n));
	assert_int_equal(n, -5);
	assert_null(text_integer("9223372036854775807", 0, INT64_MAX, &n));
	assert_true(n == INT64_MAX);
	assert_string_equal(text_integer("0", 1, 100, &n),
	    "expected a number from 1 to 100");
	assert_non_null(text_integer("101", 1, 100, &n));
	assert_true(n == INT64_MAX);
}

static void
integer_takes_nothing_else(void **state)
{
	static const char *const wrong[] = { "", " 1", "1 ", "+1", "-", "--1",
	    "1x", "0x10", "1.0", "9223372036854775808",
	    "99999999999999999999999999" };
	int64_t	n = 7;
	size_t	i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_non_null(text_integer(wrong[i], INT64_MIN, INT64_MAX,
		    &n));
	assert_int_equal(n, 7);
}

static void
boolean_is_yes_or_no(void **state)
{
	bool	value = false;

	(void)state;
	assert_null(text_boolean("yes", &value));
	assert_true(value);
	assert_null(text_boolean("NO", &value));
	assert_false(value);
	assert_string_equal(text_boolean("true", &value),
	    "expected \"yes\" or \"no\"");
	assert_non_null(text_boolean("", &value));
	assert_non_null(text_boolean("yes ", &value));
}

static void
duration_knows_its_units(void **state)
{
	static const struct {
		const char	*text;
		char		 unit;
		int64_t		 milliseconds;
	} good[] = {
		{ "1", 's', 1000 }, { "1", 'd', 86400000 }, { "0", 's', 0 },
		{ "5m", 's', 300000 }, { "2h", 's', 7200000 },
		{ "1w", 's', 604800000 }, { "0.5s", 'd', 500 },
		{ "1.25h", 's', 4500000 }, { "0.001", 's', 1 },
		{ "3S", 'm', 3000 }, { "200ms", 's', 200 }, { "5MS", 'd', 5 },
	};
	int64_t	n;
	size_t	i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_null(text_duration(good[i].text, good[i].unit, 0,
		    INT64_MAX, &n));
		assert_int_equal(n, good[i].milliseconds);
	}
}

static void
duration_refuses_the_rest(void **state)
{
	static const char *const wrong[] = { "", "s", "-1s", "1x", "1 s", "1ss",
	    ".5s", "5.s", "1.5.5s", "1.1234567s", "0.999", "3601s", "2h",
	    "9223372036854775807w", "99999999999999999999" };
	int64_t	n = 7;
	size_t	i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_non_null(text_duration(wrong[i], 's', 1, 3600, &n));
	assert_int_equal(n, 7);
	assert_string_equal(text_duration("x", 's', 1, 3600, &n),
	    "expected a time from 1 to 3600 seconds "
	    "(a number and ms, s, m, h, d or w)");
}

static void
size_knows_powers_of_1024(void **state)
{
	int64_t	n;

	(void)state;
	assert_null(text_size("10240000", 0, INT64_MAX, &n));
	assert_int_equal(n, 10240000);
	assert_null(text_size("4k", 0, INT64_MAX, &n));
	assert_int_equal(n, 4096);
	assert_null(text_size("2M", 0, INT64_MAX, &n));
	assert_int_equal(n, 2097152);
	assert_null(text_size("1g", 0, INT64_MAX, &n));
	assert_int_equal(n, 1073741824);
	assert_non_null(text_size("1t", 0, INT64_MAX, &n));
	assert_non_null(text_size("k", 0, INT64_MAX, &n));
	assert_non_null(text_size("1kk", 0, INT64_MAX, &n));
	assert_non_null(text_size("9000000000g", 0, INT64_MAX, &n));
	assert_non_null(text_size("5", 6, 10, &n));
}

static void
comparison_ignores_the_case_of_ascii_only(void **state)
{
	(void)state;
	assert_true(text_equal("Post@Rider", "pOST@rIDER"));
	assert_true(text_equal("", ""));
	assert_false(text_equal("a", "ab"));
	assert_false(text_equal("ab", "a"));
	assert_false(text_equal("@", "`"));
	assert_false(text_equal("[", "{"));
	assert_false(text_equal("\303\211", "\303\251"));
	assert_true(text_equal_mem("Rider", "riderX", 5));
	assert_false(text_equal_mem("Ride", "rider", 5));
	assert_false(text_equal_mem("Riders", "rider", 5));
	assert_false(text_equal_mem("a", "a\0b", 3));
	assert_true(text_equal_mem("", NULL, 0));
}

static void
starts_and_ends_are_found(void **state)
{
	(void)state;
	assert_true(text_starts("SIZE=5", "size="));
	assert_true(text_starts("x", ""));
	assert_false(text_starts("siz", "size"));
	assert_true(text_ends("mail.Example", ".example"));
	assert_true(text_ends("x", ""));
	assert_false(text_ends("example", ".example"));
}

static void
lowering_leaves_other_bytes(void **state)
{
	char	text[] = "A\303\211[Z]";

	(void)state;
	text_lower(text);
	assert_string_equal(text, "a\303\211[z]");
}

static void
white_space_is_the_blank_and_five_control_bytes(void **state)
{
	int	c;

	(void)state;
	for (c = 0; c < 256; c++)
		assert_int_equal(text_is_space((char)c),
		    c != 0 && strchr(" \t\n\v\f\r", c) != NULL);
}

static void
trimming_takes_both_ends(void **state)
{
	char	text[] = " \t a b\r\n", blank[] = " \t ", none[] = "";

	(void)state;
	assert_string_equal(text_trim(text), "a b");
	assert_string_equal(text_trim(blank), "");
	assert_string_equal(text_trim(none), "");
}

static void
list_splits_into(const char *list, const char *first, ...)
{
	struct pool	*p = pool_new("test", 0);
	size_t		 count, i = 0;
	char		**words = text_words(p, list, &count);
	const char	*word;
	va_list		 ap;

	va_start(ap, first);
	for (word = first; word != NULL; word = va_arg(ap, const char *)) {
		assert_true(i < count);
		assert_string_equal(words[i++], word);
	}
	va_end(ap);
	assert_int_equal(i, count);
	assert_null(words[count]);
	pool_free(p);
}

static void
lists_split_at_space_and_comma(void **state)
{
	(void)state;
	list_splits_into("", NULL);
	list_splits_into(" ,\t,\n", NULL);
	list_splits_into("a", "a", NULL);
	list_splits_into(" a, b\n\tc,,d ", "a", "b", "c", "d", NULL);
	list_splits_into("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17", "1", "2",
	    "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14",
	    "15", "16", "17", NULL);
}

static void
braces_keep_words_together(void **state)
{
	(void)state;
	list_splits_into("a { b, c } d", "a", "b, c", "d", NULL);
	list_splits_into("{ { a } b }", "{ a } b", NULL);
	list_splits_into("{}", "", NULL);
	list_splits_into("inline:{ a=b, c=d },x", "inline:{ a=b, c=d }", "x",
	    NULL);
	list_splits_into("{a b}{c d}", "{a b}{c d}", NULL);
}

static void
unclosed_brace_stays_where_it_is_seen(void **state)
{
	(void)state;
	list_splits_into("{ a b", "{", "a", "b", NULL);
	list_splits_into("a } b", "a", "}", "b", NULL);
	list_splits_into("{ { a } b", "{", "a", "b", NULL);
}

/* Each byte, at each place among those that are. */
static void
the_first_byte_that_is_not_printable_is_found(void **state)
{
	char	text[20];
	size_t	at;
	int	c;

	(void)state;
	for (c = 0; c < 256; c++)
		for (at = 0; at < sizeof(text); at++) {
			memset(text, at % 2 == 0 ? ' ' : '~', sizeof(text));
			text[at] = (char)c;
			assert_int_equal(text_printable(text, sizeof(text)),
			    c >= ' ' && c <= '~' ? sizeof(text) : at);
		}
	assert_int_equal(text_printable("", 0), 0);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(integer_keeps_to_its_bounds),
		cmocka_unit_test(integer_takes_nothing_else),
		cmocka_unit_test(boolean_is_yes_or_no),
		cmocka_unit_test(duration_knows_its_units),
		cmocka_unit_test(duration_refuses_the_rest),
		cmocka_unit_test(size_knows_powers_of_1024),
		cmocka_unit_test(comparison_ignores_the_case_of_ascii_only),
		cmocka_unit_test(starts_and_ends_are_found),
		cmocka_unit_test(lowering_leaves_other_bytes),
		cmocka_unit_test(
		    white_space_is_the_blank_and_five_control_bytes),
		cmocka_unit_test(trimming_takes_both_ends),
		cmocka_unit_test(the_first_byte_that_is_not_printable_is_found),
		cmocka_unit_test(lists_split_at_space_and_comma),
		cmocka_unit_test(braces_keep_words_together),
		cmocka_unit_test(unclosed_brace_stays_where_it_is_seen),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
