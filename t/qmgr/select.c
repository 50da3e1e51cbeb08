/*
 * select.c - which messages are meant: patterns, ages, sizes, queues.
 *
 * needs: qmgr/select.c
 */
#include "qmgr/select.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const int64_t	now_us = INT64_C(1000000) * 1000000;

/* A message with two recipients, an hour old, of 2000 bytes. */
static struct queue_entry *
message(void)
{
	static struct queue_recipient	rows[2];
	static struct queue_entry	e;

	rows[0] = (struct queue_recipient){ (char *)(uintptr_t)"Bob@Far.Test",
	    (char *)(uintptr_t)"list@home.test",
	    (char *)(uintptr_t)"connect to mx[192.0.2.1]: Timed Out" };
	rows[1] = (struct queue_recipient){ (char *)(uintptr_t)"ann@near.test",
	    (char *)(uintptr_t)"", (char *)(uintptr_t)"" };
	e = (struct queue_entry){ .queue = (char *)(uintptr_t)"deferred",
	    .queue_id = (char *)(uintptr_t)"ID1",
	    .sender = (char *)(uintptr_t)"al@One.Test", .size = 2000,
	    .arrival_us = now_us - INT64_C(3600) * 1000000,
	    .recipients = rows, .count = 2 };
	return &e;
}

/* Is it meant by this option? */
static bool
is_meant(const char *name, const char *value)
{
	struct selection	s;

	select_init(&s);
	assert_true(select_is_option(name));
	assert_null(select_option(&s, name, value));
	return select_matches(&s, message(), now_us);
}

static void
patterns_know_two_signs(void **state)
{
	(void)state;
	assert_true(select_glob("", "", 0));
	assert_true(select_glob("*", "", 0));
	assert_true(select_glob("a*c", "abbbc", SIZE_MAX));
	assert_true(select_glob("a*b*c", "aXbYbZc", SIZE_MAX));
	assert_true(select_glob("?b?", "abc", SIZE_MAX));
	assert_true(select_glob("**a**", "a", SIZE_MAX));
	assert_false(select_glob("a", "ab", SIZE_MAX));
	assert_false(select_glob("a*c", "abcd", SIZE_MAX));
	assert_false(select_glob("?", "", 0));
	assert_false(select_glob("A", "a", SIZE_MAX));
	assert_true(select_glob("xA", "xa", 1));
	assert_true(select_glob("[a]", "[a]", SIZE_MAX));
	assert_false(select_glob("[a]", "a", SIZE_MAX));
	assert_true(select_glob("*", "*", SIZE_MAX));
}

static void
a_bad_pattern_costs_little(void **state)
{
	static char	text[4001];

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_false(select_glob("*a*a*a*a*a*a*a*a*a*a*a*a*b", text, 0));
}

static void
domains_have_no_case_and_local_parts_have(void **state)
{
	(void)state;
	assert_true(is_meant("sender", "al@one.test"));
	assert_true(is_meant("sender", "*@ONE.TEST"));
	assert_false(is_meant("sender", "AL@one.test"));
	assert_false(is_meant("sender", "one.test"));
	assert_true(is_meant("recipient", "Bob@far.test"));
	assert_false(is_meant("recipient", "bob@far.test"));
	assert_true(is_meant("recipient", "list@home.test"));
	assert_true(is_meant("domain", "FAR.test"));
	assert_true(is_meant("domain", "@near.*"));
	assert_false(is_meant("domain", "test"));
	assert_false(is_meant("domain", "home.test"));
}

static void
the_null_sender_has_three_names(void **state)
{
	static const char *const	names[] = { "<>", "",
					    "mailer-daemon" };
	struct queue_entry		*e;
	struct selection		 s;
	size_t				 i;

	(void)state;
	for (i = 0; i < 3; i++) {
		e = message();
		e->sender = (char *)(uintptr_t)"";
		select_init(&s);
		assert_null(select_option(&s, "sender", names[i]));
		assert_true(select_matches(&s, e, now_us));
		assert_false(is_meant("sender", names[i]));
	}
}

static void
a_reason_is_found_anywhere(void **state)
{
	(void)state;
	assert_true(is_meant("reason", "timed out"));
	assert_true(is_meant("reason", "connect*192.0.2.?"));
	assert_false(is_meant("reason", "refused"));
}

static void
one_recipient_must_be_all_of_it(void **state)
{
	struct selection	s;

	(void)state;
	select_init(&s);
	assert_null(select_option(&s, "domain", "near.test"));
	assert_null(select_option(&s, "reason", "timed out"));
	assert_false(select_matches(&s, message(), now_us));
	assert_null(select_option(&s, "domain", "far.test"));
	assert_true(select_matches(&s, message(), now_us));
}

static void
ages_and_sizes_have_bounds(void **state)
{
	(void)state;
	assert_true(is_meant("older", "59m"));
	assert_false(is_meant("older", "61m"));
	assert_true(is_meant("younger", "2h"));
	assert_false(is_meant("younger", "10"));
	assert_true(is_meant("size", "2000"));
	assert_true(is_meant("size", "+1k"));
	assert_false(is_meant("size", "+2001"));
	assert_true(is_meant("size", "-2k"));
	assert_false(is_meant("size", "-1k"));
}

static void
queues_are_named(void **state)
{
	struct selection	s;

	(void)state;
	assert_true(is_meant("queue", "deferred"));
	assert_true(is_meant("queue", "hold,deferred"));
	assert_false(is_meant("queue", "active"));
	select_init(&s);
	assert_true(select_is_everything(&s));
	assert_true(select_takes_queue(&s, "hold"));
	assert_false(select_takes_queue(&s, "corrupt"));
	assert_null(select_option(&s, "queue", "corrupt"));
	assert_true(select_takes_queue(&s, "corrupt"));
	assert_false(select_takes_queue(&s, "hold"));
	assert_false(select_needs_file(&s));
	assert_false(select_is_everything(&s));
}

static void
nonsense_is_refused(void **state)
{
	static const char *const	wrong[][2] = {
		{ "queue", "maildrop" }, { "queue", "" }, { "queue", "hold," },
		{ "older", "soon" }, { "older", "-1" }, { "younger", "" },
		{ "size", "big" }, { "size", "+-1" }, { "limit", "-1" },
		{ "limit", "x" }, { "domain", "" }, { "recipient", "" },
		{ "reason", "" }, { "color", "red" }
	};
	struct selection		s;
	size_t				i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		select_init(&s);
		assert_non_null(select_option(&s, wrong[i][0], wrong[i][1]));
	}
	assert_false(select_is_option("color"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_know_two_signs),
		cmocka_unit_test(a_bad_pattern_costs_little),
		cmocka_unit_test(domains_have_no_case_and_local_parts_have),
		cmocka_unit_test(the_null_sender_has_three_names),
		cmocka_unit_test(a_reason_is_found_anywhere),
		cmocka_unit_test(one_recipient_must_be_all_of_it),
		cmocka_unit_test(ages_and_sizes_have_bounds),
		cmocka_unit_test(queues_are_named),
		cmocka_unit_test(nonsense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
