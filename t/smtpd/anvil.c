/*
 * anvil.c - claims about who is counted when there are very many.
 *
 * What smtpd tells is told to the program itself; other names stand for what
 * would send its answers.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

int	 anvil_main(int, char **);

#define channel_reply	hear_counts
#define daemon_run	run_nothing
#define log_warning	hear_warning
#define main		anvil_main
#include "smtpd/anvil.c"
#undef main

enum { PROCESSES = 100 };

static char			 processes[PROCESSES];
static struct anvil_counts	 heard;
static unsigned			 warnings;

int
hear_counts(struct request *r, unsigned type, const void *object)
{
	(void)r;
	assert_int_equal(type, PACKET_ANVIL_COUNTS);
	heard = *(const struct anvil_counts *)object;
	return 0;
}

int
run_nothing(int argc, char **argv, const struct daemon *d)
{
	(void)argc;
	(void)argv;
	(void)d;
	return 0;
}

void
hear_warning(const char *format, ...)
{
	(void)format;
	warnings++;
}

static struct channel *
channel(unsigned process)
{
	return (struct channel *)(void *)&processes[process];
}

/* A client comes to, or leaves, this process. */
static void
tell(void (*event)(struct request *), unsigned process, const char *address)
{
	struct anvil_connect	 object = { .service = (char[]){ "smtp" },
				    .address = (char *)(uintptr_t)address };
	struct request		 r = { .channel = channel(process),
				    .object = &object };

	event(&r);
}

/* It does something that is counted. */
static int64_t
rate_of(const char *address)
{
	struct anvil_event	 object = { .service = (char[]){ "smtp" },
				    .address = (char *)(uintptr_t)address,
				    .kind = ANVIL_MESSAGE };
	struct request		 r = { .channel = channel(0),
				    .object = &object };

	on_event(&r);
	return heard.rate;
}

static int
setup(void **state)
{
	unsigned	i;

	(void)state;
	set.rate_unit = 3600 * 1000;
	for (i = 0; i < PROCESSES; i++)
		on_closed(channel(i), NULL);
	set.rate_unit = 0;
	sweep();
	assert_int_equal(client_count, 0);
	assert_true(RB_EMPTY(&clients));
	set.rate_unit = 3600 * 1000;
	warnings = 0;
	return 0;
}

static void
a_hundred_processes_are_counted(void **state)
{
	unsigned	i;

	(void)state;
	for (i = 0; i < PROCESSES; i++) {
		tell(on_connect, i, "192.0.2.1");
		assert_int_equal(heard.connections, i + 1);
		assert_int_equal(heard.rate, i + 1);
	}
	tell(on_disconnect, 77, "192.0.2.1");
	tell(on_disconnect, 77, "192.0.2.1");
	tell(on_connect, 0, "192.0.2.1");
	assert_int_equal(heard.connections, PROCESSES);
}

static void
what_a_process_counted_goes_with_it(void **state)
{
	unsigned	i;

	(void)state;
	for (i = 0; i < PROCESSES; i++) {
		tell(on_connect, i, "192.0.2.1");
		tell(on_connect, i, "192.0.2.2");
		tell(on_connect, i, "192.0.2.2");
	}
	for (i = 50; i < PROCESSES; i++)
		on_closed(channel(i), NULL);
	tell(on_connect, 60, "192.0.2.2");
	assert_int_equal(heard.connections, 101);
	tell(on_connect, 0, "192.0.2.1");
	assert_int_equal(heard.connections, 51);
	/* Its place is another's now, who has nobody to take leave of. */
	tell(on_disconnect, 61, "192.0.2.1");
	tell(on_connect, 1, "192.0.2.1");
	assert_int_equal(heard.connections, 52);
}

static void
more_clients_than_there_is_room_for(void **state)
{
	char		name[40];
	unsigned	i;

	(void)state;
	for (i = 0; i < 3; i++)
		tell(on_connect, 0, "connected");
	assert_int_equal(rate_of("early"), 1);
	assert_int_equal(rate_of("often"), 1);
	for (i = 2; i < ENTRIES_MAX; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		tell(on_connect, 1, name);
		tell(on_disconnect, 1, name);
		if (i % 100000 == 0)
			(void)rate_of("often");
	}
	assert_int_equal(warnings, 1);
	tell(on_connect, 0, "new");
	assert_int_equal(heard.connections, 1);
	tell(on_connect, 2, "new");
	assert_int_equal(heard.connections, 2);
	assert_int_equal(client_count, ENTRIES_MAX);
	tell(on_connect, 0, "connected");
	assert_int_equal(heard.connections, 4);
	assert_int_equal(rate_of("often"), 3);
	assert_int_equal(rate_of("early"), 1);
	assert_int_equal(warnings, 1);
}

static void
who_is_connected_is_counted_beyond_that(void **state)
{
	char		name[40];
	unsigned	i;

	(void)state;
	for (i = 0; i <= ENTRIES_MAX; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		tell(on_connect, 0, name);
	}
	tell(on_connect, 0, "c0");
	assert_int_equal(heard.connections, 2);
	tell(on_connect, 0, name);
	assert_int_equal(heard.connections, 2);
	assert_int_equal(warnings, 0);
}

static void
who_is_gone_is_forgotten_after_a_unit_of_time(void **state)
{
	(void)state;
	tell(on_connect, 0, "gone");
	tell(on_disconnect, 0, "gone");
	tell(on_connect, 0, "here");
	sweep();
	assert_int_equal(client_count, 2);
	set.rate_unit = 0;
	sweep();
	assert_int_equal(client_count, 1);
	assert_non_null(find("smtp", "here"));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test_setup(a_hundred_processes_are_counted,
		    setup),
		cmocka_unit_test_setup(what_a_process_counted_goes_with_it,
		    setup),
		cmocka_unit_test_setup(more_clients_than_there_is_room_for,
		    setup),
		cmocka_unit_test_setup(who_is_connected_is_counted_beyond_that,
		    setup),
		cmocka_unit_test_setup(
		    who_is_gone_is_forgotten_after_a_unit_of_time, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
