/*
 * fold.c - long lines are broken at the same places, however they come.
 *
 * needs: smtp/fold.c
 */
#include "smtp/fold.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct pool	*pool;

static int
fill(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	return 0;
}

static int
drain(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

/* With a limit of five: cut at every place, or read at once if it fits. */
static void
becomes(const char *text, const char *expected)
{
	struct fold	f;
	struct str	to;
	size_t		len = strlen(text), cut;

	for (cut = 0; cut <= len; cut++) {
		str_init(&to, pool, 0);
		fold_start(&f, 5);
		fold_add(&f, &to, text, cut);
		fold_add(&f, &to, text + cut, len - cut);
		fold_finish(&f, &to);
		assert_string_equal(to.data, expected);
		assert_int_equal(f.has_broken, strcmp(text, expected) != 0);

		/* what passes needs no copy, in front of it and behind it */
		str_init(&to, pool, 0);
		fold_start(&f, 5);
		if (fold_passes(&f, text, cut))
			str_add_mem(&to, text, cut);
		else
			fold_add(&f, &to, text, cut);
		if (fold_passes(&f, text + cut, len - cut))
			str_add(&to, text + cut);
		else
			fold_add(&f, &to, text + cut, len - cut);
		fold_finish(&f, &to);
		assert_string_equal(to.data, expected);
	}
}

static void
short_lines_pass(void **state)
{
	(void)state;
	becomes("", "");
	becomes("12345\r\n1\r\n\r\n", "12345\r\n1\r\n\r\n");
	becomes("12345", "12345");
	becomes("1234\r", "1234\r");
}

static void
long_lines_are_broken_by_a_line_end_and_a_space(void **state)
{
	(void)state;
	becomes("123456\r\n", "12345\r\n 6\r\n");
	becomes("1234567890\r\n1\r\n", "12345\r\n 6789\r\n 0\r\n1\r\n");
	becomes("123456789\r\n", "12345\r\n 6789\r\n");
	becomes("12345\r6\r\n", "12345\r\n \r6\r\n");
	becomes("123456", "12345\r\n 6");
}

static void
no_limit_breaks_nothing(void **state)
{
	struct fold	f;
	struct str	to;

	(void)state;
	str_init(&to, pool, 0);
	fold_start(&f, 0);
	assert_true(fold_passes(&f, "1234567890", 10));
	fold_add(&f, &to, "1234567890", 10);
	assert_string_equal(to.data, "1234567890");
}

/* Two lines of these lengths, with or without CR, behind `column` bytes. */
static bool
passes(size_t column, size_t one, size_t two, const char *end)
{
	char		text[200];
	struct fold	f;
	size_t		len = 0;

	fold_start(&f, 20);
	memset(text, 'x', sizeof(text));
	if (!fold_passes(&f, text, column))
		return false;
	len += one;
	memcpy(text + len, end, strlen(end));
	len += strlen(end) + two;
	memcpy(text + len, end, strlen(end));
	len += strlen(end);
	return fold_passes(&f, text, len) && fold_passes(&f, text, 20);
}

static void
what_passes_has_no_line_that_is_too_long(void **state)
{
	size_t	column, one, two;
	bool	is_short;

	(void)state;
	for (column = 0; column < 23; column++)
		for (one = 0; one < 23; one++)
			for (two = 0; two < 70; two++) {
				is_short = column + one <= 20 && two <= 20;
				assert_int_equal(passes(column, one, two,
				    "\r\n"), is_short);
				if (!is_short)
					assert_false(passes(column, one, two,
					    "\n"));
			}
	assert_true(passes(3, 17, 20, "\r\n"));
	assert_true(passes(3, 15, 18, "\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_lines_pass),
		cmocka_unit_test(
		    long_lines_are_broken_by_a_line_end_and_a_space),
		cmocka_unit_test(no_limit_breaks_nothing),
		cmocka_unit_test(what_passes_has_no_line_that_is_too_long),
	};

	return cmocka_run_group_tests_name("fold", tests, fill, drain);
}
