/*
 * undelivered.c - claims about the report of what is not accepted.
 *
 * needs: cleanup/undelivered.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/mail/dsn.h"
#include "common/param/site.h"

#include "cleanup/undelivered.h"

static struct pool		*pool;
static struct recipient_row	 rows[3];
static struct drop		 drop;
static struct undelivered	 about;

static int
setup(void **state)
{
	static const char	content[] = "Subject: x\nTo: b\n\nThe body\n";

	(void)state;
	pool = pool_new("test", 0);
	site.myhostname = "mail.o.test";
	rows[0] = (struct recipient_row){ "a@x.test", "", "", 0 };
	rows[1] = (struct recipient_row){ "b@x.test", "", "rfc822;o@x.test",
	    NOTIFY_FAILURE };
	rows[2] = (struct recipient_row){ "c@x.test", "", "", NOTIFY_NEVER };
	drop = (struct drop){ .sender = "al@x.test", .full_name = "",
	    .envelope_id = "E1", .return_what = "", .verp = "",
	    .content_length = sizeof(content) - 1, .recipients = rows,
	    .count = 3 };
	about = (struct undelivered){ .drop = &drop, .to = "al@x.test",
	    .boundary = "BOUND",
	    .reply = "554 5.4.6 Error: too many hops", .posted_us = 1,
	    .content = content, .length = sizeof(content) - 1 };
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

/* The report as text. */
static const char *
report(void)
{
	struct str	text;

	str_init(&text, pool, 0);
	undelivered_report(&text, &about);
	return text.data;
}

static void
it_has_the_three_parts_and_crlf_alone(void **state)
{
	const char	*text = report(), *at;
	int		 parts = 0;

	(void)state;
	for (at = text; (at = strstr(at, "\r\n--BOUND")) != NULL; at++)
		parts++;
	assert_int_equal(parts, 4);		/* and the end */
	for (at = text; (at = strchr(at, '\n')) != NULL; at++)
		assert_int_equal(at[-1], '\r');
	assert_non_null(strstr(text, "\r\nContent-Type: message/rfc822\r\n"));
	assert_non_null(strstr(text, "\r\n\r\nThe body\r\n"));
	assert_non_null(strstr(text, "\r\nOriginal-Envelope-Id: E1\r\n"));
}

static void
recipients_are_told_by_their_wishes(void **state)
{
	const char	*text = report();

	(void)state;
	assert_non_null(strstr(text, "\r\n\r\nFinal-Recipient: rfc822; "
	    "a@x.test\r\nAction: failed\r\nStatus: 5.4.6\r\n"));
	assert_non_null(strstr(text, "Original-Recipient: rfc822;o@x.test\r\n"
	    "Final-Recipient: rfc822; b@x.test\r\n"));
	assert_null(strstr(text, "c@x.test"));
	assert_true(undelivered_wants_report(&drop));
	drop.recipients = rows + 2;
	drop.count = 1;
	assert_false(undelivered_wants_report(&drop));
}

static void
large_messages_and_ret_hdrs_bring_the_header_alone(void **state)
{
	const char	*text;

	(void)state;
	drop.return_what = "HDRS";
	text = report();
	assert_non_null(strstr(text, "text/rfc822-headers"));
	assert_non_null(strstr(text, "Subject: x\r\nTo: b\r\n\r\n--BOUND--"));
	assert_null(strstr(text, "The body"));
	drop.return_what = "";
	drop.content_length = 1000000;
	assert_null(strstr(report(), "The body"));
}

static void
no_header_and_no_status_code_are_fine(void **state)
{
	const char	*text;

	(void)state;
	about.content = "";
	about.length = 0;
	drop.content_length = 0;
	about.reply = "554";
	text = report();
	assert_non_null(strstr(text, "\r\nStatus: 5.0.0\r\n"));
	assert_non_null(strstr(text, "\r\n--BOUND--\r\n"));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(it_has_the_three_parts_and_crlf_alone),
		TEST(recipients_are_told_by_their_wishes),
		TEST(large_messages_and_ret_hdrs_bring_the_header_alone),
		TEST(no_header_and_no_status_code_are_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
