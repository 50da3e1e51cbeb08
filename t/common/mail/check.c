/*
 * check.c - what tables of header_checks and body_checks may say.
 */
#include "common/mail/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct pool	*pool;
static struct check	 check;

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
says(const char *value, bool is_header, enum check_verb verb,
    const char *text)
{
	assert_null(check_parse(pool, value, is_header, &check));
	assert_int_equal(check.verb, verb);
	assert_string_equal(check.text, text);
}

static void
is_wrong(const char *value, bool is_header, const char *why)
{
	const char	*said = check_parse(pool, value, is_header, &check);

	assert_non_null(said);
	if (strstr(said, why) == NULL)
		assert_string_equal(said, why);
}

static void
verbs_come_in_any_case(void **state)
{
	(void)state;
	says("DUNNO", true, CHECK_DUNNO, "");
	says("ok", true, CHECK_DUNNO, "");
	says("Ignore", false, CHECK_IGNORE, "");
	says("STRIP because", false, CHECK_STRIP, "because");
	says("WARN  some \t text ", true, CHECK_WARN, "some \t text");
	says("info\tx", true, CHECK_INFO, "x");
	says("HOLD", true, CHECK_HOLD, "");
	says("PASS", true, CHECK_PASS, "");
	says("DISCARD", true, CHECK_DISCARD, "");
	is_wrong("REPLACED x", true, "unknown action \"REPLACED x\"");
	is_wrong("", true, "unknown action");
}

static void
texts_must_fit_where_they_go(void **state)
{
	(void)state;
	says("REPLACE Subject: x", true, CHECK_REPLACE, "Subject: x");
	says("PREPEND X-A:", true, CHECK_PREPEND, "X-A:");
	says("REPLACE any text", false, CHECK_REPLACE, "any text");
	is_wrong("REPLACE", false, "REPLACE without text");
	is_wrong("PREPEND ", true, "PREPEND without text");
	is_wrong("REPLACE any text", true, "bad header text");
	is_wrong("PREPEND : x", true, "bad header text");
}

static void
ways_and_addresses_are_checked(void **state)
{
	(void)state;
	says("FILTER smtp:[127.0.0.1]:10025", true, CHECK_FILTER,
	    "smtp:[127.0.0.1]:10025");
	is_wrong("FILTER nowhere", true, "FILTER expects");
	is_wrong("FILTER :nowhere", true, "FILTER expects");
	says("REDIRECT a@example.com", true, CHECK_REDIRECT, "a@example.com");
	says("BCC a@example.com", true, CHECK_BCC, "a@example.com");
	is_wrong("BCC nobody", true, "BCC expects user@domain");
	is_wrong("REDIRECT", true, "REDIRECT expects user@domain");
}

static void
a_refusal_may_bring_its_status(void **state)
{
	(void)state;
	says("REJECT", true, CHECK_REJECT, "");
	assert_string_equal(check.dsn, "5.7.1");
	says("REJECT 4.7.0 not  now", true, CHECK_REJECT, "not  now");
	assert_string_equal(check.dsn, "4.7.0");
	says("REJECT 2.0.0 fine", true, CHECK_REJECT, "2.0.0 fine");
	assert_string_equal(check.dsn, "5.7.1");
}

static void
a_delay_is_a_time(void **state)
{
	(void)state;
	says("DELAY 2m", true, CHECK_DELAY, "2m");
	assert_int_equal(check.delay, 120000);
	is_wrong("DELAY soon", true, "DELAY: expected");
}

/* What stands in the message for a text of the table. */
static void
becomes(const char *text, bool is_header, bool has_end, const char *expected)
{
	struct str	content = check_content(pool, text, is_header, has_end);

	assert_string_equal(content.data, expected);
	assert_int_equal(content.len, strlen(expected));
}

static void
texts_have_the_line_ends_of_mail(void **state)
{
	(void)state;
	becomes("A: b", true, true, "A: b\r\n");
	becomes("A: b\n c\r\nd", true, true, "A: b\r\n c\r\n d\r\n");
	becomes("a\n b\nc", false, true, "a\r\n b\r\nc\r\n");
	becomes("piece", false, false, "piece");
	becomes("", false, true, "\r\n");
}

static void
names_are_those_of_the_log(void **state)
{
	(void)state;
	assert_string_equal(check_name(CHECK_WARN), "warning");
	assert_string_equal(check_name(CHECK_REPLACE), "replace");
	assert_false(check_is_for_input(CHECK_WARN));
	assert_true(check_is_for_input(CHECK_REJECT));
	assert_true(check_is_for_input(CHECK_PASS));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verbs_come_in_any_case),
		cmocka_unit_test(texts_must_fit_where_they_go),
		cmocka_unit_test(ways_and_addresses_are_checked),
		cmocka_unit_test(a_refusal_may_bring_its_status),
		cmocka_unit_test(a_delay_is_a_time),
		cmocka_unit_test(texts_have_the_line_ends_of_mail),
		cmocka_unit_test(names_are_those_of_the_log),
	};

	return cmocka_run_group_tests_name("check", tests, fill, drain);
}
