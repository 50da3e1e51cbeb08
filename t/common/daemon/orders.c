/*
 * orders.c - READY comes after start(), reloads are done and leave nothing
 * open, nonsense is not.
 */
#include <fcntl.h>

#include "common/fiber/loop.h"
#include "t/common/daemon/instance.h"

enum { MAX_TRIED = 256 };

static struct instance	instance;
static bool		is_started;
static unsigned		reloads;

/* Start slowly: READY must not overtake us. */
static void
start(void)
{
	fiber_sleep(30);
	is_started = true;
}

static void
reload(void)
{
	fiber_sleep(1);
	reloads++;
}

/* How many descriptors are open; a jail has no /proc. */
static int
count_descriptors(void)
{
	int	fd, n = 0;

	for (fd = 0; fd < MAX_TRIED; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

/* Tell what happened. */
static void
session(int fd)
{
	char	text[32];
	int	n = snprintf(text, sizeof(text), "%d %u %d", is_started,
		    reloads, count_descriptors());

	if (send(fd, text, (size_t)n + 1, 0) == -1)
		abort();
	close(fd);
}

static const struct daemon	tester = {
	.name = "smtpd", .start = start, .session = session, .reload = reload
};

static int
set_up(void **state)
{
	(void)state;
	instance_make(&instance, "");
	instance_start(&instance, &tester, false, NULL);
	assert_int_equal(hear(&instance, instance.master, NULL),
	    PACKET_HELLO);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	instance_end(&instance);
	return 0;
}

/* What the daemon says of itself. */
static void
ask(char text[32])
{
	int	fd = connect_inet(&instance);

	read_all(fd, text, 32);
	close(fd);
}

static void
end(void)
{
	struct empty	nothing = { 0 };

	say(&instance, instance.master, PACKET_DRAIN, &nothing);
	assert_int_equal(instance_status(&instance), 0);
}

static void
ready_is_said_after_the_start(void **state)
{
	char	text[32];

	(void)state;
	assert_int_equal(hear(&instance, instance.master, NULL),
	    PACKET_READY);
	ask(text);
	assert_memory_equal(text, "1 0 ", 4);
	end();
}

static void
a_reload_runs_on_a_fiber(void **state)
{
	struct reload	files = { (char []){ "" }, -1, -1, -1 };
	char		text[32] = "";
	int		tries;

	(void)state;
	assert_int_equal(hear(&instance, instance.master, NULL),
	    PACKET_READY);
	say(&instance, instance.master, PACKET_RELOAD, &files);
	for (tries = 0; tries < 1000 && strncmp(text, "1 1 ", 4) != 0; tries++)
		ask(text);
	assert_memory_equal(text, "1 1 ", 4);
	end();
}

/* A file of configuration. */
static int
some_file(void)
{
	int	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(fd != -1);
	return fd;
}

static void
files_lent_for_a_reload_are_closed_after_it(void **state)
{
	struct reload	files = { (char []){ "/etc/mailname" }, some_file(),
			    some_file(), some_file() };
	int		before, after = -1, tries, done = 0;
	char		text[32];

	(void)state;
	assert_int_equal(hear(&instance, instance.master, NULL),
	    PACKET_READY);
	ask(text);
	assert_int_equal(sscanf(text, "1 0 %d", &before), 1);
	say(&instance, instance.master, PACKET_RELOAD, &files);
	for (tries = 0; tries < 1000 && done == 0; tries++) {
		ask(text);
		assert_int_equal(sscanf(text, "1 %d %d", &done, &after), 2);
	}
	assert_int_equal(done, 1);
	assert_int_equal(after, before);
	close(files.main_cf);
	close(files.master_cf);
	close(files.origin_file);
	end();
}

static void
what_master_never_says_ends_the_daemon(void **state)
{
	struct control	control = { "verb" };

	(void)state;
	assert_int_equal(hear(&instance, instance.master, NULL),
	    PACKET_READY);
	say(&instance, instance.master, PACKET_CONTROL, &control);
	assert_int_equal(instance_status(&instance), 0);
}

static void
a_drain_during_the_start_is_obeyed(void **state)
{
	(void)state;
	end();
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(ready_is_said_after_the_start),
		TEST(a_reload_runs_on_a_fiber),
		TEST(files_lent_for_a_reload_are_closed_after_it),
		TEST(what_master_never_says_ends_the_daemon),
		TEST(a_drain_during_the_start_is_obeyed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
