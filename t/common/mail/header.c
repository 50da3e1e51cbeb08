/*
 * header.c - a header block is read the same however it is cut.
 *
 * Each test writes down what the reader said: "F name=value;" for a field,
 * "E+" or "E-" for the end with and without an empty line, "!" for too much,
 * and the body's bytes.
 */
#include "common/mail/header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct pool	*pool;
static struct str	 story, raw, body;

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
	str_add(&story, ";");
	str_add_mem(&raw, f->raw, f->raw_len);
}

static void
on_end(void *context, bool had_empty_line)
{
	(void)context;
	str_add(&story, had_empty_line ? "E+" : "E-");
}

static void
on_body(void *context, const char *data, size_t len)
{
	(void)context;
	str_add_mem(&body, data, len);
}

static void
on_too_long(void *context)
{
	(void)context;
	str_add(&story, "!");
}

static const struct header_events events = {
	on_field, on_end, on_body, on_too_long
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
}

#define EXPECT(text, what, rest) \
	expect_of(text, sizeof(text) - 1, 1000, what, rest)

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
what_passes_the_limit_is_body(void **state)
{
	static const char	text[] = "A: 1\r\nB: 2\r\nC: 3\r\n\r\nx";

	(void)state;
	expect_of(text, sizeof(text) - 1, 20, "F A= 1;F B= 2;F C= 3;E+", "x");
	expect_of(text, sizeof(text) - 1, 19, "F A= 1;F B= 2;F C= 3;!E-",
	    "\r\nx");
}

static void
a_line_without_end_is_cut_at_the_limit(void **state)
{
	static char	text[3000];

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, "X: 1\r\nLong: ", 12);
	read_cut(text, sizeof(text), 100, 1000);
	assert_string_equal(story.data, "F X= 1;!E-");
	assert_int_equal(body.len, sizeof(text) - 6);
	assert_memory_equal(body.data, text + 6, body.len);
}

static void
nothing_is_lost_and_raw_is_whole(void **state)
{
	static const char	text[] = "A : 1\r\n 2\r\nB:\r\n\t\r\nC: \0x\r\n"
				    "not\0 a field\r\nbody";
	size_t			cut;

	(void)state;
	for (cut = 0; cut < sizeof(text); cut++) {
		read_cut(text, sizeof(text) - 1, cut, 1000);
		str_add_mem(&raw, body.data, body.len);
		assert_int_equal(raw.len, sizeof(text) - 1);
		assert_memory_equal(raw.data, text, raw.len);
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
		TEST(what_passes_the_limit_is_body),
		TEST(a_line_without_end_is_cut_at_the_limit),
		TEST(nothing_is_lost_and_raw_is_whole),
		TEST(names_are_compared_whole_and_without_case),
		TEST(an_unfolded_value_is_one_clean_line),
	};

	return cmocka_run_group_tests_name("header", tests, NULL, NULL);
}
