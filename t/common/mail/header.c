/*
 * header.c - a header block is read the same however it is cut.
 *
 * Each test writes down what the reader said: "F name=value;" for a field,
 * "F name=value~rest" for one that is cut, "E+" or "E-" for the end with and
 * without an empty line, and the body's bytes.
 */
#include "common/mail/header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct pool	*pool;
static struct str	 story, raw, body;
static bool		 is_cut;

static int
fill(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	str_init(&story, pool, 0);
	str_init(&raw, pool, 0);
	str_init(&body, pool, 0);
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
on_field(void *context, const struct header_field *f)
{
	assert_ptr_equal(context, &story);
	str_add(&story, "F ");
	str_add_mem(&story, f->name, f->name_len);
	str_add(&story, "=");
	str_add_mem(&story, f->value, f->value_len);
	str_add(&story, f->is_cut ? "~" : ";");
	str_add_mem(&raw, f->raw, f->raw_len);
	is_cut = f->is_cut;
	assert_ptr_equal(f->value + f->value_len + (is_cut ? 0 : 2),
	    f->raw + f->raw_len);
}

static void
on_more(void *context, const char *data, size_t len)
{
	(void)context;
	assert_true(is_cut && len > 0);
	str_add_mem(&story, data, len);
	str_add_mem(&raw, data, len);
}

static void
on_end(void *context, bool had_empty_line)
{
	(void)context;
	str_add(&story, had_empty_line ? "E+" : "E-");
	if (had_empty_line)
		str_add(&raw, "\r\n");
}

static void
on_body(void *context, const char *data, size_t len)
{
	(void)context;
	str_add_mem(&body, data, len);
}

static const struct header_events events = {
	on_field, on_more, on_end, on_body
};

/* Read `len` bytes in two pieces. */
static void
read_cut(const char *text, size_t len, size_t cut, size_t limit)
{
	struct header_reader	*r;

	str_clear(&story);
	str_clear(&raw);
	str_clear(&body);
	r = header_reader_new(pool, limit, &events, &story);
	header_reader_feed(r, text, cut);
	header_reader_feed(r, text + cut, len - cut);
	header_reader_finish(r);
}

/* Read it a byte at a time. */
static void
read_bytes(const char *text, size_t len, size_t limit)
{
	struct header_reader	*r;
	size_t			 i;

	str_clear(&story);
	str_clear(&raw);
	str_clear(&body);
	r = header_reader_new(pool, limit, &events, &story);
	for (i = 0; i < len; i++)
		header_reader_feed(r, text + i, 1);
	header_reader_finish(r);
}

/* Read with every cut, and find the same each time. */
static void
expect_of(const char *text, size_t len, size_t limit, const char *what,
    const char *rest)
{
	size_t	cut;

	for (cut = 0; cut <= len; cut++) {
		read_cut(text, len, cut, limit);
		assert_string_equal(story.data, what);
		assert_string_equal(body.data, rest);
	}
	read_bytes(text, len, limit);
	assert_string_equal(story.data, what);
	assert_string_equal(body.data, rest);
}

#define EXPECT(text, what, rest) \
	expect_of(text, sizeof(text) - 1, 1000, what, rest)
/* With a limit of 8 bytes: "A: 123" and CRLF. */
#define EXPECT_CUT(text, what, rest) \
	expect_of(text, sizeof(text) - 1, 8, what, rest)

static void
fields_come_one_by_one_and_then_the_body(void **state)
{
	(void)state;
	EXPECT("From: a@b\r\nSubject:x\r\n\r\nbody\r\n\r\nmore",
	    "F From= a@b;F Subject=x;E+", "body\r\n\r\nmore");
	EXPECT("A:\r\nB : x\r\nC\t:y\r\n\r\n", "F A=;F B= x;F C=y;E+", "");
	EXPECT("\r\nbody", "E+", "body");
	EXPECT("", "E-", "");
}

static void
folding_is_kept(void **state)
{
	(void)state;
	EXPECT("A: 1\r\n 2\r\n\t3\r\nB: 4\r\n\r\n",
	    "F A= 1\r\n 2\r\n\t3;F B= 4;E+", "");
	EXPECT("X:\r\n \r\nFrom: b\r\n\r\n", "F X=\r\n ;F From= b;E+", "");
}

static void
a_line_that_is_no_field_begins_the_body(void **state)
{
	(void)state;
	EXPECT("A: 1\r\nno field\r\nB: 2\r\n", "F A= 1;E-",
	    "no field\r\nB: 2\r\n");
	EXPECT("From x Mon Jan  1 00:00:00 2026\r\nA: 1\r\n", "E-",
	    "From x Mon Jan  1 00:00:00 2026\r\nA: 1\r\n");
	EXPECT(" A: 1\r\n", "E-", " A: 1\r\n");
	EXPECT(": 1\r\n", "E-", ": 1\r\n");
	EXPECT("\xc3\xa9: 1\r\n", "E-", "\xc3\xa9: 1\r\n");
	EXPECT("A B: 1\r\n", "E-", "A B: 1\r\n");
	EXPECT("A\x01: 1\r\n", "E-", "A\x01: 1\r\n");
}

static void
a_bare_cr_or_lf_ends_no_line(void **state)
{
	(void)state;
	EXPECT("A: a\rFrom: b\r\nB: 1\nBcc: c\r\n\r\n",
	    "F A= a\rFrom: b;F B= 1\nBcc: c;E+", "");
	EXPECT("A: 1\r\n\n\r\nB: 2\r\n", "F A= 1;E-", "\n\r\nB: 2\r\n");
	EXPECT("A: 1\r\r\n\r\n", "F A= 1\r;E+", "");
}

static void
a_message_may_end_in_its_header(void **state)
{
	(void)state;
	EXPECT("A: 1\r\n", "F A= 1;E-", "");
	EXPECT("A: 1", "F A= 1;E-", "");
	EXPECT("A: 1\r", "F A= 1;E-", "");
	EXPECT("A: 1\r\n\r", "F A= 1;E+", "");
	EXPECT("A: 1\r\n x", "F A= 1\r\n x;E-", "");
	EXPECT("x", "E-", "x\r\n");
}

static void
the_block_may_have_any_length(void **state)
{
	(void)state;
	EXPECT_CUT("A: 1\r\nB: 2\r\nC: 3\r\nD:\r\n 4\r\nE: 5\r\n\r\nx",
	    "F A= 1;F B= 2;F C= 3;F D=\r\n 4;F E= 5;E+", "x");
}

static void
a_field_that_fits_is_whole(void **state)
{
	(void)state;
	EXPECT_CUT("A: 123\r\nB: 456\r\n\r\nx", "F A= 123;F B= 456;E+", "x");
	EXPECT_CUT("A:1\r\n 2\r\nB: 3\r\n", "F A=1\r\n 2\r~\nF B= 3;E-", "");
	EXPECT_CUT("A: 123\r\nno field\r\n", "F A= 123;E-", "no field\r\n");
	EXPECT_CUT("A: 123\r\n", "F A= 123;E-", "");
	/* what is missing at the end counts not */
	EXPECT_CUT("A: 123", "F A= 123;E-", "");
	EXPECT_CUT("A: 12345", "F A= 12345;E-", "");
}

static void
a_longer_field_is_cut_and_its_rest_follows(void **state)
{
	(void)state;
	EXPECT_CUT("A: 123456\r\nB: 2\r\n\r\nx",
	    "F A= 12345~6\r\nF B= 2;E+", "x");
	EXPECT_CUT("A: 1234\r\nB: 2\r\n", "F A= 1234\r~\nF B= 2;E-", "");
	EXPECT_CUT("A: 12345\r\nB: 2\r\n", "F A= 12345~\r\nF B= 2;E-", "");
	EXPECT_CUT("A: 123456\r\nB: 123456\r\n",
	    "F A= 12345~6\r\nF B= 12345~6\r\nE-", "");
	EXPECT_CUT("Subject:12\r\n\r\n", "F Subject=~12\r\nE+", "");
}

static void
continuations_are_of_the_rest(void **state)
{
	(void)state;
	EXPECT_CUT("A: 123\r\n 4\r\n\t5\r\nB: 6\r\n\r\n",
	    "F A= 123\r\n~ 4\r\n\t5\r\nF B= 6;E+", "");
	EXPECT_CUT("A: 1\r\n 2\r\n \r\nB: 3\r\n",
	    "F A= 1\r\n 2~\r\n \r\nF B= 3;E-", "");
	EXPECT_CUT("A: 123456\r\n B: 7\r\n\tC: 8\r\nD: 9\r\n",
	    "F A= 12345~6\r\n B: 7\r\n\tC: 8\r\nF D= 9;E-", "");
}

static void
the_rest_ends_with_its_line(void **state)
{
	(void)state;
	/* a bare CR or LF ends none */
	EXPECT_CUT("A: 123456\rB: 7\nC: 8\r\r\nD: 9\r\n\r\n",
	    "F A= 12345~6\rB: 7\nC: 8\r\r\nF D= 9;E+", "");
	EXPECT_CUT("A: 1234\rB: 5\r\nC: 6\r\n",
	    "F A= 1234\r~B: 5\r\nF C= 6;E-", "");
	EXPECT_CUT("A: 123456\r\n\nB: 7\r\n", "F A= 12345~6\r\nE-",
	    "\nB: 7\r\n");
	EXPECT_CUT("A: 123456\r\n\r\n B: 7\r\n", "F A= 12345~6\r\nE+",
	    " B: 7\r\n");
	EXPECT_CUT("A: 123456\r\nno field\r\nB: 7\r\n", "F A= 12345~6\r\nE-",
	    "no field\r\nB: 7\r\n");
}

static void
a_message_may_end_in_the_rest(void **state)
{
	(void)state;
	EXPECT_CUT("A: 123456", "F A= 12345~6\r\nE-", "");
	EXPECT_CUT("A: 123456\r", "F A= 12345~6\r\nE-", "");
	EXPECT_CUT("A: 123456\r\n", "F A= 12345~6\r\nE-", "");
	EXPECT_CUT("A: 123456\r\n ", "F A= 12345~6\r\n \r\nE-", "");
	EXPECT_CUT("A: 123456\r\n\r", "F A= 12345~6\r\nE+", "");
	EXPECT_CUT("A: 123456\r\nB: 7", "F A= 12345~6\r\nF B= 7;E-", "");
	EXPECT_CUT("A: 1234\r\n", "F A= 1234\r~\nE-", "");
	EXPECT_CUT("A: 1234\r", "F A= 1234;E-", "");
}

static void
a_long_line_without_a_name_ends_the_header(void **state)
{
	(void)state;
	EXPECT_CUT("A: 1\r\nno field is this\r\nB: 2\r\n", "F A= 1;E-",
	    "no field is this\r\nB: 2\r\n");
	/* the name does not fit */
	EXPECT_CUT("Subject : x\r\nB: 2\r\n", "E-", "Subject : x\r\nB: 2\r\n");
	EXPECT_CUT("A: 123456\r\nMessage-ID: x\r\n", "F A= 12345~6\r\nE-",
	    "Message-ID: x\r\n");
	EXPECT_CUT(" A: 123456\r\n", "E-", " A: 123456\r\n");
}

static void
a_line_without_end_is_passed_on(void **state)
{
	static char	text[3000];

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, "X: 1\r\nLong: ", 12);
	read_cut(text, sizeof(text), 100, 1000);
	assert_int_equal(raw.len, sizeof(text) + 2);
	assert_memory_equal(raw.data, text, sizeof(text));
	assert_int_equal(body.len, 0);
}

