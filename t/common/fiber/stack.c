/*
 * stack.c - a stack is guarded below, and painting tells how deep it was.
 */
#include "common/fiber/fiber.h"

#include <sys/resource.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fiber/loop.h"

/* Use about `depth` KiB of the stack. */
__attribute__((noinline)) static int
dive(int depth)
{
	volatile char	block[1000];

	memset((void *)(uintptr_t)block, depth, sizeof block);
	return depth <= 1 ? block[7] : dive(depth - 1) + block[depth % 900];
}

static void
dive_deep(void *arg)
{
	(void)dive(*(int *)arg);
}

static void
dive_and_park(void *arg)
{
	(void)dive(*(int *)arg);
	(void)fiber_park(NEVER);
}

static void
ask_deepest(void *arg)
{
	size_t	*deepest = arg;

	*deepest = fiber_deepest();
	loop_stop();
}

static void
the_deepest_use_of_a_stack_is_known(void **state)
{
	int	depth = 30;
	size_t	before, after;

	(void)state;
	before = fiber_deepest();
	fiber_start(dive_deep, &depth);
	loop_run();
	after = fiber_deepest();
	assert_in_range(after, 30 * 1000, 60 * 1000);
	assert_true(after > before);
}

static void
a_living_fiber_counts_too(void **state)
{
	struct fiber	*diver;
	int		 depth = 45;
	size_t		 deepest = 0;

	(void)state;
	diver = fiber_start(dive_and_park, &depth);
	fiber_start(ask_deepest, &deepest);
	loop_run();
	assert_in_range(deepest, 45 * 1000, 256 * 1024);
	fiber_wake(diver);
	loop_run();
	assert_int_equal(fiber_count(), 0);
}

/* Run over the end of the stack, quietly and without a core. */
static void
fall(void)
{
	struct rlimit	none = { 0, 0 };
	int		depth = 1000, null;

	setrlimit(RLIMIT_CORE, &none);
	if ((null = open("/dev/null", O_WRONLY)) != -1)
		dup2(null, STDERR_FILENO);
	fiber_start(dive_deep, &depth);
	loop_run();
	_exit(0);
}

static void
running_over_the_end_kills_the_process(void **state)
{
	pid_t	child;
	int	status = 0;

	(void)state;
	if ((child = fork()) == 0)
		fall();
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
do_nothing(void *unused)
{
	(void)unused;
}

/* How many mappings the process has. */
static int
mappings(void)
{
	char	block[1000];
	ssize_t	i, n;
	int	fd, lines = 0;

	if ((fd = open("/proc/self/maps", O_RDONLY)) == -1)
		return -1;
	while ((n = read(fd, block, sizeof block)) > 0)
		for (i = 0; i < n; i++)
			lines += block[i] == '\n';
	close(fd);
	return lines;
}

static void
spare_stacks_are_few(void **state)
{
	int	i, before = mappings();

	(void)state;
	for (i = 0; i < 1000; i++)
		fiber_start(do_nothing, NULL);
	assert_true(mappings() > before + 1000);
	loop_run();
	assert_true(mappings() < before + 200);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(the_deepest_use_of_a_stack_is_known),
		cmocka_unit_test(a_living_fiber_counts_too),
		cmocka_unit_test(running_over_the_end_kills_the_process),
		cmocka_unit_test(spare_stacks_are_few),
	};

	setenv("POSTRIDER_PAINT_STACKS", "1", 1);
	loop_open();
	return cmocka_run_group_tests_name("stack", tests, NULL, NULL);
}
