/*
 * trace.c - trace fields keep their grammar whatever strangers call
 * themselves.
 */
#include "common/mail/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"

static struct pool	*pool;
static struct str	 s;

static const struct trace plain = {
	.helo = "mx.example",
	.client_name = "unknown",
	.client_address = "192.0.2.1",
	.myhostname = "here.example",
	.protocol = "ESMTP",
	.queue_id = "4XYZ",
	.program = "Postrider",
	.when = 1795302660
};

static int
fill(void **state)
{
	(void)state;
	setenv("TZ", "IST-5:30", 1);
	pool = pool_new("test", 0);
	str_init(&s, pool, 0);
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
a_received_field_has_its_clauses_in_order(void **state)
{
	struct trace	t = plain;

	(void)state;
	t.recipient = "alice@here.example";
	trace_received(&s, &t);
	assert_string_equal(s.data,
	    "Received: from mx.example (unknown [192.0.2.1])\r\n"
	    "\tby here.example (Postrider) with ESMTP id 4XYZ\r\n"
	    "\tfor <alice@here.example>; Sun, 22 Nov 2026 04:41:00 +0530\r\n");
}

static void
there_is_no_for_clause_without_the_one_recipient(void **state)
{
	struct trace	t = plain;

	(void)state;
	t.client_address = "2001:db8::1";
	t.client_name = "mx.example";
	t.helo = "[IPv6:2001:db8::1]";
	t.extra = "(using TLSv1.3)\n(no \r client certificate)";
	trace_received(&s, &t);
	assert_string_equal(s.data,
	    "Received: from [IPv6:2001:db8::1] (mx.example "
	    "[IPv6:2001:db8::1])\r\n"
	    "\t(using TLSv1.3)\r\n"
	    "\t(no ? client certificate)\r\n"
	    "\tby here.example (Postrider) with ESMTP id 4XYZ; "
	    "Sun, 22 Nov 2026 04:41:00 +0530\r\n");
}

/* RFC 8314 4.3. */
static void
the_clause_of_tls_comes_behind_all_others(void **state)
{
	struct trace	t = plain;

	(void)state;
	t.recipient = "alice@here.example";
	t.extra = "(using TLSv1.3)\ntls TLS_X\n(tls too)";
	trace_received(&s, &t);
	assert_string_equal(s.data,
	    "Received: from mx.example (unknown [192.0.2.1])\r\n"
	    "\t(using TLSv1.3)\r\n"
	    "\t(tls too)\r\n"
	    "\tby here.example (Postrider) with ESMTP id 4XYZ\r\n"
	    "\tfor <alice@here.example>\r\n"
	    "\ttls TLS_X; Sun, 22 Nov 2026 04:41:00 +0530\r\n");
}

static void
a_client_can_be_hidden(void **state)
{
	struct trace	t = plain;

	(void)state;
	t.hides_client = true;
	t.extra = "(Authenticated sender: alice)";
	t.protocol = "ESMTPA";
	trace_received(&s, &t);
	assert_non_null(strstr(s.data, "Received: by here.example (Postrider) "
	    "with ESMTPA id 4XYZ\r\n\t(Authenticated sender: alice); "));
	assert_null(strstr(s.data, "mx.example"));
	assert_null(strstr(s.data, "192.0.2.1"));
}

static void
local_mail_names_the_user(void **state)
{
	struct trace	t = plain;

	(void)state;
	t.helo = NULL;
	t.uid = 1000;
	trace_received(&s, &t);
	assert_string_equal(s.data,
	    "Received: by here.example (Postrider, from userid 1000)\r\n"
	    "\tid 4XYZ; Sun, 22 Nov 2026 04:41:00 +0530\r\n");
}

/* What stands between "from " and the client's name. */
static const char *
shown(const char *helo)
{
	struct trace	t = plain;
	const char	*end;

	t.helo = helo;
	str_clear(&s);
	trace_received(&s, &t);
	end = strstr(s.data, " (unknown [192.0.2.1])\r\n\tby ");
	assert_non_null(end);
	str_cut(&s, (size_t)(end - s.data));
	assert_memory_equal(s.data, "Received: from ", 15);
	return s.data + 15;
}

static void
a_hostile_name_is_reduced_to_an_atom(void **state)
{
	char	much[1000];

	(void)state;
	assert_string_equal(shown("a\tb(c)"), "a?b?c?");
	assert_string_equal(shown("x\r\nBcc: y@z"), "x??Bcc??y?z");
	assert_string_equal(shown("a; date"), "a??date");
	assert_string_equal(shown("[1.2.3.4"), "?1.2.3.4");
	assert_string_equal(shown("[not a literal]"), "?not?a?literal?");
	assert_string_equal(shown("<>\"\\,:;@"), "????????");
	assert_string_equal(shown(""), "unknown");
	assert_string_equal(shown(".a..b."), "?a.?b?");
	assert_string_equal(shown("\xc3\xa9"), "??");
	assert_string_equal(shown("under_score-x!"), "under_score-x!");
	memset(much, 'h', sizeof(much));
	much[sizeof(much) - 1] = '\0';
	assert_int_equal(strlen(shown(much)), 255);
}

static void
no_value_brings_a_line_of_its_own(void **state)
{
	struct trace	t = plain;
	const char	*at;
	int		lines = 0;

	(void)state;
	t.client_name = "a)\r\nX: (b";
	t.client_address = "1]\r\nX: 2";
	t.recipient = "a@b\r\nX: y";
	t.extra = "(x)\r\nX: y";
	trace_received(&s, &t);
	for (at = s.data; (at = strstr(at, "\r\n")) != NULL; at += 2, lines++)
		assert_true(at[2] == '\t' || at[2] == '\0');
	assert_int_equal(lines, 5);
}

static void
delivery_adds_its_fields(void **state)
{
	(void)state;
	trace_return_path(&s, "");
	trace_return_path(&s, "a@b");
	trace_delivered_to(&s, "c@d\r\nX: y");
	assert_string_equal(s.data, "Return-Path: <>\r\n"
	    "Return-Path: <a@b>\r\nDelivered-To: c@d??X: y\r\n");
}

static void
a_message_id_is_made_of_time_queue_id_and_host(void **state)
{
	(void)state;
	trace_message_id(&s, "4XYZ", "here.example", 1795302660);
	assert_string_equal(s.data, "<20261121231100.4XYZ@here.example>");
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, fill, drain)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(a_received_field_has_its_clauses_in_order),
		TEST(there_is_no_for_clause_without_the_one_recipient),
		TEST(the_clause_of_tls_comes_behind_all_others),
		TEST(a_client_can_be_hidden),
		TEST(local_mail_names_the_user),
		TEST(a_hostile_name_is_reduced_to_an_atom),
		TEST(no_value_brings_a_line_of_its_own),
		TEST(delivery_adds_its_fields),
		TEST(a_message_id_is_made_of_time_queue_id_and_host),
	};

	return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
