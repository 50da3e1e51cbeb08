/*
 * postfix.c - claims about messages in Postfix's queue.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/mail/dsn.h"
#include "common/queue/postfix.h"

static struct pool		*pool;
static struct str		 file;
static struct postfix_file	 f;

static int
setup(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	str_init(&file, pool, 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

/* One more record. */
static void
add(char type, const char *data)
{
	size_t	len = strlen(data), rest = len;

	str_add_char(&file, type);
	for (; rest > 127; rest >>= 7)
		str_add_char(&file, (char)((rest & 127) | 128));
	str_add_char(&file, (char)rest);
	str_add_mem(&file, data, len);
}

/* What stands in front of the recipients. */
static void
begin(void)
{
	add('C', "    10    20     1     0    10     0");
	add('T', "1795331941 2253");
	add('A', "create_time=1795331941");
	add('S', "al@one.test");
}

/* Content, and the end. */
static void
finish(void)
{
	add('M', "");
	add('N', "Subject: x");
	add('N', "");
	add('X', "");
	add('E', "");
}

/* Parse a copy of the exact size, so that a read behind it is seen. */
static const char *
parse(void)
{
	char		*copy = malloc(file.len + 1);
	const char	*why;

	memcpy(copy, file.data, file.len);
	copy = realloc(copy, file.len > 0 ? file.len : 1);
	why = postfix_parse(&f, pool, copy, file.len);
	free(copy);
	return why;
}

static void
a_message_is_taken_apart(void **state)
{
	(void)state;
	begin();
	add('A', "client_name=mx.test");
	add('A', "client_address=192.0.2.1");
	add('A', "client_port=99");
	add('A', "helo_name=he.test");
	add('A', "sasl_username=al");
	add('R', "b@far.test");
	finish();
	assert_null(parse());
	assert_string_equal(f.mail.sender, "al@one.test");
	assert_int_equal(f.mail.arrival_us, INT64_C(1795331941002253));
	assert_string_equal(f.mail.client_name, "mx.test");
	assert_string_equal(f.mail.client_address, "192.0.2.1");
	assert_int_equal(f.mail.client_port, 99);
	assert_string_equal(f.mail.helo, "he.test");
	assert_string_equal(f.mail.login, "al");
	assert_string_equal(f.mail.origin, "smtpd");
	assert_int_equal(f.count, 1);
	assert_string_equal(f.recipients[0].address, "b@far.test");
	assert_string_equal(f.content.data, "Subject: x\r\n\r\n");
}

static void
who_has_got_it_is_left_out_with_his_options(void **state)
{
	(void)state;
	begin();
	add('A', "notify_flags=2");
	add('A', "dsn_orig_rcpt=rfc822;x@y.test");
	add('O', "x@y.test");
	add('D', "b@far.test");
	add('R', "c@far.test");
	add('/', "e@far.test");
	add('A', "notify_flags=9");
	add('O', "orig@far.test");
	add('R', "d@far.test");
	finish();
	assert_null(parse());
	assert_int_equal(f.done, 2);
	assert_int_equal(f.count, 2);
	assert_int_equal(f.recipients[0].notify, 0);
	assert_string_equal(f.recipients[0].orcpt, "");
	assert_string_equal(f.recipients[0].original, "");
	assert_int_equal(f.recipients[1].notify, NOTIFY_NEVER | NOTIFY_DELAY);
	assert_string_equal(f.recipients[1].original, "orig@far.test");
}

static void
addresses_get_their_quotes(void **state)
{
	(void)state;
	begin();
	add('R', "a b@far.test");
	add('R', "postmaster");
	finish();
	assert_null(parse());
	assert_string_equal(f.recipients[0].address, "\"a b\"@far.test");
	assert_string_equal(f.recipients[1].address, "postmaster");
}

static void
what_follows_the_content_belongs_to_the_envelope(void **state)
{
	(void)state;
	begin();
	add('M', "");
	add('L', "one ");
	add('L', "line");
	add('N', "");
	add('X', "");
	add('L', "smtp:[127.0.0.1]:9");
	add('A', "encoding=8bit");
	add('V', "+=");
	add('W', "             -1");
	add('R', "b@far.test");
	add('E', "");
	assert_null(parse());
	assert_string_equal(f.content.data, "one line\r\n");
	assert_string_equal(f.mail.filter, "smtp:[127.0.0.1]:9");
	assert_string_equal(f.mail.verp, "+=");
	assert_true(f.mail.flags & MAIL_IS_8BIT);
	assert_true(f.was_warned);
	assert_int_equal(f.count, 1);
}

static void
a_redirection_replaces_who_waits(void **state)
{
	(void)state;
	begin();
	add('R', "b@far.test");
	add('R', "c@far.test");
	add('>', "r@redirect.test");
	finish();
	assert_null(parse());
	assert_int_equal(f.count, 1);
	assert_string_equal(f.recipients[0].address, "r@redirect.test");
	assert_string_equal(f.recipients[0].original, "b@far.test");
}

static void
pointers_are_followed(void **state)
{
	char	place[32];
	size_t	at;

	(void)state;
	begin();
	add('R', "b@far.test");
	add('M', "");
	add('N', "first");
	add('p', "              0");
	at = file.len;
	add('p', "              0");		/* to the piece at the end */
	add('N', "replaced");
	add('N', "last");
	add('X', "");
	add('E', "");
	snprintf(place, sizeof(place), "%15zu", file.len);
	memcpy(file.data + at + 2, place, 15);
	snprintf(place, sizeof(place), "%15zu", at + 17 + 10);
	add('N', "instead");
	add('p', place);
	assert_null(parse());
	assert_string_equal(f.content.data, "first\r\ninstead\r\nlast\r\n");
}

