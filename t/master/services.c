/*
 * services.c - the table of what shall run says what master.cf means.
 *
 * needs: master/services.c master/addresses.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/param/site.h"
#include "master/services.h"

static struct pool	*pool;
static struct str	 errors, warnings, notes;

/* A table from the text of a master.cf. */
static struct services *
table(const char *text)
{
	char		 path[] = "/tmp/prt-services-XXXXXX";
	int		 fd = mkstemp(path);
	struct mastercf	*file;
	struct services	*services;
	char		*why = NULL;

	assert_int_not_equal(fd, -1);
	assert_int_equal(fs_write(fd, text, strlen(text)), 0);
	close(fd);
	file = mastercf_read(pool, path, &why);
	unlink(path);
	assert_non_null(file);
	str_init(&errors, pool, 0);
	str_init(&warnings, pool, 0);
	str_init(&notes, pool, 0);
	services = services_read(pool, file, &errors, &warnings, &notes);
	return services;
}

/* Settings as an ordinary instance has them. */
static int
set_up(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	site.config_directory = "/etc/postrider";
	site.daemon_directory = "/usr/lib/postrider";
	site.inet_interfaces = "127.0.0.1";
	site.inet_protocols = "ipv4";
	site.default_process_limit = 1000;
	site.smtpd_processes = 2;
	site.smtp_processes = 3;
	site.cleanup_processes = site.resolve_processes = 2;
	site.dns_processes = site.local_processes = 1;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

static void
an_empty_file_still_has_every_internal_service(void **state)
{
	static const char *const	names[] = {
		"log", "resolve", "qmgr", "pickup", "dns", "anvil", "cleanup",
		"bounce", "helper", "local", "error", "retry", "discard",
		"smtp", "relay", "lmtp"
	};
	struct services			*s = table("");
	size_t				 i;

	(void)state;
	assert_non_null(s);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_non_null(services_find(s, names[i]));
	assert_string_equal(services_find(s, "retry")->program, "error");
	assert_string_equal(services_find(s, "relay")->program, "smtp");
	assert_true(services_find(s, "qmgr")->workers[0].is_wanted);
	assert_false(services_find(s, "smtp")->workers[0].is_wanted);
}

static void
a_port_gets_two_processes_and_its_address(void **state)
{
	struct services	*s = table("2525 inet n - y - 50 smtpd -v\n"
	    "  -o smtpd_banner=hi -o { a = b c }\n");
	struct unit	*u = services_find(s, "2525");

	(void)state;
	assert_non_null(u);
	assert_string_equal(u->program, "smtpd");
	assert_int_equal(u->worker_count, 2);
	assert_int_equal(u->maxproc, 50);
	assert_true(u->is_verbose);
	assert_int_equal(u->address_count, 1);
	assert_int_equal(u->addresses[0].port, 2525);
	assert_int_equal(u->option_count, 2);
	assert_string_equal(u->options[1].value, "b c");
}

static void
an_option_of_the_line_sets_its_processes(void **state)
{
	struct services	*s = table("25 inet n - y - - smtpd "
	    "-o smtpd_processes=5\n");

	(void)state;
	assert_int_equal(services_find(s, "25")->worker_count, 5);
	assert_null(table("25 inet n - y - - smtpd "
	    "-o smtpd_processes=many\n"));
	assert_non_null(strstr(errors.data, ":1: smtpd_processes = many"));
}

static void
a_transport_of_ones_own_is_an_smtp_service(void **state)
{
	struct services	*s = table("slow unix - - n - 2 smtp\n");
	struct unit	*u = services_find(s, "slow");

	(void)state;
	assert_string_equal(u->program, "smtp");
	assert_int_equal(u->maxproc, 2);
	assert_int_equal(u->worker_count, 3);
	assert_int_equal(services_find(s, "smtp")->maxproc, 1000);
}

static void
a_line_sets_the_options_of_an_internal_service_once(void **state)
{
	struct services	*s = table("qmgr fifo n - n 300 1 qmgr -o a=b\n"
	    "smtp unix - - n - - smtp\n");
	size_t		 i, n = 0;

	(void)state;
	assert_non_null(s);
	for (i = 0; i < s->count; i++)
		if (strcmp(s->units[i].program, "qmgr") == 0)
			n++;
	assert_int_equal(n, 1);
	assert_int_equal(services_find(s, "qmgr")->option_count, 1);
	assert_true(services_find(s, "qmgr")->flags & UNIT_ALONE);
}

static void
postfix_helpers_are_noted_and_not_started(void **state)
{
	struct services	*s = table("tlsmgr unix - - y 1000? 1 tlsmgr\n"
	    "rewrite unix - - y - - trivial-rewrite\n"
	    "defer unix - - y - 0 bounce\n"
	    "trace unix - - y - 0 bounce\n"
	    "postlog unix-dgram n - n - 1 postlogd\n");

	(void)state;
	assert_non_null(s);
	assert_int_equal(warnings.len, 0);
	assert_non_null(strstr(notes.data,
	    "tlsmgr rewrite defer trace postlog"));
	assert_null(services_find(s, "tlsmgr"));
	assert_null(services_find(s, "defer"));
}

static void
postscreen_is_the_smtpd_behind_it(void **state)
{
	struct services	*s = table("2525 inet n - y - 1 postscreen\n"
	    "smtpd pass - - y - - smtpd -o smtpd_banner=x\n");
	struct unit	*u = services_find(s, "2525");

	(void)state;
	assert_string_equal(u->program, "smtpd");
	assert_int_equal(u->option_count, 1);
	assert_null(services_find(s, "smtpd"));
}

static void
a_program_that_is_not_here_is_a_warning(void **state)
{
	struct services	*s = table("policy unix - n n - - nqmqpd user=x\n"
	    "628 inet n - y - - qmqpd\n"
	    "lmtp unix - - y - - lmtp\n");

	(void)state;
	assert_non_null(s);
	assert_non_null(strstr(warnings.data, ":1: policy: there is no "
	    "program nqmqpd here"));
	assert_non_null(strstr(warnings.data, ":2: 628:"));
	assert_null(services_find(s, "policy"));
}

static void
spawn_has_a_socket_or_a_port_of_its_own(void **state)
{
	struct services	*s = table("policy unix - n n - 0 spawn user=nobody "
	    "argv=/bin/x a b\n"
	    "127.0.0.1:9 inet n n n - 3 spawn user=nobody argv=/bin/y\n"
	    "open unix n n n - 0 spawn user=nobody argv=/bin/z\n");
	struct unit	*u = services_find(s, "policy");

	(void)state;
	assert_string_equal(warnings.data, "");
	assert_string_equal(u->program, "spawn");
	assert_int_equal(u->flags, UNIT_IS_STREAM);
	assert_int_equal(u->maxproc, 0);
	assert_int_equal(u->worker_count, 1);
	assert_int_equal(u->argument_count, 4);
	u = services_find(s, "127.0.0.1:9");
	assert_int_equal(u->flags, UNIT_IS_STREAM | UNIT_IS_INET);
	assert_int_equal(u->maxproc, 3);
	assert_int_equal(u->worker_count, 1);
	assert_true(services_find(s, "open")->flags & UNIT_PUBLIC);
}

static void
spawn_takes_no_name_of_ours(void **state)
{
	(void)state;
	assert_null(table("cleanup unix - n n - 0 spawn user=nobody "
	    "argv=/bin/x\n"));
	assert_null(table("control unix - n n - 0 spawn user=nobody "
	    "argv=/bin/x\n"));
}

static void
virtual_and_pipe_are_local_by_other_names(void **state)
{
	struct services	*s = table("maildrop unix - n n - 7 pipe -o x=y "
	    "flags=D\n user=vmail argv=/bin/x ${user}\n");
	struct unit	*unit;

	(void)state;
	assert_non_null(s);
	assert_string_equal(warnings.data, "");
	unit = services_find(s, "virtual");
	assert_string_equal(unit->program, "local");
	assert_string_equal(unit->command, "virtual");
	assert_true(services_has_other_name(unit));
	unit = services_find(s, "maildrop");
	assert_string_equal(unit->program, "local");
	assert_int_equal(unit->maxproc, 7);
	assert_int_equal(unit->argument_count, 4);
	assert_string_equal(unit->arguments[0], "flags=D");
	assert_string_equal(unit->arguments[3], "${user}");
	assert_false(services_has_other_name(services_find(s, "local")));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest	tests[] = {
		TEST(an_empty_file_still_has_every_internal_service),
		TEST(a_port_gets_two_processes_and_its_address),
		TEST(an_option_of_the_line_sets_its_processes),
		TEST(a_transport_of_ones_own_is_an_smtp_service),
		TEST(a_line_sets_the_options_of_an_internal_service_once),
		TEST(postfix_helpers_are_noted_and_not_started),
		TEST(postscreen_is_the_smtpd_behind_it),
		TEST(a_program_that_is_not_here_is_a_warning),
		TEST(spawn_has_a_socket_or_a_port_of_its_own),
		TEST(spawn_takes_no_name_of_ours),
		TEST(virtual_and_pipe_are_local_by_other_names)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