/* P1 */
static void
memory_is_bounded_by_the_limit(void **state)
{
	static const struct header_events	none;
	struct pool				*own = pool_new("bounded", 0);
	struct header_reader			*r;
	size_t					 i, before;

	(void)state;
	r = header_reader_new(own, 1000, &none, NULL);
	for (i = 0; i < 100; i++)
		header_reader_feed(r, "A: 1234567890\r\n 1234567890\r\n", 28);
	before = pool_size(own);
	header_reader_feed(r, "B: 1234567890\r\n", 15);
	for (i = 0; i < 100000; i++)
		header_reader_feed(r, "\t1234567890\r\n", 13);
	header_reader_finish(r);
	assert_true(pool_size(own) <= before + 4096);
	pool_free(own);
}

static void
another_block_begins_anew(void **state)
{
	struct header_reader	*r = header_reader_new(pool, 8, &events,
				    &story);

	(void)state;
	header_reader_feed(r, "A: 123456", 9);
	header_reader_again(r);
	assert_false(header_reader_is_over(r));
	header_reader_feed(r, "B: 1\r\n\r\n", 8);
	assert_true(header_reader_is_over(r));
	assert_string_equal(story.data, "F A= 12345~6F B= 1;E+");
}

/* P2 */
static void
nothing_is_lost_and_raw_is_whole(void **state)
{
	static const char	text[] = "A : 1\r\n 2\r\nB:\r\n\t\r\nC: \0x\r\n"
				    "D: 1234567890\r\n\t12345\r\rE: x\ny\r\n"
				    "F: 1\r\n not\0 a field\r\n\r\n body\r\n";
	size_t			cut, limit;
	char			*first;

	(void)state;
	for (limit = 2; limit < sizeof(text); limit++) {
		read_bytes(text, sizeof(text) - 1, limit);
		first = pool_strdup(pool, story.data);
		for (cut = 0; cut < sizeof(text); cut++) {
			read_cut(text, sizeof(text) - 1, cut, limit);
			assert_string_equal(story.data, first);
			str_add_mem(&raw, body.data, body.len);
			assert_int_equal(raw.len, sizeof(text) - 1);
			assert_memory_equal(raw.data, text, raw.len);
		}
	}
}

