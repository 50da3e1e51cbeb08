/*
 * seen.c - claims about addresses that have been named already.
 */
/* needs: local/seen.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "local/seen.h"

static struct pool	*pool;

static int
set_up(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
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
an_address_is_named_once_whatever_its_case(void **state)
{
	struct seen	*s = seen_new(pool, 0);

	(void)state;
	assert_false(seen_is(s, "Ann@far.test"));
	assert_true(seen_is(s, "ann@FAR.test"));
	assert_false(seen_is(s, "ann"));
	assert_false(seen_is(s, "bob@far.test"));
	assert_true(seen_is(s, "Ann@far.test"));
}

static void
no_more_than_the_limit_are_remembered(void **state)
{
	struct seen	*s = seen_new(pool, 2);

	(void)state;
	assert_false(seen_is(s, "a"));
	assert_false(seen_is(s, "b"));
	assert_false(seen_is(s, "c"));
	assert_false(seen_is(s, "c"));
	assert_true(seen_is(s, "a"));
	assert_true(seen_is(s, "b"));
}

static void
without_a_limit_all_are_remembered(void **state)
{
	struct seen	*s = seen_new(pool, 0);
	int		 i;

	(void)state;
	for (i = 0; i < 5000; i++)
		assert_false(seen_is(s, pool_printf(pool, "%d", i)));
	for (i = 0; i < 5000; i++)
		assert_true(seen_is(s, pool_printf(pool, "%d", i)));
}

int
main(void)
{
	const struct CMUnitTest	claims[] = {
		cmocka_unit_test(an_address_is_named_once_whatever_its_case),
		cmocka_unit_test(no_more_than_the_limit_are_remembered),
		cmocka_unit_test(without_a_limit_all_are_remembered)
	};

	return cmocka_run_group_tests(claims, set_up, tear_down);
}