static void
a_circle_of_pointers_is_refused(void **state)
{
	char	place[32];

	(void)state;
	begin();
	add('R', "b@far.test");
	add('M', "");
	snprintf(place, sizeof(place), "%15zu", file.len);
	add('N', "again and again");
	add('p', place);
	finish();
	assert_string_equal(parse(), "its pointers lead in a circle");
}

static void
a_pointer_to_itself_is_refused(void **state)
{
	char	place[32];

	(void)state;
	begin();
	snprintf(place, sizeof(place), "%15zu", file.len);
	add('p', place);
	assert_string_equal(parse(), "its pointers lead in a circle");
}

static void
a_pointer_beyond_the_end_or_to_nowhere_is_refused(void **state)
{
	static const char *const	bad[] = { "999999", "-5", "x", "",
					    "99999999999999999999" };
	size_t				i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		str_clear(&file);
		begin();
		add('p', bad[i]);
		add('R', "b@far.test");
		finish();
		assert_non_null(parse());
	}
}

static void
every_shorter_file_is_refused(void **state)
{
	size_t	whole;

	(void)state;
	begin();
	add('R', "b@far.test");
	finish();
	assert_null(parse());
	for (whole = file.len - 1; whole > 0; whole--) {
		str_cut(&file, whole);
		assert_non_null(parse());
	}
	str_cut(&file, 0);
	assert_non_null(parse());
}

static void
huge_lengths_are_refused(void **state)
{
	(void)state;
	begin();
	str_add_mem(&file, "N\xff\xff\xff\xff\x7f", 6);
	assert_string_equal(parse(), "a record is too long");
	str_clear(&file);
	begin();
	str_add_mem(&file, "A\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11);
	assert_string_equal(parse(), "a record is too long");
	str_clear(&file);
	begin();
	str_add_mem(&file, "A\xff\x01x", 4);
	assert_string_equal(parse(), "a record reaches beyond the end");
}

static void
sender_time_and_recipients_must_be_there(void **state)
{
	(void)state;
	add('T', "1795331941");
	add('R', "b@far.test");
	finish();
	assert_string_equal(parse(), "it has no sender");
	str_clear(&file);
	add('S', "");
	add('R', "b@far.test");
	finish();
	assert_string_equal(parse(), "it does not say when it came");
	str_clear(&file);
	begin();
	finish();
	assert_string_equal(parse(), "it has no recipients");
}

static void
what_is_not_known_refuses_the_file(void **state)
{
	(void)state;
	begin();
	add('%', "x");
	add('R', "b@far.test");
	finish();
	assert_string_equal(parse(), "it has a record of unknown type 37");
	str_clear(&file);
	begin();
	add('R', "b@far.test");
	add('M', "");
	add('R', "c@far.test");
	assert_non_null(parse());
	str_clear(&file);
	begin();
	add('E', "");
	assert_non_null(parse());
}

static void
bad_values_refuse_the_file(void **state)
{
	static const struct { char type; const char *data; } bad[] = {
		{ 'A', "noequals" }, { 'A', "notify_flags=99" },
		{ 'A', "ret_flags=7" }, { 'A', "trace_flags=1" },
		{ 'A', "helo_name=a\rb" }, { 'T', "x" }, { 'T', "1 9999999" },
		{ 'V', "+" }, { 'V', "+=-" }, { 'W', "soon" }, { 'R', "" },
		{ 'R', "a\nb@c.test" }, { 'R', "a@b@" }, { 'S', "a\x7f@b" },
		{ 'F', "a\nb" }, { 'L', "a\tb\x01" },
	};
	size_t	i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		str_clear(&file);
		begin();
		add('R', "b@far.test");
		add(bad[i].type, bad[i].data);
		finish();
		if (parse() == NULL)
			fail_msg("%c %s was taken", bad[i].type, bad[i].data);
	}
}

static void
a_line_feed_in_a_line_becomes_a_line_end(void **state)
{
	(void)state;
	begin();
	add('R', "b@far.test");
	add('M', "");
	add('N', "a\n.\nb");
	add('N', "c\r");
	add('X', "");
	add('E', "");
	assert_null(parse());
	assert_string_equal(f.content.data, "a\r\n.\r\nb\r\nc\r\r\n");
}

int
main(void)
{
#define CLAIM_TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	static const struct CMUnitTest	tests[] = {
		CLAIM_TEST(a_message_is_taken_apart),
		CLAIM_TEST(who_has_got_it_is_left_out_with_his_options),
		CLAIM_TEST(addresses_get_their_quotes),
		CLAIM_TEST(what_follows_the_content_belongs_to_the_envelope),
		CLAIM_TEST(a_redirection_replaces_who_waits),
		CLAIM_TEST(pointers_are_followed),
		CLAIM_TEST(a_circle_of_pointers_is_refused),
		CLAIM_TEST(a_pointer_to_itself_is_refused),
		CLAIM_TEST(a_pointer_beyond_the_end_or_to_nowhere_is_refused),
		CLAIM_TEST(every_shorter_file_is_refused),
		CLAIM_TEST(huge_lengths_are_refused),
		CLAIM_TEST(sender_time_and_recipients_must_be_there),
		CLAIM_TEST(what_is_not_known_refuses_the_file),
		CLAIM_TEST(bad_values_refuse_the_file),
		CLAIM_TEST(a_line_feed_in_a_line_becomes_a_line_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
