/*
 * template.c - texts of reports: what a file may say, and where it is wrong.
 *
 * needs: qmgr/template.c
 */
#include "qmgr/template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/fs.h"

static struct pool	*pool;
static struct template	 t[TEMPLATES];

static int
set_up(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	memset(t, 0, sizeof(t));
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

static const char *
parse(const char *text)
{
	return template_parse(pool, "b.cf", text, strlen(text), t);
}

/* A configuration with a few names. */
static struct maincf *
names(void)
{
	struct maincf	*mc = maincf_empty(pool);

	maincf_default(mc, "myhostname", "mx.test");
	maincf_default(mc, "maximal_queue_lifetime", "5d");
	maincf_default(mc, "bounce_queue_lifetime", "36h");
	maincf_default(mc, "delay_warning_time", "4");
	maincf_default(mc, "bounce_size_limit", "50000");
	return mc;
}

static void
the_texts_we_bring_along_are_good(void **state)
{
	int	i;

	(void)state;
	assert_null(parse(template_standard));
	for (i = 0; i < TEMPLATES; i++) {
		assert_null(template_expand(pool, "b.cf", names(), &t[i]));
		assert_non_null(strstr(t[i].text, "mx.test"));
		assert_null(strchr(t[i].text, '$'));
		assert_string_equal(t[i].charset, "us-ascii");
		assert_non_null(t[i].subject);
	}
	assert_non_null(t[TEMPLATE_FAILURE].postmaster_subject);
}

static void
the_example_that_is_shipped_has_the_same_texts(void **state)
{
	struct template	own[TEMPLATES];
	char		*text;
	size_t		 len;
	int		 i;

	(void)state;
	memset(own, 0, sizeof(own));
	text = fs_read_file(pool, "conf/bounce.cf.default", 100000, &len);
	if (text == NULL)
		skip();			/* not run from the tree's root */
	assert_null(parse(template_standard));
	assert_null(template_parse(pool, "example", text, len, own));
	for (i = 0; i < TEMPLATES; i++) {
		assert_string_equal(own[i].text, t[i].text);
		assert_string_equal(own[i].subject, t[i].subject);
		assert_string_equal(own[i].from, t[i].from);
	}
}

static void
a_file_has_headers_texts_and_comments(void **state)
{
	(void)state;
	assert_null(parse("# ours\n\ndelay_template = <<X\nCharset: utf-8\n"
	    "From: P <p@x.test>\nSubject: late\nPostmaster-Subject: late!\n\n"
	    "W\xc3\xa4rten.\n\nEOF\nX\n  # end\n"
	    "failure_template=<<EOF\r\nSubject: no\r\n\r\nSorry.\r\nEOF"));
	assert_string_equal(t[TEMPLATE_DELAY].charset, "utf-8");
	assert_string_equal(t[TEMPLATE_DELAY].from, "P <p@x.test>");
	assert_string_equal(t[TEMPLATE_DELAY].subject, "late");
	assert_string_equal(t[TEMPLATE_DELAY].postmaster_subject, "late!");
	assert_string_equal(t[TEMPLATE_DELAY].text,
	    "W\xc3\xa4rten.\n\nEOF\n");
	assert_int_equal(t[TEMPLATE_DELAY].line, 9);
	assert_string_equal(t[TEMPLATE_FAILURE].text, "Sorry.\n");
	assert_null(t[TEMPLATE_SUCCESS].text);
}

static void
what_a_template_leaves_out_is_ours(void **state)
{
	(void)state;
	assert_null(parse(template_standard));
	assert_null(parse("failure_template = <<E\n\nSorry.\nE\n"));
	assert_string_equal(t[TEMPLATE_FAILURE].subject,
	    "Undelivered Mail Returned to Sender");
	assert_string_equal(t[TEMPLATE_FAILURE].from,
	    "MAILER-DAEMON (Mail Delivery System)");
	assert_non_null(strstr(t[TEMPLATE_DELAY].text, "WARNING"));
}

static void
mistakes_are_told_with_their_lines(void **state)
{
	static const struct { const char *text, *why; } cases[] = {
		{ "x\n", "b.cf:1: expected NAME = <<WORD" },
		{ "\nx = <<E\n", "b.cf:2: expected failure_template" },
		{ "delay_template = E\n", "b.cf:1: expected <<WORD" },
		{ "delay_template = <<\n", "b.cf:1: expected one word" },
		{ "delay_template = <<A B\n", "b.cf:1: expected one word" },
		{ "delay_template = <<E\nno header\n",
		    "b.cf:2: expected \"Name: value\"" },
		{ "delay_template = <<E\nX-Mine: 1\n\nx\nE\n",
		    "b.cf:2: expected Charset, From" },
		{ "delay_template = <<E\nSubject:\n\nx\nE\n",
		    "b.cf:2: expected a value" },
		{ "delay_template = <<E\nCharset: a b\n\nx\nE\n",
		    "b.cf:2: expected the name of a character set" },
		{ "delay_template = <<E\nSubject: \xc3\xbc\n\nx\nE\n",
		    "b.cf:2: expected plain ASCII" },
		{ "delay_template = <<E\nSubject: x\n",
		    "b.cf:2: the file ends within" },
		{ "delay_template = <<E\n\nx\n",
		    "b.cf:3: the file ends before \"E\"" },
		{ "delay_template = <<E\n\nE\n",
		    "b.cf:3: the template has no text" },
		{ "delay_template = <<E\n\nx\nz\xc3\xbc\nE\n",
		    "b.cf:4: letters other than ASCII" },
		{ "delay_template = <<E\n\na\x01\nE\n",
		    "b.cf:3: a control character" },
	};
	const char	*why;
	size_t		 i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		why = parse(cases[i].text);
		assert_non_null(why);
		assert_int_equal(strncmp(why, cases[i].why,
		    strlen(cases[i].why)), 0);
	}
	assert_non_null(template_parse(pool, "b.cf", "#\0", 2, t));
}

