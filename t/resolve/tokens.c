/*
 * tokens.c - claims about what a token command may write.
 *
 * needs: resolve/tokens.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "resolve/tokens.h"

static const char	*value;
static int64_t		 seconds;

static const char *
parse(const char *text)
{
	static char	said[200];

	value = NULL;
	seconds = -1;
	(void)snprintf(said, sizeof(said), "%s", text);
	return token_parse(said, &value, &seconds);
}

static void
a_token_is_a_line(void **state)
{
	(void)state;
	assert_null(parse("ya29.a0-_~+/="));
	assert_string_equal(value, "ya29.a0-_~+/=");
	assert_int_equal(seconds, 0);
	assert_null(parse("abc\n"));
	assert_string_equal(value, "abc");
	assert_null(parse("abc\r\n"));
	assert_string_equal(value, "abc");
	assert_int_equal(seconds, 0);
}

static void
another_line_is_how_long_it_is_good(void **state)
{
	(void)state;
	assert_null(parse("abc\n3599\n"));
	assert_string_equal(value, "abc");
	assert_int_equal(seconds, 3599);
	assert_null(parse("abc\n1"));
	assert_int_equal(seconds, 1);
	assert_null(parse("abc\n\n"));
	assert_int_equal(seconds, 0);
}

static void
nothing_else_is_one(void **state)
{
	static const char *const	wrong[] = {
		"", "\n", "\n3600\n", "a b\n", "abc\1def\n", "\303\244\n",
		"abc\nsoon\n", "abc\n0\n", "abc\n-1\n", "abc\n31536001\n",
		"abc\n10\nmore\n", "{\"access_token\": \"abc\"}\n"
	};
	size_t				i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (parse(wrong[i]) == NULL)
			fail_msg("\"%s\" is taken", wrong[i]);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(a_token_is_a_line),
		cmocka_unit_test(another_line_is_how_long_it_is_good),
		cmocka_unit_test(nothing_else_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
