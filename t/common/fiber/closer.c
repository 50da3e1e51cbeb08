/*
 * closer.c - descriptors are closed by a thread, all of them, and soon.
 */
#include "common/fiber/closer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fiber/fiber.h"
#include "common/fiber/loop.h"
#include "common/fiber/offload.h"

enum { MANY = 600, STEP = 5 };

static int	in[MANY];

/* Pipes whose writing ends are given away; each reading end sees the end. */
static void
give_away(void *arg)
{
	int	*ended = arg, pair[2], i;
	char	 c;

	for (i = 0; i < MANY; i++) {
		assert_int_equal(pipe(pair), 0);
		in[i] = pair[0];
		close_later(pair[1]);
		if (i % 100 == 0)
			(void)fiber_sleep(STEP);
	}
	for (i = 0; i < MANY; i++) {
		*ended += read(in[i], &c, 1) == 0;
		close(in[i]);
	}
	loop_stop();
}

static void
all_are_closed_though_nobody_waits(void **state)
{
	int	ended = 0;

	(void)state;
	loop_open();
	fiber_start(give_away, &ended);
	loop_run();
	assert_int_equal(ended, MANY);
	offload_finish();
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(all_are_closed_though_nobody_waits)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
