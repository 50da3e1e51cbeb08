/*
 * verp.c - each recipient has a sender that names it.
 */
#include "common/mail/verp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void
the_sender_names_the_recipient(void **state)
{
	static const struct { const char *sender, *to, *delimiters, *is; }
	    cases[] = {
		{ "owner@x", "user@dom", "+=", "owner+user=dom@x" },
		{ "owner-list@x", "user+ext@dom", "-=",
		    "owner-list-user+ext=dom@x" },
		{ "owner@x", "alice", "+=", "owner+alice@x" },
		{ "owner", "user@dom", "+=", "owner+user=dom" },
		{ "owner@x", "\"a b\"@dom", "+=", "\"owner+a b=dom\"@x" },
		{ "\"o p\"@x", "user@dom", "+=", "\"o p+user=dom\"@x" },
		{ "owner@x", "\"a@b\"@dom", "+=", "\"owner+a@b=dom\"@x" },
		{ "owner@x", "u@[192.0.2.1]", "+=",
		    "\"owner+u=[192.0.2.1]\"@x" },
	};
	struct pool	*pool = pool_new("test", 0);
	size_t		 i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(verp_sender(pool, cases[i].sender,
		    cases[i].to, cases[i].delimiters), cases[i].is);
	pool_free(pool);
}

static void
nobody_answers_the_null_sender(void **state)
{
	struct pool	*pool = pool_new("test", 0);

	(void)state;
	assert_string_equal(verp_sender(pool, "", "user@dom", "+="), "");
	assert_string_equal(verp_sender(pool, "owner@x", "user@dom", ""),
	    "owner@x");
	pool_free(pool);
}

static void
a_sender_stays_short_enough_for_every_packet(void **state)
{
	struct pool	*pool = pool_new("test", 0);
	char		 sender[701], to[401];

	(void)state;
	memset(sender, 'a', 698);
	strcpy(sender + 698, "@x");
	memset(to, 'b', 398);
	strcpy(to + 398, "@y");
	assert_string_equal(verp_sender(pool, sender, to, "+="), sender);
	strcpy(to + 198, "@y");
	assert_int_equal(strlen(verp_sender(pool, sender, to, "+=")), 901);
	pool_free(pool);
}

static void
delimiters_are_two_of_the_allowed_ones(void **state)
{
	(void)state;
	assert_null(verp_check("+=", "-=+"));
	assert_null(verp_check("--", "-=+"));
	assert_non_null(verp_check("", "-=+"));
	assert_non_null(verp_check("+", "-=+"));
	assert_non_null(verp_check("+=-", "-=+"));
	assert_non_null(verp_check("+@", "-=+"));
	assert_non_null(verp_check("a=", "-=+"));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(the_sender_names_the_recipient),
		cmocka_unit_test(nobody_answers_the_null_sender),
		cmocka_unit_test(a_sender_stays_short_enough_for_every_packet),
		cmocka_unit_test(delimiters_are_two_of_the_allowed_ones),
	};

	return cmocka_run_group_tests_name("verp", tests, NULL, NULL);
}
