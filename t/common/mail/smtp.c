/*
 * smtp.c - commands, parameters and replies are read to the letter.
 */
#include "common/mail/smtp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct pool	*pool;

static int
fill(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
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
assert_split(const char *text, const char *verb, const char *args)
{
	char	*line = pool_strdup(pool, text), *v, *a;

	smtp_split_command(line, &v, &a);
	assert_string_equal(v, verb);
	assert_string_equal(a, args);
}

static void
a_command_is_a_verb_and_the_rest(void **state)
{
	(void)state;
	assert_split("MAIL FROM:<a@b> SIZE=1", "MAIL", "FROM:<a@b> SIZE=1");
	assert_split("QUIT", "QUIT", "");
	assert_split("QUIT \t ", "QUIT", "");
	assert_split("ehlo\t x ", "ehlo", "x");
	assert_split("", "", "");
	assert_split("   ", "", "");
	assert_split(" NOOP", "", "NOOP");
}

static void
parameters_come_in_order_with_their_values(void **state)
{
	struct smtp_parameter	*p;
	size_t			 n;

	(void)state;
	assert_null(smtp_parse_parameters(pool,
	    " SIZE=100  body=8BITMIME SMTPUTF8 AUTH=<> X-1=\xc3\xa9 ", &p,
	    &n));
	assert_int_equal(n, 5);
	assert_string_equal(p[0].keyword, "SIZE");
	assert_string_equal(p[0].value, "100");
	assert_string_equal(p[1].keyword, "body");
	assert_string_equal(p[1].value, "8BITMIME");
	assert_string_equal(p[2].keyword, "SMTPUTF8");
	assert_null(p[2].value);
	assert_string_equal(p[3].value, "<>");
	assert_string_equal(p[4].value, "\xc3\xa9");
	assert_null(smtp_parse_parameters(pool, "", &p, &n));
	assert_int_equal(n, 0);
}

static void
parameters_that_break_the_grammar_are_refused(void **state)
{
	static const char *const	bad[] = {
		"SIZE=1",		/* no space behind the path */
		" =", " =x", " SIZE=", " SIZE=1=2", " -X=1", " BODY=8BIT\tMIME",
		" A_B=1", " SIZE=1 size=2", " A=\x01", " A=\x7f", " A\x80=1",
		" A=\xff", " A=b\tC=d", "\tA=b", " ;", " A=1\rB"
	};
	struct smtp_parameter		*p;
	size_t				 i, n;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (smtp_parse_parameters(pool, bad[i], &p, &n) == NULL)
			fail_msg("accepted: \"%s\"", bad[i]);
}

static void
xverp_alone_may_have_an_equals_sign_in_its_value(void **state)
{
	struct smtp_parameter	*p;
	size_t			 n;

	(void)state;
	assert_null(smtp_parse_parameters(pool, " XVERP=+= SIZE=1", &p, &n));
	assert_int_equal(n, 2);
	assert_string_equal(p[0].value, "+=");
	assert_null(smtp_parse_parameters(pool, " xverp", &p, &n));
	assert_null(p[0].value);
	assert_non_null(smtp_parse_parameters(pool, " SIZE=+=", &p, &n));
}

static void
five_hundred_parameters_are_too_many(void **state)
{
	struct smtp_parameter	*p;
	struct str		 many;
	size_t			 n;
	int			 i;

	(void)state;
	str_init(&many, pool, 0);
	for (i = 0; i < 500; i++)
		str_addf(&many, " P%d=B", i);
	assert_non_null(smtp_parse_parameters(pool, many.data, &p, &n));
}

static void
a_reply_of_several_lines_is_complete_at_its_last(void **state)
{
	struct smtp_reply	r;

	(void)state;
	smtp_reply_start(&r, pool, 1000);
	assert_null(smtp_reply_add(&r, "250-2.1.5 Ok"));
	assert_false(r.is_complete);
	assert_null(smtp_reply_add(&r, "250-"));
	assert_null(smtp_reply_add(&r, "250 more"));
	assert_true(r.is_complete);
	assert_int_equal(r.code, 250);
	assert_string_equal(r.text.data, "2.1.5 Ok\n\nmore");
	assert_string_equal(r.dsn, "2.1.5");
	assert_non_null(smtp_reply_add(&r, "250 again"));
}

static void
a_bare_code_ends_a_reply(void **state)
{
	struct smtp_reply	r;

	(void)state;
	smtp_reply_start(&r, pool, 1000);
	assert_null(smtp_reply_add(&r, "250-mx"));
	assert_null(smtp_reply_add(&r, "250"));
	assert_true(r.is_complete);
	smtp_reply_start(&r, pool, 1000);
	assert_null(smtp_reply_add(&r, "354"));
	assert_true(r.is_complete);
	assert_int_equal(r.code, 354);
	assert_string_equal(r.text.data, "");
	assert_string_equal(r.dsn, "");
}

static void
the_last_code_counts_when_lines_disagree(void **state)
{
	struct smtp_reply	r;

	(void)state;
	smtp_reply_start(&r, pool, 1000);
	assert_null(smtp_reply_add(&r, "250-2.0.0 fine"));
	assert_null(smtp_reply_add(&r, "550 5.1.1 no"));
	assert_true(r.is_complete);
	assert_int_equal(r.code, 550);
	assert_string_equal(r.dsn, "5.1.1");
}

static void
an_enhanced_code_of_another_class_is_none(void **state)
{
	struct smtp_reply	r;

	(void)state;
	smtp_reply_start(&r, pool, 1000);
	assert_null(smtp_reply_add(&r, "450 5.7.1 no"));
	assert_string_equal(r.dsn, "");
}

static void
what_is_no_reply_is_refused(void **state)
{
	static const char *const	bad[] = {
		"", "2", "25", "abc", "650 hi", "199 x", "2x0 x", "25a",
		"250:x", "250\tx", "2500 x", " 250 x", "-250 x"
	};
	struct smtp_reply		r;
	size_t				i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		smtp_reply_start(&r, pool, 1000);
		if (smtp_reply_add(&r, bad[i]) == NULL)
			fail_msg("accepted: \"%s\"", bad[i]);
		assert_false(r.is_complete);
	}
}