static void
names_are_compared_whole_and_without_case(void **state)
{
	struct header_field	f = { .name = "Subject:", .name_len = 7 };

	(void)state;
	assert_true(header_is(&f, "SUBJECT"));
	assert_false(header_is(&f, "Subject:"));
	assert_false(header_is(&f, "Sub"));
}

static void
an_unfolded_value_is_one_clean_line(void **state)
{
	static const char	value[] = " a\r\n b\r\n\tc\rd\ne\0f\x01g \r\n ";

	(void)state;
	assert_string_equal(header_unfold(pool, value, sizeof(value) - 1),
	    "a b\tc d e f g");
	assert_string_equal(header_unfold(pool, "", 0), "");
	assert_string_equal(header_unfold(pool, " \r\n ", 4), "");
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, fill, drain)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(fields_come_one_by_one_and_then_the_body),
		TEST(folding_is_kept),
		TEST(a_line_that_is_no_field_begins_the_body),
		TEST(a_bare_cr_or_lf_ends_no_line),
		TEST(a_message_may_end_in_its_header),
		TEST(the_block_may_have_any_length),
		TEST(a_field_that_fits_is_whole),
		TEST(a_longer_field_is_cut_and_its_rest_follows),
		TEST(continuations_are_of_the_rest),
		TEST(the_rest_ends_with_its_line),
		TEST(a_message_may_end_in_the_rest),
		TEST(a_long_line_without_a_name_ends_the_header),
		TEST(a_line_without_end_is_passed_on),
		TEST(memory_is_bounded_by_the_limit),
		TEST(another_block_begins_anew),
		TEST(nothing_is_lost_and_raw_is_whole),
		TEST(names_are_compared_whole_and_without_case),
		TEST(an_unfolded_value_is_one_clean_line),
	};

	return cmocka_run_group_tests_name("header", tests, NULL, NULL);
}
