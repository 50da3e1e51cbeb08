/*
 * characters.c - claims about sets of bytes.
 *
 * needs: cleanup/characters.c
 */
#include "cleanup/characters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
escapes_are_understood(void **state)
{
	struct characters	c;
	unsigned		i, count = 0;

	(void)state;
	assert_null(characters_parse(&c, "x\\0\\a\\b\\f\\n\\r\\t\\v\\\\\\377\\18"));
	for (i = 0; i < 256; i++)
		count += characters_have(&c, (char)i);
	assert_int_equal(count, 13);
	assert_true(characters_have(&c, 'x'));
	assert_true(characters_have(&c, '\0'));
	assert_true(characters_have(&c, '\1'));
	assert_true(characters_have(&c, '8'));
	assert_true(characters_have(&c, '\377'));
	assert_true(characters_have(&c, '\\'));
	assert_false(characters_are_none(&c));
	assert_non_null(characters_parse(&c, "\\"));
	assert_non_null(characters_parse(&c, "\\q"));
	assert_non_null(characters_parse(&c, "\\400"));
	assert_null(characters_parse(&c, ""));
	assert_true(characters_are_none(&c));
}

static void
they_are_taken_out_and_found(void **state)
{
	struct characters	c;
	char			text[] = "a\0b\0\0c";

	(void)state;
	assert_null(characters_parse(&c, "\\0"));
	assert_true(characters_find(&c, text, 6));
	assert_false(characters_find(&c, "abc", 3));
	assert_int_equal(characters_strip(&c, text, 6), 3);
	assert_memory_equal(text, "abc", 3);
	assert_null(characters_parse(&c, ""));
	assert_false(characters_find(&c, text, 6));
	assert_int_equal(characters_strip(&c, text, 3), 3);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(escapes_are_understood),
		cmocka_unit_test(they_are_taken_out_and_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
