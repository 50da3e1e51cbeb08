/*
 * options.c - the words that master writes are understood, others are fatal.
 */
#include "t/common/daemon/child.h"

#include "common/daemon/inside.h"

static const struct daemon	smtpd = { .name = "smtpd" };
static char			**words;
static struct options		 options;

/* Parse these words, which end with NULL. */
static int
parse(void)
{
	int	argc = 0;

	while (words[argc] != NULL)
		argc++;
	options_parse(&options, argc, words, &smtpd);
	return 0;
}

static void
nothing_said_means_the_program_itself(void **state)
{
	(void)state;
	words = (char *[]){ "smtpd", NULL };
	parse();
	assert_string_equal(options.service, "smtpd");
	assert_int_equal(options.worker, 1);
	assert_int_equal(options.processes, 1);
	assert_int_equal(options.maxproc, 0);
	assert_int_equal(options.listeners, 0);
	assert_null(options.directory);
}

static void
every_option_of_the_handover_is_taken(void **state)
{
	(void)state;
	words = (char *[]){ "smtpd", "-c", "/etc/x", "-n", "submission", "-t",
	    "inet", "-w", "3", "-p", "4", "-m", "100", "-l", "inet", "-l",
	    "unix", "-o", "a=1", "-o", "b=2", "-v", "-v", NULL };
	parse();
	assert_string_equal(options.directory, "/etc/x");
	assert_string_equal(options.service, "submission");
	assert_int_equal(options.worker, 3);
	assert_int_equal(options.processes, 4);
	assert_int_equal(options.maxproc, 100);
	assert_int_equal(options.listeners, 2);
	assert_false(options.is_unix[0]);
	assert_true(options.is_unix[1]);
	assert_int_equal(options.override_count, 2);
	assert_string_equal(options.overrides[1], "b=2");
	assert_int_equal(options.verbose, 2);
}

static void
the_long_options_come_first(void **state)
{
	(void)state;
	words = (char *[]){ "smtpd", "--check", "-c", "/etc/x", NULL };
	parse();
	assert_true(options.wants_check);
	assert_false(options.wants_parameters);
	assert_string_equal(options.directory, "/etc/x");
	words = (char *[]){ "smtpd", "--parameters", NULL };
	parse();
	assert_true(options.wants_parameters);
}

static void
wrong_words_are_fatal(void **state)
{
	static char	*wrong[][4] = {
		{ "smtpd", "-w", "0", NULL }, { "smtpd", "-w", "x", NULL },
		{ "smtpd", "-m", "-1", NULL }, { "smtpd", "-l", "udp", NULL },
		{ "smtpd", "-o", "name", NULL }, { "smtpd", "-Z", NULL, NULL },
		{ "smtpd", "-n", NULL, NULL }, { "smtpd", "word", NULL, NULL }
	};
	size_t		i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		words = wrong[i];
		assert_int_equal(in_child(parse), 1);
	}
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(nothing_said_means_the_program_itself),
		cmocka_unit_test(every_option_of_the_handover_is_taken),
		cmocka_unit_test(the_long_options_come_first),
		cmocka_unit_test(wrong_words_are_fatal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
