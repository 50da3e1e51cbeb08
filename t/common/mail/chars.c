/*
 * chars.c - characters are what the standards say, byte for byte.
 */
#include "common/mail/chars.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void
atoms_are_made_of_these(void **state)
{
	int	c, n = 0;

	(void)state;
	for (c = 0; c < 256; c++)
		n += is_atext((char)c);
	assert_int_equal(n, 26 + 26 + 10 + 19);
	assert_false(is_atext('\0') || is_atext('.') || is_atext('@'));
	assert_true(is_atext('!') && is_atext('~') && is_atext('Z'));
}

static void
hexadecimal_digits_have_their_value(void **state)
{
	(void)state;
	assert_int_equal(hex_value('0'), 0);
	assert_int_equal(hex_value('9'), 9);
	assert_int_equal(hex_value('a'), 10);
	assert_int_equal(hex_value('F'), 15);
	assert_int_equal(hex_value('g'), -1);
	assert_int_equal(hex_value('\0'), -1);
}

static void
every_character_is_written_and_read_back(void **state)
{
	uint32_t	point, back;
	char		text[4];
	size_t		len;

	(void)state;
	for (point = 0; point <= 0x10ffff; point++) {
		len = utf8_print(text, point);
		if (point >= 0xd800 && point <= 0xdfff) {
			assert_int_equal(len, 0);
			continue;
		}
		if (utf8_length(text, len, &back) != len || back != point)
			fail_msg("U+%04X", point);
		if (len > 1 && utf8_length(text, len - 1, NULL) != 0)
			fail_msg("half of U+%04X", point);
	}
	assert_int_equal(utf8_print(text, 0x110000), 0);
	assert_int_equal(utf8_length("", 0, NULL), 0);
}

static void
what_is_not_utf8_is_refused(void **state)
{
	static const char *const	bad[] = {
		"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x20",
		"\xe0\x80\x80", "\xe0\x9f\xbf", "\xe2\x82", "\xed\xa0\x80",
		"\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
		"\xff", "\xfe", "a\xc3", "\xc2\x85", "\xf8\x88\x80\x80\x80"
	};
	size_t				i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (utf8_is_valid(bad[i], strlen(bad[i])))
			fail_msg("accepted %zu", i);
	assert_true(utf8_is_valid("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x93\xaf", 10));
	assert_true(utf8_is_valid("", 0));
}

static void
one_wide_byte_makes_text_wide(void **state)
{
	(void)state;
	assert_false(has_8bit("", 0));
	assert_false(has_8bit("plain\x7f", 6));
	assert_true(has_8bit("plain\x80", 6));
	assert_false(has_8bit("plain\x80", 5));
	assert_true(has_8bit("\0\xff", 2));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(atoms_are_made_of_these),
		cmocka_unit_test(hexadecimal_digits_have_their_value),
		cmocka_unit_test(every_character_is_written_and_read_back),
		cmocka_unit_test(what_is_not_utf8_is_refused),
		cmocka_unit_test(one_wide_byte_makes_text_wide),
	};

	return cmocka_run_group_tests_name("chars", tests, NULL, NULL);
}
