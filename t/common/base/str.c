/*
 * str.c - claims about the growing string.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/base/str.h"

static struct pool	*pool;

static int
set_up(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

static void
new_string_is_empty(void **state)
{
	struct str	s;

	(void)state;
	str_init(&s, pool, 0);
	assert_int_equal(s.len, 0);
	assert_string_equal(s.data, "");
	assert_int_equal(s.limit, 16 * 1024 * 1024);
}

static void
string_grows_as_needed(void **state)
{
	struct str	s;
	int		i;

	(void)state;
	str_init(&s, pool, 0);
	for (i = 0; i < 50000; i++)
		str_add(&s, "abc");
	str_add_char(&s, '!');
	assert_int_equal(s.len, 150001);
	assert_string_equal(s.data + 149997, "abc!");
	assert_memory_equal(s.data, "abcabc", 6);
	assert_false(s.is_cut);
}

static void
bytes_with_nul_are_kept(void **state)
{
	struct str	s;

	(void)state;
	str_init(&s, pool, 0);
	str_add_mem(&s, "a\0b", 3);
	str_add_mem(&s, NULL, 0);
	assert_int_equal(s.len, 3);
	assert_memory_equal(s.data, "a\0b", 4);
}

static void
what_passes_the_limit_is_cut_and_told(void **state)
{
	struct str	s;

	(void)state;
	str_init(&s, pool, 5);
	str_add(&s, "12345");
	assert_false(s.is_cut);
	str_add(&s, "");
	assert_false(s.is_cut);
	str_add_char(&s, '6');
	assert_true(s.is_cut);
	assert_string_equal(s.data, "12345");
	str_cut(&s, 2);
	assert_true(s.is_cut);
	str_clear(&s);
	assert_false(s.is_cut);
	str_add(&s, "abcdefgh");
	assert_string_equal(s.data, "abcde");
}

static void
format_is_cut_at_the_limit_too(void **state)
{
	struct str	s;

	(void)state;
	str_init(&s, pool, 100);
	str_addf(&s, "%s-%d", "x", 42);
	assert_string_equal(s.data, "x-42");
	assert_false(s.is_cut);
	str_addf(&s, "%96d", 7);
	assert_int_equal(s.len, 100);
	assert_false(s.is_cut);
	str_addf(&s, "%d", 7);
	assert_true(s.is_cut);
	assert_int_equal(s.len, 100);
	str_clear(&s);
	str_addf(&s, "%500d", 7);
	assert_int_equal(strlen(s.data), 100);
	assert_true(s.is_cut);
}

static void
format_grows_the_string(void **state)
{
	struct str	s;
	int		i;

	(void)state;
	str_init(&s, pool, 0);
	for (i = 0; i < 1000; i++)
		str_addf(&s, "%04d", i);
	assert_int_equal(s.len, 4000);
	assert_string_equal(s.data + 3992, "09980999");
}

static void
cutting_shortens(void **state)
{
	struct str	s;

	(void)state;
	str_init(&s, pool, 0);
	str_add(&s, "post rider");
	str_cut(&s, 4);
	assert_string_equal(s.data, "post");
	assert_int_equal(s.len, 4);
}

static void
escaping_shows_every_byte(void **state)
{
	struct str	s;

	(void)state;
	str_init(&s, pool, 0);
	str_add_escaped(&s, "a b\\\n\0\177\303\251~", 10);
	assert_string_equal(s.data, "a b\\\\\\012\\000\\177\\303\\251~");
}

static void
escapes_are_not_cut_in_half(void **state)
{
	struct str	s;

	(void)state;
	str_init(&s, pool, 5);
	str_add_escaped(&s, "ab\n", 3);
	assert_string_equal(s.data, "ab");
	assert_true(s.is_cut);
}

static void
numbers_have_all_their_digits(void **state)
{
	struct str	s;

	(void)state;
	str_init(&s, pool, 0);
	str_add_number(&s, 0);
	str_add_char(&s, ' ');
	str_add_number(&s, 10);
	str_add_char(&s, ' ');
	str_add_number(&s, UINT64_MAX);
	assert_string_equal(s.data, "0 10 18446744073709551615");
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(new_string_is_empty),
		cmocka_unit_test(string_grows_as_needed),
		cmocka_unit_test(bytes_with_nul_are_kept),
		cmocka_unit_test(what_passes_the_limit_is_cut_and_told),
		cmocka_unit_test(format_is_cut_at_the_limit_too),
		cmocka_unit_test(format_grows_the_string),
		cmocka_unit_test(cutting_shortens),
		cmocka_unit_test(escaping_shows_every_byte),
		cmocka_unit_test(escapes_are_not_cut_in_half),
		cmocka_unit_test(numbers_have_all_their_digits),
	};

	return cmocka_run_group_tests_name("str", tests, set_up, tear_down);
}
