/*
 * plain.c - nothing that has to be changed is taken for plain text, wherever
 * it stands, and nearly all of the rest is.
 */
#include "common/mail/plain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { LEN = 450, ENOUGH = 128 };

/* Up to where is it as it should be, byte by byte? */
static size_t
count(const char *text, size_t len, bool with_dots)
{
	size_t	n;

	for (n = 0; n < len; n++)
		if ((text[n] == '\n') != (text[n - 1] == '\r') ||
		    (!with_dots && text[n] == '.' && text[n - 1] == '\n'))
			break;
	return n;
}

/* What is told is true, and not much less than could be. */
static void
is_told(const char *text, size_t len)
{
	size_t	lines = count(text, len, true), dots = count(text, len, false);

	assert_in_range(plain_lines(text, len), lines < ENOUGH ? 0 :
	    lines - ENOUGH + 1, lines);
	assert_in_range(plain_text(text, len), dots < ENOUGH ? 0 :
	    dots - ENOUGH + 1, dots);
	if (lines == len && len >= ENOUGH)
		assert_int_equal(plain_lines(text, len), len);
	if (dots == len && len >= ENOUGH)
		assert_int_equal(plain_text(text, len), len);
}

/* Text of short lines, with room in front. */
static void
fill(char *text)
{
	size_t	i;

	memset(text, 'x', LEN + 1);
	for (i = 11; i + 1 <= LEN; i += 29)
		memcpy(text + i, "\r\n", 2);
}

static void
text_of_any_length_is_plain(void **state)
{
	char	text[LEN + 1];
	size_t	len;

	(void)state;
	fill(text);
	for (len = 0; len <= LEN; len++)
		is_told(text + 1, len);
}

static void
what_is_not_is_found_at_every_place(void **state)
{
	static const char *const	bad[] = { "\r", "\n", "\n\r", "\r\r\n",
					    "\r\n.", "\r\n\n", "\n.", "." };
	char				text[LEN + 1];
	size_t				i, at, len;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		for (at = 0; at + strlen(bad[i]) <= LEN; at++) {
			fill(text);
			memcpy(text + at, bad[i], strlen(bad[i]));
			for (len = LEN - 140; len <= LEN; len += 10)
				is_told(text + 1, len);
			is_told(text + 1, at);
			is_told(text + 1, at + 1);
		}
}

static void
other_bytes_mean_nothing(void **state)
{
	char	text[LEN + 1];
	int	c;

	(void)state;
	for (c = 0; c < 256; c++) {
		memset(text, c, sizeof(text));
		if (c == '\r' || c == '\n')
			assert_int_equal(plain_lines(text + 1, LEN), 0);
		else
			assert_int_equal(plain_text(text + 1, LEN), LEN);
	}
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(text_of_any_length_is_plain),
		cmocka_unit_test(what_is_not_is_found_at_every_place),
		cmocka_unit_test(other_bytes_mean_nothing),
	};

	return cmocka_run_group_tests_name("plain", tests, NULL, NULL);
}
