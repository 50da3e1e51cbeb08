/*
 * headers.c - claims about the message's head.
 *
 * needs: cleanup/headers.c cleanup/canonical.c cleanup/lookup.c cleanup/unicode.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/param/site.h"

#include "cleanup/canonical.h"
#include "cleanup/clients.h"
#include "cleanup/inspect.h"

struct settings			 set;
static struct pool		*pool;
static struct transaction	 t;
static struct str		 written;
static struct recipient_row	 rows[2] = {
	{ "bob@x.test", "", "", 0 }, { "eve@x.test", "", "", 0 }
};

/* In place of write.c: keep it. */
void
write_content(struct transaction *unused, const void *data, size_t len)
{
	(void)unused;
	str_add_mem(&written, data, len);
	if (written.len > 1)
		memcpy(t.tail, written.data + written.len - 2, 2);
}

/* In place of intake.c: note it. */
void
transaction_refuse(struct transaction *unused, int code, const char *reply)
{
	(void)unused;
	if (t.code == 0) {
		t.code = code;
		t.refusal = reply;
	}
}

/* In place of clients.c: what was posted here is ours. */
bool
clients_is_ours(struct transaction *unused)
{
	(void)unused;
	return (t.mail.flags & (MAIL_IS_LOCAL | MAIL_IS_TRUSTED)) != 0;
}

bool
clients_ask(void)
{
	return false;
}

/* In place of inspect.c: nothing is looked at. */
bool
inspect_is_wanted(const struct transaction *unused)
{
	(void)unused;
	return false;
}

struct inspection *
inspect_new(struct transaction *unused)
{
	(void)unused;
	return NULL;
}

void
inspect_received(struct inspection *unused, const char *text, size_t len)
{
	(void)unused;
	(void)text;
	(void)len;
}

void
inspect_feed(struct inspection *unused, char *data, size_t len)
{
	(void)unused;
	(void)data;
	(void)len;
}

void
inspect_finish(struct inspection *unused)
{
	(void)unused;
}

