/*
 * stray.c - claims about CR and LF that do not stand together.
 *
 * needs: cleanup/stray.c
 */
#include "cleanup/stray.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* The whole text in pieces of `size`. */
static void
run(const char *text, size_t size, char *to)
{
	struct stray	s = { false };
	char		piece[1024], before;
	size_t		len = strlen(text), at, n, out;

	*to = '\0';
	for (at = 0; at < len; at += n) {
		n = len - at < size ? len - at : size;
		memcpy(piece, text + at, n);
		out = stray_replace(&s, piece, n, at + n == len, &before);
		if (before != 0)
			strncat(to, &before, 1);
		strncat(to, piece, out);
	}
}

static void
what_is_no_line_end_becomes_a_space(void **state)
{
	static const struct { const char *in, *out; } rows[] = {
		{ "a\r\nb\r\n", "a\r\nb\r\n" },
		{ "a\rb\nc\r\n", "a b c\r\n" },
		{ "a\n.\r\nb\r.\r\n", "a .\r\nb .\r\n" },
		{ "\n\r\n\r", " \r\n " },
		{ "\r\r\n", " \r\n" },
		{ "\r\n\n\r\r\n\r\n", "\r\n  \r\n\r\n" },
		{ "x\r", "x " }, { "\r", " " }, { "\n", " " },
		{ "no end", "no end" }, { "\r\n", "\r\n" },
	};
	char	to[128];
	size_t	i, size;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size = 1; size < 16; size++) {
			run(rows[i].in, size, to);
			assert_string_equal(to, rows[i].out);
		}
}

/* Where most of a piece needs no look at each line. */
static void
it_is_found_in_much_text(void **state)
{
	static const struct { const char *in, *out; } rows[] = {
		{ "\r\n", "\r\n" }, { "\r", " " }, { "\n", " " },
		{ "\n\r", "  " }, { "\r\r\n", " \r\n" }, { ".", "." },
	};
	static char	in[1024], out[1024], to[1024];
	size_t		i, before, size;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (before = 0; before < 400; before++)
			for (size = 100; size < 1000; size += 299) {
				snprintf(in, sizeof(in), "%*s%s%200s",
				    (int)before, "\r\n", rows[i].in, "x");
				snprintf(out, sizeof(out), "%*s%s%200s",
				    (int)before, "\r\n", rows[i].out, "x");
				run(in, size, to);
				assert_string_equal(to, out);
			}
}

static void
a_cr_at_the_end_of_a_piece_waits_for_the_next(void **state)
{
	struct stray	s = { false };
	char		piece[8] = "ab\r", before;

	(void)state;
	assert_int_equal(stray_replace(&s, piece, 3, false, &before), 2);
	assert_int_equal(before, 0);
	assert_int_equal(stray_replace(&s, piece, 0, false, &before), 0);
	assert_int_equal(before, 0);
	piece[0] = '\n';
	assert_int_equal(stray_replace(&s, piece, 1, false, &before), 1);
	assert_int_equal(before, '\r');
	assert_int_equal(piece[0], '\n');
	piece[0] = '\r';
	assert_int_equal(stray_replace(&s, piece, 1, false, &before), 0);
	assert_int_equal(stray_replace(&s, piece, 0, true, &before), 0);
	assert_int_equal(before, ' ');
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(what_is_no_line_end_becomes_a_space),
		cmocka_unit_test(it_is_found_in_much_text),
		cmocka_unit_test(a_cr_at_the_end_of_a_piece_waits_for_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
