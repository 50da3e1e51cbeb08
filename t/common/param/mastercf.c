/*
 * mastercf.c - claims about master.cf.
 */
#include "files.h"

#include "common/param/mastercf.h"

/* The services of this text. */
static struct mastercf *
read_text(const char *text)
{
	char		*why;
	struct mastercf	*m;

	m = mastercf_read(pool, write_file("master.cf", text), &why);
	if (m == NULL)
		fail_msg("%s", why);
	return m;
}

/* The text is an error that says so. */
static void
expect_error(const char *text, const char *part)
{
	char	*why;

	assert_null(mastercf_read(pool, write_file("master.cf", text), &why));
	assert_non_null(why);
	if (strstr(why, part) == NULL)
		fail_msg("\"%s\" in \"%s\"", part, why);
}

static void
columns_have_values_and_defaults(void **state)
{
	const struct service	*s;
	struct mastercf		*m;

	(void)state;
	m = read_text("# head\nsmtp inet n - y - - smtpd\n"
	    "qmgr unix n n n 300? 1 qmgr\n"
	    "cleanup unix - - - - 0 cleanup\n");
	assert_int_equal(m->count, 3);
	s = mastercf_find(m, "smtp", "inet");
	assert_string_equal(s->command, "smtpd");
	assert_false(s->is_private);
	assert_true(s->wants_chroot);
	assert_int_equal(s->wakeup, 0);
	assert_int_equal(s->maxproc, -1);
	assert_int_equal(s->line, 2);
	s = mastercf_find(m, "qmgr", NULL);
	assert_int_equal(s->wakeup, 300);
	assert_int_equal(s->maxproc, 1);
	assert_string_equal(s->columns[3], "300?");
	s = mastercf_find(m, "cleanup", "unix");
	assert_true(s->is_private);
	assert_false(s->wants_chroot);
	assert_int_equal(s->maxproc, 0);
	assert_null(mastercf_find(m, "cleanup", "inet"));
}

static void
options_are_read_in_every_spelling(void **state)
{
	const struct service	*s;

	(void)state;
	s = mastercf_find(read_text("a inet n - - - - smtpd -v\n"
	    "  -o one=1 -otwo=2\n"
	    "# between\n"
	    "  -o { three = a b, c } -o { four={x} }\n"
	    "  -o five=$x=y -o six=\n"), "a", NULL);
	assert_int_equal(s->option_count, 6);
	assert_string_equal(s->options[0].name, "one");
	assert_string_equal(s->options[0].value, "1");
	assert_string_equal(s->options[1].name, "two");
	assert_string_equal(s->options[1].value, "2");
	assert_string_equal(s->options[2].name, "three");
	assert_string_equal(s->options[2].value, "a b, c");
	assert_string_equal(s->options[3].value, "{x}");
	assert_string_equal(s->options[4].value, "$x=y");
	assert_string_equal(s->options[5].value, "");
	assert_string_equal(s->arguments[0], "-v");
	assert_int_equal(s->argument_count, 12);
}

static void
command_of_a_pipe_is_left_alone(void **state)
{
	const struct service	*s;

	(void)state;
	s = mastercf_find(read_text("maildrop unix - n n - - pipe\n"
	    "  -o a=b flags=DRXhu user=vmail argv=/usr/bin/maildrop "
	    "-o c=d -d ${recipient} { two words }\n"), "maildrop", NULL);
	assert_int_equal(s->option_count, 1);
	assert_int_equal(s->argument_count, 10);
	assert_string_equal(s->arguments[4], "argv=/usr/bin/maildrop");
	assert_string_equal(s->arguments[8], "${recipient}");
	assert_string_equal(s->arguments[9], "two words");
}