static int
setup(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	str_init(&written, pool, 0);
	site.myhostname = "host.test";
	site.myorigin = "o.test";
	set = (struct settings){ .hopcount_limit = 50,
	    .header_size_limit = 2000, .append_at_myorigin = true,
	    .drop_headers = "bcc, content-length, resent-bcc, return-path",
	    .undisclosed = "", .remote_domain = "",
	    .from_format = "standard", .detects_8bit = true,
	    .canonical_classes = "", .sender_canonical_classes = "",
	    .recipient_canonical_classes = "", .masquerade_classes = "",
	    .masquerade_domains = "" };
	canonical_start();
	memset(&t, 0, sizeof(t));
	t.pool = pool;
	t.rows = rows;
	t.count = 1;
	snprintf(t.queue_id, sizeof(t.queue_id), "QUEUEID");
	t.mail = (struct mail){ .sender = "al@o.test", .origin = "smtpd",
	    .client_name = "c.test", .client_address = "192.0.2.1",
	    .helo = "helo.test", .protocol = "ESMTP", .full_name = "",
	    .extra = "", .uid = -1, .arrival_us = 1000000000 };
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

/* Submitted on this host. */
static void
make_local(void)
{
	t.mail.client_address = t.mail.client_name = t.mail.helo = "";
	t.mail.protocol = "";
	t.mail.flags = MAIL_IS_LOCAL;
	t.mail.full_name = "Al Local";
	t.mail.uid = 1000;
}

/* Pass a message through, a byte at a time; what was written after the
 * Received: field. */
static const char *
through(const char *message)
{
	const char	*at;

	headers_begin(&t);
	for (at = message; *at != '\0'; at++)
		headers_feed(&t, (char *)(uintptr_t)at, 1);
	headers_finish(&t);
	assert_memory_equal(written.data, "Received: ", 10);
	at = strstr(written.data, "+0000\r\n");
	if (at == NULL)
		at = strstr(written.data, "\r\n");
	return strstr(at, "\r\n") + 2;
}

/* P1 */
static void
mail_of_strangers_passes_as_it_is(void **state)
{
	static const char	message[] = "From: root\r\nTo: x,\r\n y\r\n"
				    "X: \t\r\n\r\nbody\r\n.\r\n";

	(void)state;
	assert_string_equal(through(message), message);
	assert_non_null(strstr(written.data, "from helo.test (c.test "
	    "[192.0.2.1])"));
	assert_non_null(strstr(written.data, "for <bob@x.test>"));
}

static void
smtputf8_has_protocols_of_its_own(void **state)
{
	static const char	message[] = "X: \xc3\xa9\r\n\r\nbody\r\n";
	static struct recipient_row wide = { "\xc3\xa9@x.test", "", "", 0 };

	(void)state;
	t.rows = &wide;
	t.mail.flags = MAIL_IS_UTF8;
	t.mail.protocol = "ESMTPSA";
	assert_string_equal(through(message), message);
	assert_non_null(strstr(written.data, " with UTF8SMTPSA id "));
	assert_null(strstr(written.data, "for <"));
	assert_true(t.has_utf8_head);
}

static void
bytes_that_are_no_utf8_are_none(void **state)
{
	(void)state;
	(void)through("X: \xe9\r\n\r\nbody \xc3\xa9\r\n");
	assert_non_null(strstr(written.data, " with ESMTP id "));
	assert_false(t.has_utf8_head);
}

static void
dropped_headers_are_gone(void **state)
{
	(void)state;
	assert_string_equal(through("Return-Path: <a@b>\r\nTo: x@y\r\n"
	    "BCC: secret@x.test,\r\n another@x.test\r\nBccX: stays\r\n\r\n"),
	    "To: x@y\r\nBccX: stays\r\n\r\n");
	assert_null(strstr(written.data, "secret"));
	assert_null(strstr(written.data, "another"));
}

static void
local_mail_is_completed(void **state)
{
	const char	*got;

	(void)state;
	make_local();
	got = through("To: x\r\nSubject: hi\r\n\r\nbody\r\n");
	assert_non_null(strstr(got, "To: x@o.test\r\nSubject: hi\r\n"));
	assert_non_null(strstr(got, "\r\nFrom: Al Local <al@o.test>\r\n"));
	assert_non_null(strstr(got, "\r\nDate: Thu, 1 Jan 1970 00:16:40 "));
	assert_non_null(strstr(got, "\r\nMessage-ID: <"));
	assert_non_null(strstr(got, ".QUEUEID@host.test>\r\n"));
	assert_non_null(strstr(got, "\r\n\r\nbody\r\n"));
	assert_non_null(strstr(written.data, "from userid 1000"));
}

static void
what_is_there_is_not_added(void **state)
{
	static const char	message[] = "from: a@b\r\ndate: now\r\n"
				    "message-id: <1@2>\r\n\r\nbody\r\n";

	(void)state;
	make_local();
	assert_string_equal(through(message), message);
}

static void
recipients_of_posted_mail_are_not_told(void **state)
{
	(void)state;
	make_local();
	through("To: x@y\r\n\r\n");
	assert_null(strstr(written.data, "bob@x.test"));
}

static void
resent_mail_gets_resent_headers(void **state)
{
	const char	*got;

	(void)state;
	make_local();
	got = through("Resent-To: x@y\r\nFrom: a@b\r\nDate: then\r\n\r\n");
	assert_non_null(strstr(got, "\r\nResent-From: Al Local"));
	assert_non_null(strstr(got, "\r\nResent-Date: "));
	assert_non_null(strstr(got, "\r\nResent-Message-ID: <"));
	assert_null(strstr(got, "\r\nMessage-ID: <"));
}

static void
fifty_hops_pass_and_one_more_is_a_loop(void **state)
{
	struct str	text;
	int		i;

	(void)state;
	str_init(&text, pool, 0);
	set.header_size_limit = 100000;
	for (i = 0; i < 50; i++)
		str_add(&text, "Received: by x\r\n");
	headers_begin(&t);
	headers_feed(&t, text.data, text.len);
	headers_feed(&t, "Subject: x\r\n", 12);
	assert_int_equal(t.code, 0);
	headers_feed(&t, "RECEIVED: by y\r\n\r\n", 18);
	assert_int_equal(t.code, 554);
	assert_string_equal(t.refusal, "554 5.4.6 Error: too many hops");
}

static void
a_message_without_a_body_gets_its_empty_line(void **state)
{
	(void)state;
	assert_string_equal(through("To: a@b\r\n"), "To: a@b\r\n\r\n");
	str_clear(&written);
	assert_string_equal(through("To: a@b"), "To: a@b\r\n\r\n");
	str_clear(&written);
	assert_string_equal(through(""), "\r\n");
}

static void
a_body_without_a_head_is_separated(void **state)
{
	(void)state;
	assert_string_equal(through("To: a@b\r\nhello there\r\nTo: c\r\n"),
	    "To: a@b\r\n\r\nhello there\r\nTo: c\r\n");
}

static void
the_last_line_is_ended(void **state)
{
	(void)state;
	assert_string_equal(through("To: a@b\r\n\r\nhello"),
	    "To: a@b\r\n\r\nhello\r\n");
}

static void
a_head_of_any_length_is_read(void **state)
{
	struct str	text;
	int		i;

	(void)state;
	make_local();
	str_init(&text, pool, 0);
	str_add(&text, "From: a@b\r\n");
	for (i = 0; i < 200; i++)
		str_addf(&text, "X-Line: %d 0123456789\r\n", i);
	str_add(&text, "Bcc: secret@x.test\r\nMessage-ID: <1@b>\r\n"
	    "To: x\r\n\r\nbody\r\n");
	through(text.data);
	assert_null(strstr(written.data, "secret"));
	assert_non_null(strstr(written.data, "X-Line: 199 0123456789\r\n"
	    "Message-ID: <1@b>\r\nTo: x@o.test\r\nDate: "));
	assert_null(strstr(written.data, "QUEUEID@"));
}

/* A field with `count` addresses. */
static char *
list(const char *name, int count)
{
	struct str	text;
	int		i;

	str_init(&text, pool, 0);
	str_addf(&text, "%s: user", name);
	for (i = 1; i < count; i++)
		str_addf(&text, ",\r\n user%d", i);
	str_add(&text, "\r\n");
	return text.data;
}

/* P2 */
static void
a_long_field_is_dropped_whole(void **state)
{
	const char	*got;

	(void)state;
	make_local();
	got = through(pool_printf(pool, "To: x\r\n%sSubject: hi\r\n%s\r\n"
	    "Bcc: user\r\n", list("Bcc", 1000), list("Resent-Bcc", 1000)));
	assert_memory_equal(got, "To: x@o.test\r\nSubject: hi\r\n", 27);
	assert_null(strstr(strstr(got, "Subject"), " user1"));
	/* the body may say what it likes */
	assert_non_null(strstr(got, "\r\n\r\nBcc: user\r\n"));
}

static void
a_long_field_is_passed_on_as_it_is(void **state)
{
	char	*to = list("To", 1000), *got;

	(void)state;
	make_local();
	set.undisclosed = "To: undisclosed-recipients:;";
	got = pool_strdup(pool, through(pool_printf(pool, "%sCc: z\r\n"
	    "From: a@b\r\n\r\nbody\r\n", to)));
	assert_memory_equal(got, to, strlen(to));
	assert_memory_equal(got + strlen(to), "Cc: z@o.test\r\n", 14);
	assert_null(strstr(got, "undisclosed"));
}

static void
a_long_hop_is_one_and_a_long_id_too(void **state)
{
	char	*hop = list("Received", 500), *id = list("Message-ID", 500);

	(void)state;
	make_local();
	set.hopcount_limit = 3;
	through(pool_printf(pool, "%s%s%sMessage-ID: x\r\n\r\n%s%s", hop, id,
	    hop, hop, hop));
	assert_int_equal(t.code, 0);
	assert_null(strstr(written.data, "QUEUEID@"));

	str_clear(&written);
	through(pool_printf(pool, "%s%s%s%s\r\n", hop, hop, hop, hop));
	assert_int_equal(t.code, 554);
}

static void
a_head_of_many_lists_costs_no_memory(void **state)
{
	size_t	before;
	int	i;

	(void)state;
	make_local();
	headers_begin(&t);
	headers_feed(&t, "To: user, user2\r\n", 17);
	headers_feed(&t, "Message-ID: 1\r\n", 15);
	headers_feed(&t, "To: user, user2\r\n", 17);
	str_init(&written, pool_new("written", 0), 0);
	before = pool_size(pool);
	for (i = 0; i < 10000; i++) {
		headers_feed(&t, "To: user, user2\r\n", 17);
		headers_feed(&t, "Message-ID: 1\r\n", 15);
	}
	assert_int_equal(pool_size(pool), before);
	pool_free(written.pool);
}

static void
a_long_list_is_completed_whole(void **state)
{
	struct str	text;
	int		i;

	(void)state;
	make_local();
	set.header_size_limit = 200000;
	str_init(&text, pool, 0);
	str_add(&text, "To: first");
	for (i = 0; i < 5000; i++)
		str_addf(&text, ",\r\n user%d@x.test", i);
	str_add(&text, "\r\nSubject: hi\r\n\r\n");
	through(text.data);
	assert_non_null(strstr(written.data, "To: first@o.test,\r\n user0@"));
	assert_non_null(strstr(written.data, " user4999@x.test\r\n"
	    "Subject: hi\r\n"));
}

static void
mail_that_names_nobody_says_so_if_wanted(void **state)
{
	(void)state;
	set.undisclosed = "To: undisclosed-recipients:;";
	assert_string_equal(through("Subject: x\r\n\r\n"),
	    "Subject: x\r\nTo: undisclosed-recipients:;\r\n\r\n");
}

static void
a_blind_recipient_is_a_recipient(void **state)
{
	(void)state;
	set.undisclosed = "To: undisclosed-recipients:;";
	assert_string_equal(through("Subject: x\r\nBcc: y\r\n\r\n"),
	    "Subject: x\r\n\r\n");
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(mail_of_strangers_passes_as_it_is),
		TEST(smtputf8_has_protocols_of_its_own),
		TEST(bytes_that_are_no_utf8_are_none),
		TEST(dropped_headers_are_gone),
		TEST(local_mail_is_completed),
		TEST(what_is_there_is_not_added),
		TEST(recipients_of_posted_mail_are_not_told),
		TEST(resent_mail_gets_resent_headers),
		TEST(fifty_hops_pass_and_one_more_is_a_loop),
		TEST(a_message_without_a_body_gets_its_empty_line),
		TEST(a_body_without_a_head_is_separated),
		TEST(the_last_line_is_ended),
		TEST(a_head_of_any_length_is_read),
		TEST(a_long_field_is_dropped_whole),
		TEST(a_long_field_is_passed_on_as_it_is),
		TEST(a_long_hop_is_one_and_a_long_id_too),
		TEST(a_head_of_many_lists_costs_no_memory),
		TEST(a_long_list_is_completed_whole),
		TEST(mail_that_names_nobody_says_so_if_wanted),
		TEST(a_blind_recipient_is_a_recipient),
	};

	log_to_nothing();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