static void
names_are_expanded_and_times_have_units(void **state)
{
	(void)state;
	assert_null(parse("delay_template = <<E\n\n$myhostname "
	    "${bounce_size_limit} $$1\n"
	    "$delay_warning_time_hours $delay_warning_time_minutes "
	    "${maximal_queue_lifetime_days} $maximal_queue_lifetime_weeks "
	    "$bounce_queue_lifetime_days ${myhostname?yes}\nE\n"));
	assert_null(template_expand(pool, "b.cf", names(),
	    &t[TEMPLATE_DELAY]));
	assert_string_equal(t[TEMPLATE_DELAY].text, "mx.test 50000 $1\n"
	    "4 240 5 1 2 yes\n");
}

static void
a_name_that_nobody_knows_is_told(void **state)
{
	const char	*why;

	(void)state;
	assert_null(parse("delay_template = <<E\n\nok\n$myhostnmae\nE\n"));
	why = template_expand(pool, "b.cf", names(), &t[TEMPLATE_DELAY]);
	assert_string_equal(why, "b.cf:4: $myhostnmae is not a parameter");
	assert_null(parse("delay_template = <<E\n\n${myhostname\nE\n"));
	assert_non_null(template_expand(pool, "b.cf", names(),
	    &t[TEMPLATE_DELAY]));
}

static void
a_value_that_is_no_text_of_mail_is_told(void **state)
{
	struct maincf	*mc = names();
	char		 wide[1001];

	(void)state;
	memset(wide, 'x', 1000);
	wide[1000] = '\0';
	maincf_default(mc, "mynetworks", wide);
	maincf_default(mc, "mail_name", "B\xc3\xa4r");
	assert_null(parse("delay_template = <<E\n\nok\n$mynetworks\nE\n"));
	assert_string_equal(template_expand(pool, "b.cf", mc,
	    &t[TEMPLATE_DELAY]), "b.cf:4: the line is longer than 900 bytes");
	assert_null(parse("delay_template = <<E\n\n$mail_name\nE\n"));
	assert_non_null(template_expand(pool, "b.cf", mc,
	    &t[TEMPLATE_DELAY]));
	assert_null(parse("delay_template = <<E\nCharset: utf-8\n\n"
	    "$mail_name\nE\n"));
	assert_null(template_expand(pool, "b.cf", mc, &t[TEMPLATE_DELAY]));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
#define TEST(f)	cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		TEST(the_texts_we_bring_along_are_good),
		TEST(the_example_that_is_shipped_has_the_same_texts),
		TEST(a_file_has_headers_texts_and_comments),
		TEST(what_a_template_leaves_out_is_ours),
		TEST(mistakes_are_told_with_their_lines),
		TEST(names_are_expanded_and_times_have_units),
		TEST(a_name_that_nobody_knows_is_told),
		TEST(a_value_that_is_no_text_of_mail_is_told),
	};

	return cmocka_run_group_tests_name("template", tests, NULL, NULL);
}
