/*
 * actions.c - claims about what a table's value does.
 *
 * needs: cleanup/actions.c
 */
#include "cleanup/checks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct transaction	 t;
static struct recipient_row	 row = { "b@y.test", "", "", 0 };
static struct check		 check;

/* In place of intake.c. */
void
transaction_refuse(struct transaction *unused, int code, const char *reply)
{
	(void)unused;
	if (t.code != 0)
		return;
	t.code = code;
	t.refusal = reply;
}

static int
setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	t.pool = pool_new("test", 0);
	t.rows = &row;
	t.count = 1;
	snprintf(t.queue_id, sizeof(t.queue_id), "ID");
	t.mail = (struct mail){ .sender = "a@x.test", .client_name = "c.test",
	    .client_address = "192.0.2.1", .helo = "h", .protocol = "ESMTP" };
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pool_free(t.pool);
	return 0;
}

/* What a header with this value of the table does. */
static enum action_result
does(const char *value)
{
	struct place	place = { "header_checks", "header", "Subject: x", 10 };

	return action_take(&t, t.pool, &place, value, &check);
}

static void
texts_are_changed(void **state)
{
	(void)state;
	assert_int_equal(does("DUNNO"), ACTION_PASS);
	assert_int_equal(does("ok"), ACTION_PASS);
	assert_int_equal(does("info x"), ACTION_PASS);
	assert_int_equal(does("WARN"), ACTION_PASS);
	assert_int_equal(does("IGNORE"), ACTION_DROP);
	assert_int_equal(does("STRIP x"), ACTION_DROP);
	assert_int_equal(does("REPLACE A: b"), ACTION_REPLACE);
	assert_string_equal(check.text, "A: b");
	assert_int_equal(does("PREPEND A: c"), ACTION_PREPEND);
	assert_int_equal(t.code, 0);
}

static void
messages_are_judged(void **state)
{
	(void)state;
	assert_int_equal(does("HOLD"), ACTION_PASS);
	assert_true(t.mail.flags & MAIL_IS_HELD);
	does("REDIRECT r@x.test");
	does("REDIRECT s@x.test");
	assert_string_equal(t.redirect, "s@x.test");
	does("BCC r@x.test");
	does("BCC s@x.test");
	assert_int_equal(t.copy_count, 2);
	assert_string_equal(t.copies[1], "s@x.test");
	does("PASS");
	assert_true(t.is_passed);
	assert_int_equal(does("FILTER a:b"), ACTION_PASS);
	assert_string_equal(t.mail.filter, "a:b");
	assert_int_equal(does("FILTER c:"), ACTION_PASS);
	assert_string_equal(t.mail.filter, "c:");
	assert_int_equal(does("DISCARD"), ACTION_DROP);
	assert_true(t.is_discarded);
	assert_int_equal(t.code, 0);
}

static void
refusals_have_codes(void **state)
{
	static const char *const	said[][2] = {
		{ "REJECT",		"550 5.7.1 message content rejected" },
		{ "REJECT no",		"550 5.7.1 no" },
		{ "REJECT 5.6.3 no",	"550 5.6.3 no" },
		{ "REJECT 4.2.1 no",	"451 4.2.1 no" },
		{ "REJECT 2.0.0 no",	"550 5.7.1 2.0.0 no" },
	};
	size_t				i;

	(void)state;
	for (i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		t.code = 0;
		assert_int_equal(does(said[i][0]), ACTION_DROP);
		assert_string_equal(t.refusal, said[i][1]);
	}
}

/* P1 */
static void
what_cannot_be_done_postpones(void **state)
{
	static const char *const	odd[] = { "", "REJCT", "REPLACE",
		"REPLACE no header", "BCC nobody", "REDIRECT", "FILTER x",
		"FILTER :y", "DELAY 10", "250 ok" };
	char				long_way[800] = "FILTER ";
	size_t				i;

	(void)state;
	for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		t.code = 0;
		assert_int_equal(does(odd[i]), ACTION_DROP);
		assert_int_equal(t.code, 451);
	}
	/* It would fit no packet. */
	memset(long_way + 7, 'x', FILTER_MAX + 1);
	long_way[10] = ':';
	t.code = 0;
	assert_int_equal(does(long_way), ACTION_DROP);
	assert_int_equal(t.code, 451);
	long_way[7 + FILTER_MAX] = '\0';
	t.code = 0;
	assert_int_equal(does(long_way), ACTION_PASS);
	assert_int_equal(strlen(t.mail.filter), FILTER_MAX);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test_setup_teardown(texts_are_changed, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(messages_are_judged, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(refusals_have_codes, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_done_postpones,
		    setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
