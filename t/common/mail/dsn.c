/*
 * dsn.c - status codes and report wishes are read to the letter.
 */
#include "common/mail/dsn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

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

static void
a_code_is_found_at_the_start_and_of_the_right_class(void **state)
{
	static const char *const	bad[] = {
		"", "5", "5.", "5.1", "5.1.", "4.", "5.1.1.1", "5.1.1x",
		"5.1234.1", "5.1.1234", "3.1.1", "1.1.1", "55.1.1", "5,1.1",
		" 5.1.1", "5.01.1", "5.1.01", "5..1", "x"
	};
	size_t				i;

	(void)state;
	assert_int_equal(dsn_find("5.1.1 no such user", 550), 5);
	assert_int_equal(dsn_find("5.1.1", 0), 5);
	assert_int_equal(dsn_find("2.0.0\nmore", 250), 5);
	assert_int_equal(dsn_find("4.123.999 x", 0), 9);
	assert_int_equal(dsn_find("5.1.1 x", 450), 0);
	for (i = 0; i < COUNT(bad); i++)
		if (dsn_find(bad[i], 0) != 0 || dsn_is_valid(bad[i]))
			fail_msg("accepted: %s", bad[i]);
	assert_true(dsn_is_valid("4.2.2"));
	assert_true(dsn_is_valid("5.0.0"));
	assert_false(dsn_is_valid("4.2.2 "));
}

static void
notify_is_never_or_some_of_three(void **state)
{
	static const char *const	bad[] = {
		"", "NEVER,SUCCESS", "FAILURE,NEVER", "SUCCESS,SUCCESS", ",",
		"SUCCESS,", ",DELAY", "SOMETIMES", "SUCCESS DELAY", "NEVERX",
		"NEVER,NEVER"
	};
	size_t				i;
	int				bits;

	(void)state;
	assert_null(dsn_parse_notify("never", &bits));
	assert_int_equal(bits, NOTIFY_NEVER);
	assert_null(dsn_parse_notify("SUCCESS,failure,DELAY", &bits));
	assert_int_equal(bits, NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY);
	for (i = 0; i < COUNT(bad); i++)
		if (dsn_parse_notify(bad[i], &bits) == NULL)
			fail_msg("accepted: %s", bad[i]);
}

static void
an_original_recipient_is_decoded(void **state)
{
	static const struct { const char *text, *decoded; } good[] = {
		{ "rfc822;a@b", "rfc822;a@b" },
		{ "RFC822;a+2Bb@c", "RFC822;a+b@c" },
		{ "rfc822;a+20b", "rfc822;a b" },
		{ "utf-8;\\x{e9}@b", "utf-8;\xc3\xa9@b" },
		{ "utf-8;a\\x{5C}b\\x{1F4EF}", "utf-8;a\\b\xf0\x9f\x93\xaf" },
		{ "utf-8;\xc3\xa9@b", "utf-8;\xc3\xa9@b" },
		{ "rfc822;+C3+A9@b", "utf-8;\xc3\xa9@b" },	/* Postfix's */
		{ "rfc822;a\\b", "rfc822;a\\b" },
	};
	char	*orcpt;
	size_t	 i;

	(void)state;
	for (i = 0; i < COUNT(good); i++) {
		assert_null(dsn_parse_orcpt(pool, good[i].text, &orcpt));
		assert_string_equal(orcpt, good[i].decoded);
	}
}

static void
a_wrong_original_recipient_is_refused(void **state)
{
	static const char *const	bad[] = {
		"", "rfc822", "rfc822;", ";a@b", "rfc 822;a", "rfc822;+",
		"rfc822;+0", "rfc822;+ZZ", "rfc822;a+00b", "rfc822;+0D+0AX:",
		"rfc822;a b", "rfc822;a=b", "rfc822;+7F", "rfc822;\xc3\xa9",
		"x400;+C3+A9", "rfc822;+C3", "utf-8;\\x{110000}", "utf-8;\\x{D800}",
		"utf-8;\\x{", "utf-8;\\x{}", "utf-8;\\x{e9", "utf-8;\\",
		"utf-8;\\y", "utf-8;\\x{0A}", "utf-8;\\x{0000000e9}",
		"utf-8;\xff", "utf-8;\\x{85}"
	};
	char				*orcpt, much[600];
	size_t				 i;

	(void)state;
	for (i = 0; i < COUNT(bad); i++)
		if (dsn_parse_orcpt(pool, bad[i], &orcpt) == NULL)
			fail_msg("accepted: %s", bad[i]);
	memset(much, 'a', sizeof(much));
	memcpy(much, "rfc822;", 7);
	much[501] = '\0';
	assert_non_null(dsn_parse_orcpt(pool, much, &orcpt));
	much[500] = '\0';
	assert_null(dsn_parse_orcpt(pool, much, &orcpt));
}

static void
what_to_return_is_full_or_headers(void **state)
{
	char	*what;

	(void)state;
	assert_null(dsn_parse_ret("full", &what));
	assert_string_equal(what, "FULL");
	assert_null(dsn_parse_ret("HDRS", &what));
	assert_string_equal(what, "HDRS");
	assert_non_null(dsn_parse_ret("", &what));
	assert_non_null(dsn_parse_ret("HALF", &what));
}

static void
an_envelope_id_is_printable_and_at_most_a_hundred_long(void **state)
{
	static const char *const	bad[] = {
		"", "a+00b", "a+0Ab", "a+7F", "a+", "a+4", "a=b", "a b",
		"\xc3\xa9", "+C3+A9"
	};
	char				*id, much[102];
	size_t				 i;

	(void)state;
	assert_null(dsn_parse_envid(pool, "QQ+2B1+20x", &id));
	assert_string_equal(id, "QQ+1 x");
	for (i = 0; i < COUNT(bad); i++)
		if (dsn_parse_envid(pool, bad[i], &id) == NULL)
			fail_msg("accepted: %s", bad[i]);
	memset(much, 'a', sizeof(much));
	much[101] = '\0';
	assert_non_null(dsn_parse_envid(pool, much, &id));
	much[100] = '\0';
	assert_null(dsn_parse_envid(pool, much, &id));
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, fill, drain)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(a_code_is_found_at_the_start_and_of_the_right_class),
		TEST(notify_is_never_or_some_of_three),
		TEST(an_original_recipient_is_decoded),
		TEST(a_wrong_original_recipient_is_refused),
		TEST(what_to_return_is_full_or_headers),
		TEST(an_envelope_id_is_printable_and_at_most_a_hundred_long),
	};

	return cmocka_run_group_tests_name("dsn", tests, NULL, NULL);
}