static void
names_may_be_addresses(void **state)
{
	struct mastercf	*m;

	(void)state;
	m = read_text("127.0.0.1:10025 inet n - n - - smtpd\n"
	    "[::1]:10025 inet n - n - - smtpd\n"
	    "smtp inet n - n - 1 postscreen\nsmtp unix - - n - - smtp\n"
	    "postlog unix-dgram n - n - 1 postlogd\n"
	    "smtpd pass - - n - - smtpd\n");
	assert_non_null(mastercf_find(m, "[::1]:10025", "inet"));
	assert_string_equal(mastercf_find(m, "smtp", "unix")->command,
	    "smtp");
}

static void
bad_columns_are_told_with_their_place(void **state)
{
	(void)state;
	expect_error("# x\nsmtp inet n - n - smtpd\n",
	    "master.cf:2: expected eight columns");
	expect_error("smtp inet n - n - - \n", "got 7");
	expect_error("smtp tcp n - n - - smtpd\n",
	    "master.cf:1: type: expected inet, unix, unix-dgram, fifo or "
	    "pass, got \"tcp\"");
	expect_error("smtp inet x - n - - smtpd\n",
	    "private: expected y, n or -");
	expect_error("smtp inet n x n - - smtpd\n", "unpriv: expected");
	expect_error("smtp inet n - x - - smtpd\n", "chroot: expected");
	expect_error("smtp inet n - n x - smtpd\n", "wakeup: expected");
	expect_error("smtp inet n - n - 5? smtpd\n", "maxproc: expected");
	expect_error("smtp inet n - n - -1 smtpd\n", "maxproc: expected");
	expect_error("smtp inet y - n - - smtpd\n", "private: expected n");
	expect_error("a/b unix - - n - - smtp\n", "service: expected");
	expect_error("a unix - - n - - ../smtp\n", "command: expected");
	/* braces around nothing are a word of no letters */
	expect_error("smtp inet n - n - - {} smtpd\n", "command: ");
	expect_error("{} inet n - n - - smtpd\n", "service: ");
}

static void
bad_options_are_told(void **state)
{
	(void)state;
	expect_error("a inet n - n - - smtpd -o\n", "-o: expected");
	expect_error("a inet n - n - - smtpd -o name\n",
	    "-o: expected name=value, got \"name\"");
	expect_error("a inet n - n - - smtpd -o =value\n", "-o: expected");
	expect_error("a inet n - n - - smtpd -o { x = y\n", "closing }");
	expect_error("a inet n - n - - smtpd -o {x=y}z\n", "closing }");
}

static void
service_stands_once(void **state)
{
	(void)state;
	expect_error("a unix - - n - - smtp\nb unix - - n - - smtp\n"
	    "a unix - - n - - smtp\n",
	    "master.cf:3: service a of type unix stands in line 1 already");
}

static void
hundreds_of_services_are_kept(void **state)
{
	struct str	 text;
	struct mastercf	*m;
	int		 i;

	(void)state;
	str_init(&text, pool, 0);
	for (i = 0; i < 300; i++)
		str_addf(&text, "s%d unix - - n - %d smtp\n", i, i);
	m = read_text(text.data);
	assert_int_equal(m->count, 300);
	assert_int_equal(mastercf_find(m, "s299", NULL)->maxproc, 299);
}

static void
shipped_file_is_good(void **state)
{
	struct mastercf	*m;
	char		*why;

	(void)state;
	m = mastercf_read(pool, "conf/master.cf", &why);
	if (m == NULL)
		fail_msg("%s", why);
	assert_string_equal(mastercf_find(m, "smtp", "inet")->command,
	    "smtpd");
	assert_string_equal(mastercf_find(m, "relay", "unix")->command,
	    "smtp");
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		CLAIM_OF(columns_have_values_and_defaults),
		CLAIM_OF(options_are_read_in_every_spelling),
		CLAIM_OF(command_of_a_pipe_is_left_alone),
		CLAIM_OF(names_may_be_addresses),
		CLAIM_OF(bad_columns_are_told_with_their_place),
		CLAIM_OF(bad_options_are_told),
		CLAIM_OF(service_stands_once),
		CLAIM_OF(hundreds_of_services_are_kept),
		CLAIM_OF(shipped_file_is_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
