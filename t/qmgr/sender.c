/*
 * sender.c - who is one sender, and who are two.
 *
 * needs: qmgr/sender.c common/mail/address.c
 */
#include "qmgr/sender.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* The number for these; "" is none. */
static uint32_t
who(const char *sender, const char *login, const char *client, int64_t uid)
{
	struct mail	m = { .sender = (char *)(uintptr_t)sender,
			    .login = (char *)(uintptr_t)login,
			    .client_address = (char *)(uintptr_t)client,
			    .uid = uid };

	return sender_who(&m);
}

static void
a_login_is_one_sender_wherever_he_is(void **state)
{
	(void)state;
	assert_int_equal(who("a@x.test", "al", "192.0.2.1", -1),
	    who("b@y.test", "al", "192.0.2.2", -1));
	assert_int_not_equal(who("a@x.test", "al", "192.0.2.1", -1),
	    who("a@x.test", "bo", "192.0.2.1", -1));
}

static void
an_address_is_another_one_at_another_client(void **state)
{
	(void)state;
	assert_int_equal(who("a@x.test", "", "192.0.2.1", -1),
	    who("A@X.test", "", "192.0.2.1", -1));
	assert_int_not_equal(who("a@x.test", "", "192.0.2.1", -1),
	    who("a@x.test", "", "192.0.2.2", -1));
	assert_int_not_equal(who("a@x.test", "", "192.0.2.1", -1),
	    who("b@x.test", "", "192.0.2.1", -1));
	assert_int_not_equal(who("a@x.test", "", "", 1000),
	    who("a@x.test", "", "", 1001));
}

static void
a_list_with_many_senders_is_one(void **state)
{
	(void)state;
	assert_int_equal(who("list+a=x.test@l.test", "", "192.0.2.1", -1),
	    who("list+b=y.test@l.test", "", "192.0.2.1", -1));
	assert_int_not_equal(who("list+a@l.test", "", "192.0.2.1", -1),
	    who("list+a@k.test", "", "192.0.2.1", -1));
}

static void
all_reports_are_one_sender_s(void **state)
{
	(void)state;
	assert_int_equal(who("", "", "192.0.2.1", -1),
	    who("", "al", "", 1000));
	assert_int_not_equal(who("", "", "192.0.2.1", -1),
	    who("a@x.test", "", "192.0.2.1", -1));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(a_login_is_one_sender_wherever_he_is),
		cmocka_unit_test(an_address_is_another_one_at_another_client),
		cmocka_unit_test(a_list_with_many_senders_is_one),
		cmocka_unit_test(all_reports_are_one_sender_s),
	};

	return cmocka_run_group_tests_name("sender", tests, NULL, NULL);
}
