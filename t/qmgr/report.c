/*
 * report.c - the text of a report: what it says, and that nobody's text can
 * say more than it should.
 *
 * needs: qmgr/report.c qmgr/template.c
 */
#include "qmgr/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct pool	*pool;
static struct bounce_row row;
static struct bounce	 about;
static struct report	 report;
static struct str	 text;
static struct template	 templates[TEMPLATES];

/* The texts that we bring along, expanded. */
static void
set_up_templates(void)
{
	struct maincf	*mc = maincf_empty(pool);
	int		 i;

	maincf_default(mc, "myhostname", "mail.local.test");
	maincf_default(mc, "maximal_queue_lifetime", "5d");
	maincf_default(mc, "bounce_queue_lifetime", "5d");
	maincf_default(mc, "delay_warning_time", "4h");
	assert_null(template_parse(pool, "standard", template_standard,
	    strlen(template_standard), templates));
	for (i = 0; i < TEMPLATES; i++)
		assert_null(template_expand(pool, "standard", mc,
		    &templates[i]));
}

static const char	original[] =
    "Received: from x\r\n\tby y\r\nMessage-ID: <one@client.test>\r\n"
    "References: <zero@client.test>\r\nSubject: hello\r\n\r\nBody.\r\n";

static int
set_up(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	row = (struct bounce_row){ .address = "bob@far.test",
	    .original = "robert@local.test", .orcpt = "",
	    .outcome = OUTCOME_BOUNCED, .dsn = "5.1.1",
	    .text = "host mx.far.test[192.0.2.1] said: 550 5.1.1 no such user "
	    "(in reply to RCPT TO command)",
	    .remote = "dns; mx.far.test",
	    .diagnostic = "smtp; 550 5.1.1 no such user",
	    .last_attempt_us = 1700000000000000 };
	about = (struct bounce){ .kind = BOUNCE_FAILURE, .queue_id = "ID1",
	    .sender = "al@local.test", .envelope_id = "", .return_what = "",
	    .received_from = "dns; client.test ([192.0.2.7])",
	    .arrival_us = 1690000000000000,
	    .expires_us = 1710000000000000,
	    .content_length = sizeof(original) - 1, .rows = &row,
	    .count = 1, .message = -1 };
	memset(templates, 0, sizeof(templates));
	set_up_templates();
	report = (struct report){ .about = &about, .to = "al@local.test",
	    .template = &templates[TEMPLATE_FAILURE], .is_threaded = true,
	    .myhostname = "mail.local.test", .boundary = "ID1.abc",
	    .now = 1700000001 };
	report_learn(&report, pool, original, sizeof(original) - 1);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

/* The whole report. */
static const char *
whole(void)
{
	str_init(&text, pool, 0);
	report_choose(&report, 50000);
	report_head(&text, &report);
	str_add_mem(&text, original, (size_t)report.copy_length);
	report_tail(&text, &report);
	return text.data;
}

/* Is this in the report? */
static bool
says(const char *what)
{
	return strstr(whole(), what) != NULL;
}

static void
it_tells_people_and_programs(void **state)
{
	(void)state;
	assert_true(says("Subject: Undelivered Mail Returned to Sender\r\n"));
	assert_true(says("From: MAILER-DAEMON@mail.local.test "
	    "(Mail Delivery System)\r\n"));
	assert_true(says("Auto-Submitted: auto-replied\r\n"));
	assert_true(says("In-Reply-To: <one@client.test>\r\n"
	    "References: <zero@client.test>\r\n    <one@client.test>\r\n"));
	assert_true(says("<bob@far.test> (first addressed to"));
	assert_true(says("Reporting-MTA: dns; mail.local.test\r\n"
	    "Received-From-MTA: dns; client.test ([192.0.2.7])\r\n"
	    "Arrival-Date: "));
	assert_true(says("X-Postrider-Queue-ID: ID1\r\n"
	    "X-Postrider-Sender: rfc822; al@local.test\r\n"));
	assert_true(says("This is the mail system of mail.local.test.\r\n"));
	assert_true(says("\r\nOriginal-Recipient: rfc822; robert@local.test"
	    "\r\nFinal-Recipient: rfc822; bob@far.test\r\n"
	    "Action: failed\r\nStatus: 5.1.1\r\n"
	    "Remote-MTA: dns; mx.far.test\r\n"
	    "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"));
}

static void
a_field_without_words_is_none(void **state)
{
	static const char	bare[] = "Message-ID: \r\nReferences:\r\n \r\n"
				    "In-Reply-To: <zero@client.test>\r\n\r\n";

	(void)state;
	report_learn(&report, pool, bare, sizeof(bare) - 1);
	assert_null(report.message_id);
	assert_string_equal(report.references, "<zero@client.test>");
	assert_false(says("In-Reply-To:"));
}

static void
a_damaged_message_is_told_of(void **state)
{
	(void)state;
	assert_false(says("the disk that holds it is damaged"));
	report.is_damaged = true;
	assert_true(says("the disk that holds it is damaged"));
}

static void
it_has_three_parts_and_an_end(void **state)
{
	const char	*at = whole();
	int		 parts = 0;

	(void)state;
	while ((at = strstr(at, "\r\n--ID1.abc\r\n")) != NULL) {
		parts++;
		at += 2;
	}
	assert_int_equal(parts, 3);
	at = strstr(text.data, "\r\n--ID1.abc--\r\n");
	assert_non_null(at);
	assert_int_equal(at[strlen("\r\n--ID1.abc--\r\n")], '\0');
	assert_true(says("Content-Type: message/rfc822\r\n\r\nReceived: "));
}

static void
a_great_message_or_RET_HDRS_returns_the_header_only(void **state)
{
	(void)state;
	about.return_what = "HDRS";
	assert_true(says("Content-Type: text/rfc822-headers"));
	assert_false(says("Body."));
	assert_true(says("Subject: hello\r\n\r\n--ID1.abc--"));
	about.return_what = "";
	about.content_length = 60000;
	report_choose(&report, 50000);
	assert_true(report.is_headers_only);
	assert_int_equal(report.copy_length, strlen(original) - 9);
}

static void
a_warning_says_until_when(void **state)
{
	(void)state;
	about.kind = BOUNCE_DELAY;
	report.template = &templates[TEMPLATE_DELAY];
	row.dsn = "4.4.1";
	assert_true(says("more than 4 hour(s) old, and"));
	assert_true(says("is 5 day(s) old.\r\n"));
	assert_true(says("Subject: Delayed Mail (still being retried)\r\n"));
	assert_true(says("Action: delayed\r\n"));
	assert_true(says("Will-Retry-Until: "));
	assert_true(says("text/rfc822-headers"));
}

static void
successes_have_their_actions(void **state)
{
	(void)state;
	about.kind = BOUNCE_SUCCESS;
	report.template = &templates[TEMPLATE_SUCCESS];
	assert_true(says("Subject: Successful Mail Delivery Report\r\n"));
	assert_true(says("Action: delivered\r\n"));
	row.flags = OUTCOME_RELAYED;
	assert_true(says("Action: relayed\r\n"));
	row.flags = OUTCOME_EXPANDED;
	assert_true(says("Action: expanded\r\n"));
}

static void
nobody_smuggles_a_field(void **state)
{
	(void)state;
	row.text = row.diagnostic = "550 no\r\nAction: delivered\r\n\r\nx";
	row.remote = "dns; x\nStatus: 2.0.0";
	about.envelope_id = "e\r\nX-Evil: 1";
	assert_false(says("\nAction: delivered"));
	assert_false(says("\nStatus: 2.0.0"));
	assert_false(says("\nX-Evil"));
	assert_true(says("Original-Envelope-Id: e X-Evil: 1\r\n"));
}

static void
lines_are_of_a_sensible_length(void **state)
{
	static char	 long_text[4000];
	const char	*line, *end;

	(void)state;
	memset(long_text, 'x', sizeof(long_text) - 1);
	row.text = long_text;
	row.diagnostic = "";
	for (line = whole(); *line != '\0'; line = end + 2) {
		end = strstr(line, "\r\n");
		assert_non_null(end);
		assert_true(end - line < 998);
	}
}

static void
other_letters_are_declared(void **state)
{
	(void)state;
	assert_false(report_is_8bit(&report));
	row.text = "zur\xc3\xbc" "ck";
	assert_true(report_is_8bit(&report));
	assert_true(says("charset=utf-8\r\nContent-Transfer-Encoding: 8bit"));
	assert_true(says("zur\xc3\xbc" "ck"));
	row.diagnostic = row.text;
	assert_true(says("Diagnostic-Code: zur??ck"));
}

static void
the_copy_is_declared_by_what_is_in_it(void **state)
{
	(void)state;
	assert_false(says("8bit"));
	report.is_copy_8bit = true;
	assert_true(report_is_8bit(&report));
	assert_true(says("Content-Type: message/rfc822\r\n"
	    "Content-Transfer-Encoding: 8bit\r\n\r\nReceived: "));
}

static void
addresses_of_other_letters_are_escaped_for_old_programs(void **state)
{
	(void)state;
	row.address = "j\xc3\xbcrgen@far.test";
	row.orcpt = "utf-8;j\xc3\xbcrgen\\x@far.test";
	assert_false(report_is_utf8(&report));
	assert_true(says("Final-Recipient: utf-8; j\\x{FC}rgen@far.test\r\n"));
	assert_true(says("Original-Recipient: utf-8; "
	    "j\\x{FC}rgen\\x{5C}x@far.test\r\n"));
	assert_true(says("Content-Type: message/delivery-status\r\n"));
	assert_true(says("<j\xc3\xbcrgen@far.test>"));
}

static void
who_has_such_an_address_reads_them_as_they_are(void **state)
{
	(void)state;
	report.to = about.sender = "\xc3\xa4l@local.test";
	about.flags = MAIL_IS_UTF8;
	row.address = "j\xc3\xbcrgen@far.test";
	assert_true(report_is_utf8(&report));
	assert_true(says("To: \xc3\xa4l@local.test\r\n"));
	assert_true(says("report-type=global-delivery-status;"));
	assert_true(says("Content-Type: message/global-delivery-status\r\n"
	    "Content-Transfer-Encoding: 8bit\r\n"));
	assert_true(says("Final-Recipient: utf-8; j\xc3\xbcrgen@far.test\r\n"));
	assert_true(says("Content-Type: message/global\r\n"));
}

static void
a_header_of_other_letters_is_encoded_for_who_may_not_read_it(void **state)
{
	(void)state;
	report.is_copy_8bit = report.is_header_8bit = true;
	assert_false(report_encodes_copy(&report));
	about.flags = MAIL_IS_UTF8;
	assert_true(report_encodes_copy(&report));
	assert_false(report_is_8bit(&report));
	assert_true(says("Content-Type: message/global\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\n"));
	about.return_what = "HDRS";
	assert_true(says("Content-Type: message/global-headers\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\n"));
	report.to = about.sender = "\xc3\xa4l@local.test";
	assert_false(report_encodes_copy(&report));
	assert_true(says("Content-Type: message/global-headers\r\n"
	    "Content-Transfer-Encoding: 8bit\r\n\r\n"));
}

static void
what_ORCPT_said_comes_back(void **state)
{
	(void)state;
	row.orcpt = "x400;/c=de/";
	assert_true(says("Original-Recipient: x400;/c=de/\r\n"));
	row.orcpt = row.original = "";
	assert_false(says("Original-Recipient"));
}

static void
a_postmaster_gets_the_headers_and_a_subject_of_his_own(void **state)
{
	(void)state;
	report.audience = FOR_COPY;
	report.to = "postmaster@local.test";
	assert_true(says("Subject: Postmaster Copy: Undelivered Mail\r\n"));
	assert_true(says("To: postmaster@local.test\r\n"));
	assert_true(says("Auto-Submitted: auto-generated\r\n"));
	assert_true(says("text/rfc822-headers"));
	assert_true(says("X-Postrider-Sender: rfc822; al@local.test\r\n"));
	report.audience = FOR_POSTMASTER;
	assert_true(says("Content-Type: message/rfc822"));
}

static void
threads_can_be_switched_off(void **state)
{
	const char	*all;

	(void)state;
	report.is_threaded = false;
	assert_false(says("In-Reply-To"));
	all = whole();		/* the original has its own, further below */
	assert_true(strstr(all, "References") > strstr(all,
	    "message/rfc822"));
}

static void
a_template_says_it_in_its_own_letters(void **state)
{
	struct template	t = { .charset = "iso-8859-1",
			    .from = "Postamt <MAILER-DAEMON>",
			    .subject = "Zur=?iso-8859-1?Q?=FC?=ck",
			    .text = "Zur\xfc" "ck.\n\nEnde.\n" };

	(void)state;
	report.template = &t;
	row.text = "\xc3\xbc";
	assert_true(says("From: Postamt <MAILER-DAEMON@mail.local.test>\r\n"));
	assert_true(says("Subject: Zur=?iso-8859-1?Q?=FC?=ck\r\n"));
	assert_true(says("charset=iso-8859-1\r\n"
	    "Content-Transfer-Encoding: 8bit\r\n\r\n"
	    "Zur\xfc" "ck.\r\n\r\nEnde.\r\n\r\n<bob@far.test>"));
	assert_true(says("local.test>): ??\r\n"));
	t.from = "postmaster@x.test (P)";
	assert_true(says("From: postmaster@x.test (P)\r\n"));
}

static void
a_message_without_a_header_is_no_trouble(void **state)
{
	(void)state;
	report_learn(&report, pool, "no header at all", 16);
	assert_null(report.message_id);
	assert_false(says("In-Reply-To"));
	report_learn(&report, pool, "", 0);
	assert_int_equal(report.header_length, 0);
	report_learn(&report, pool, "Subject: cut", 12);
	assert_true(report.header_length <= 12);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
#define TEST(f)	cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		TEST(it_tells_people_and_programs),
		TEST(a_field_without_words_is_none),
		TEST(a_damaged_message_is_told_of),
		TEST(it_has_three_parts_and_an_end),
		TEST(a_great_message_or_RET_HDRS_returns_the_header_only),
		TEST(a_warning_says_until_when),
		TEST(successes_have_their_actions),
		TEST(nobody_smuggles_a_field),
		TEST(lines_are_of_a_sensible_length),
		TEST(other_letters_are_declared),
		TEST(a_message_without_a_header_is_no_trouble),
		TEST(the_copy_is_declared_by_what_is_in_it),
		TEST(addresses_of_other_letters_are_escaped_for_old_programs),
		TEST(who_has_such_an_address_reads_them_as_they_are),
		TEST(a_header_of_other_letters_is_encoded_for_who_may_not_read_it),
		TEST(what_ORCPT_said_comes_back),
		TEST(a_postmaster_gets_the_headers_and_a_subject_of_his_own),
		TEST(threads_can_be_switched_off),
		TEST(a_template_says_it_in_its_own_letters),
	};

	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