static void
a_long_reply_is_cut_and_an_endless_one_refused(void **state)
{
	struct smtp_reply	r;
	int			i;

	(void)state;
	smtp_reply_start(&r, pool, 50);
	for (i = 0; i < 20000; i++)
		if (smtp_reply_add(&r, "250-a\rlong\x01 line") != NULL)
			break;
	assert_in_range(i, 2000, 19999);
	assert_int_equal(r.text.len, 50);
	assert_non_null(strstr(r.text.data, "a?long? line\na?long"));
}

static void
ehlo_keywords_are_found_whole_and_behind_the_greeting(void **state)
{
	static const char	text[] = "PIPELINING.example SIZE 1\nSIZE 100\n"
				    "8bitmime\nAUTH=LOGIN\nAUTH PLAIN\n"
				    "STARTTLSX\nLIMITS  RCPTMAX=5 MAILMAX=2";
	char			words[64], few[5];

	(void)state;
	assert_true(smtp_ehlo_find(text, "size", words, sizeof(words)));
	assert_string_equal(words, "100");
	assert_true(smtp_ehlo_find(text, "8BITMIME", words, sizeof(words)));
	assert_string_equal(words, "");
	assert_true(smtp_ehlo_find(text, "AUTH", words, sizeof(words)));
	assert_string_equal(words, "LOGIN");
	assert_true(smtp_ehlo_find(text, "LIMITS", few, sizeof(few)));
	assert_string_equal(few, "RCPT");
	assert_true(smtp_ehlo_find(text, "LIMITS", NULL, 0));
	assert_false(smtp_ehlo_find(text, "STARTTLS", words, sizeof(words)));
	assert_false(smtp_ehlo_find(text, "PIPELINING.example", words,
	    sizeof(words)));
	assert_false(smtp_ehlo_find("", "SIZE", words, sizeof(words)));
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, fill, drain)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(a_command_is_a_verb_and_the_rest),
		TEST(parameters_come_in_order_with_their_values),
		TEST(parameters_that_break_the_grammar_are_refused),
		TEST(xverp_alone_may_have_an_equals_sign_in_its_value),
		TEST(five_hundred_parameters_are_too_many),
		TEST(a_reply_of_several_lines_is_complete_at_its_last),
		TEST(a_bare_code_ends_a_reply),
		TEST(the_last_code_counts_when_lines_disagree),
		TEST(an_enhanced_code_of_another_class_is_none),
		TEST(what_is_no_reply_is_refused),
		TEST(a_long_reply_is_cut_and_an_endless_one_refused),
		TEST(ehlo_keywords_are_found_whole_and_behind_the_greeting),
	};

	return cmocka_run_group_tests_name("smtp", tests, NULL, NULL);
}
