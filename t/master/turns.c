/*
 * turns.c - reloads that are asked for while one runs are one more, after it.
 *
 * needs: master/turns.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/fiber/loop.h"
#include "master/turns.h"

enum { MANY = 50 };

static int	asked, done, at_once, most_at_once, good, bad, was_wanted;

/* A reload. The first one ends when many more have asked; the second one
 * fails. */
static WAITS int
act(struct str *problems)
{
	if (++at_once > most_at_once)
		most_at_once = at_once;
	was_wanted += turns_are_wanted();
	do
		(void)fiber_sleep(1);
	while (asked <= MANY);
	was_wanted += turns_are_wanted();
	at_once--;
	if (++done != 2)
		return 0;
	str_add(problems, "no\n");
	return -1;
}

/* Fiber: ask for one. */
static void
ask(void *unused)
{
	struct pool	*pool = pool_new("test", 0);
	struct str	 problems;

	(void)unused;
	str_init(&problems, pool, 0);
	asked++;
	if (turns_take(act, &problems) == 0) {
		good++;
		assert_string_equal(problems.data, "");
	} else {
		bad++;
		assert_string_equal(problems.data, "no\n");
	}
	pool_free(pool);
}

/* Fiber: many ask while the first one is at it, and one later. */
static void
ask_for_many(void *unused)
{
	int	i;

	(void)unused;
	fiber_start(ask, NULL);
	while (at_once == 0)
		(void)fiber_sleep(1);
	for (i = 0; i < MANY; i++)
		fiber_start(ask, NULL);
	while (good + bad <= MANY)
		(void)fiber_sleep(1);
	fiber_start(ask, NULL);
}

static void
those_who_ask_meanwhile_share_one(void **state)
{
	(void)state;
	fiber_start(ask_for_many, NULL);
	loop_run();
	assert_int_equal(done, 3);
	assert_int_equal(most_at_once, 1);
	assert_int_equal(good, 2);
	assert_int_equal(bad, MANY);
	assert_int_equal(was_wanted, 1);
	assert_false(turns_are_wanted());
}

/* The loop is needed by all. */
static int
open_all(void **state)
{
	(void)state;
	loop_open();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(those_who_ask_meanwhile_share_one),
	};

	return cmocka_run_group_tests(tests, open_all, NULL);
}
