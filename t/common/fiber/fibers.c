/*
 * fibers.c - fibers.py shows every fiber's backtrace, live and in a core.
 *
 * The test runs itself under gdb: with an argument it is the patient, which
 * parks a fiber and aborts in another.
 */
#include "common/fiber/fiber.h"

#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fiber/loop.h"

#define SCRIPT	"common/fiber/fibers.py"

/* ASan's shadow would make a core of many gigabytes. */
#ifdef SANITIZED
enum { CAN_DUMP = false };
#else
enum { CAN_DUMP = true };
#endif

static char	self[512], core[64];
static char	output[65536];

__attribute__((noinline)) static int
hear_a_command(int number)
{
	return fiber_park(NEVER) == 0 ? number : -number;
}

static void
session(void *arg)
{
	fiber_name("a session");
	*(int *)arg = hear_a_command(*(int *)arg) + 1;
}

static void
fall_ill(void *unused)
{
	(void)unused;
	fiber_name("an illness");
	fiber_yield();
	abort();
}

/* What gdb looks at. */
static int
be_the_patient(void)
{
	int	number = 4711;

	loop_open();
	fiber_start(session, &number);
	fiber_start(fall_ill, NULL);
	loop_run();
	return 0;
}

/* Run gdb with these arguments; what it says is in `output`. */
static void
ask_gdb(char *const *argv)
{
	size_t	len = 0;
	ssize_t	n;
	pid_t	child;
	int	to[2];

	assert_int_equal(pipe(to), 0);
	if ((child = fork()) == 0) {
		dup2(to[1], STDOUT_FILENO);
		dup2(to[1], STDERR_FILENO);
		close(to[0]);
		execvp(argv[0], argv);
		_exit(127);
	}
	assert_true(child > 0);
	close(to[1]);
	while ((n = read(to[0], output + len, sizeof output - 1 - len)) > 0)
		len += (size_t)n;
	output[len] = '\0';
	close(to[0]);
	waitpid(child, NULL, 0);
}

/* The part of the output about one fiber tells this. */
static void
assert_fiber_shows(const char *title, const char *text)
{
	const char	*start = strstr(output, title), *end, *found;

	if (start == NULL)
		print_message("%s\n", output);
	assert_non_null(start);
	end = strstr(start, "\n\n");
	found = strstr(start, text);
	if (found == NULL || (end != NULL && found > end))
		print_message("%s\n", output);
	assert_non_null(found);
	assert_true(end == NULL || found < end);
}

static void
skip_without_gdb(void)
{
	char	*argv[] = { "gdb", "-batch", "-nx", "-ex",
		    "python print('snake'.upper())", "-ex", "run", "--args",
		    "/bin/true", NULL };

	ask_gdb(argv);
	if (strstr(output, "SNAKE") == NULL ||
	    strstr(output, "exited normally") == NULL) {
		print_message("no gdb with Python that may trace\n");
		skip();
	}
}

static void
every_fiber_is_shown_live(void **state)
{
	char	save[128];
	char	*argv[] = { "gdb", "-batch", "-nx", "-x", SCRIPT, "-ex", "run",
		    "-ex", "fibers", "-ex", save, "--args", self,
		    "patient", NULL };

	(void)state;
	skip_without_gdb();
	snprintf(save, sizeof save, CAN_DUMP ? "generate-core-file %s" :
	    "echo no %s\n", core);
	ask_gdb(argv);
	assert_fiber_shows("\"a session\" waiting",
	    "hear_a_command (");
	assert_fiber_shows("\"a session\" waiting", "=4711)");
	assert_fiber_shows("\"an illness\" running", "fall_ill");
	assert_fiber_shows("the loop", "be_the_patient");
}

static void
every_fiber_is_shown_in_a_core(void **state)
{
	char	*argv[] = { "gdb", "-batch", "-nx", "-x", SCRIPT, "-ex",
		    "fibers", self, core, NULL };

	(void)state;
	if (access(core, R_OK) == -1)
		skip();
	ask_gdb(argv);
	assert_fiber_shows("\"a session\" waiting",
	    "hear_a_command (");
	assert_fiber_shows("\"a session\" waiting", "=4711)");
	assert_fiber_shows("\"an illness\" running", "fall_ill");
	assert_fiber_shows("the loop", "be_the_patient");
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(every_fiber_is_shown_live),
		cmocka_unit_test(every_fiber_is_shown_in_a_core),
	};
	int	failed;

	if (argc > 1 && strcmp(argv[1], "patient") == 0)
		return be_the_patient();
	if (readlink("/proc/self/exe", self, sizeof self - 1) == -1)
		return 1;
	snprintf(core, sizeof core, "/tmp/postrider-core.%d", (int)getpid());
	failed = cmocka_run_group_tests_name("fibers.py", tests, NULL, NULL);
	unlink(core);
	return failed;
}
