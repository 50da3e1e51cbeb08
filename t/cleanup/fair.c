/*
 * fair.c - claims about users who take turns.
 *
 * needs: cleanup/fair.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/fiber/loop.h"

#include "cleanup/fair.h"

static struct fair	*places;
static char		 order[64];	/* who got a place, one after another */
static int		 most, now;

/* One who wants a place for a moment; its user is 'a', 'b' ... */
static void
want(void *arg)
{
	const char	*user = arg;
	size_t		 len;

	if (fair_take(places, (uid_t)*user, clock_now() + 10000) == -1)
		return;
	len = strlen(order);
	order[len] = *user;
	if (++now > most)
		most = now;
	(void)fiber_sleep(1);
	now--;
	fair_give(places, (uid_t)*user);
}

/* Fibers of these users, in this order. */
static void
run(const char *users, unsigned number, unsigned each)
{
	static char	names[26];

	memset(order, 0, sizeof(order));
	most = now = 0;
	places = fair_new(number, each);
	for (; *users != '\0'; users++) {
		names[*users - 'a'] = *users;
		fiber_start(want, &names[*users - 'a']);
	}
	loop_run();
	free(places);
}

static void
users_take_turns(void **state)
{
	(void)state;
	run("aaaaaabbc", 1, 1);
	assert_string_equal(order, "aabcabaaa");
}

static void
a_share_is_not_exceeded(void **state)
{
	(void)state;
	run("aaaaaa", 4, 2);
	assert_string_equal(order, "aaaaaa");
	assert_int_equal(most, 2);
	run("aaaaaabbbccc", 4, 2);
	assert_int_equal(strlen(order), 12);
	assert_int_equal(most, 4);
}

static void
one_place_more_than_a_share_is_there_at_once(void **state)
{
	(void)state;
	run("aaaaaaaab", 4, 3);
	assert_int_equal(order[3], 'b');
}

static int	outcome, error;

/* Give up soon. */
static void
give_up(void *unused)
{
	(void)unused;
	outcome = fair_take(places, 'b', clock_now() + 5);
	error = errno;
}

/* Hold the only place. */
static void
hold(void *unused)
{
	(void)unused;
	assert_int_equal(fair_take(places, 'a', NEVER), 0);
	fiber_start(give_up, NULL);
	(void)fiber_sleep(30);
	fair_give(places, 'a');
	assert_int_equal(fair_take(places, 'c', clock_now() + 5), 0);
	fair_give(places, 'c');
}

static void
who_gives_up_leaves_the_line(void **state)
{
	(void)state;
	places = fair_new(1, 1);
	fiber_start(hold, NULL);
	loop_run();
	assert_int_equal(outcome, -1);
	assert_int_equal(error, ETIMEDOUT);
	free(places);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(users_take_turns),
		cmocka_unit_test(a_share_is_not_exceeded),
		cmocka_unit_test(one_place_more_than_a_share_is_there_at_once),
		cmocka_unit_test(who_gives_up_leaves_the_line)
	};

	loop_open();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
