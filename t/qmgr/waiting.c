/*
 * waiting.c - the index of messages that are not open: each is there once,
 * and the one that is due first comes first.
 *
 * needs: qmgr/waiting.c
 */
#include "qmgr/waiting.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/clock.h"

/* An id by number. */
static char *
name(int n)
{
	static char	id[QUEUE_ID_MAX + 1];

	snprintf(id, sizeof(id), "ID%d", n);
	return id;
}

/* Take everything out. */
static void
empty(void)
{
	char		id[QUEUE_ID_MAX + 1];
	enum queue_dir	dir;

	while (waiting_take(NEVER, id, &dir))
		;
	assert_int_equal(waiting_count(), 0);
	assert_true(waiting_first_due() == NEVER);
}

static void
who_is_due_first_comes_first(void **state)
{
	char		id[QUEUE_ID_MAX + 1];
	enum queue_dir	dir;

	(void)state;
	assert_true(waiting_add("B", QUEUE_DEFERRED, 20));
	assert_true(waiting_add("A", QUEUE_INCOMING, 10));
	assert_true(waiting_add("C", QUEUE_DEFERRED, 30));
	assert_int_equal(waiting_first_due(), 10);
	assert_false(waiting_take(9, id, &dir));
	assert_true(waiting_take(25, id, &dir));
	assert_string_equal(id, "A");
	assert_int_equal(dir, QUEUE_INCOMING);
	assert_true(waiting_take(25, id, &dir));
	assert_string_equal(id, "B");
	assert_int_equal(dir, QUEUE_DEFERRED);
	assert_false(waiting_take(25, id, &dir));
	empty();
}

static void
an_id_is_known_once(void **state)
{
	(void)state;
	assert_true(waiting_add("A", QUEUE_INCOMING, 10));
	assert_false(waiting_add("A", QUEUE_DEFERRED, 5));
	assert_int_equal(waiting_first_due(), 10);
	assert_true(waiting_has("A"));
	assert_true(waiting_remove("A"));
	assert_false(waiting_remove("A"));
	assert_false(waiting_has("A"));
	assert_false(waiting_set_due("A", 1));
}

static void
times_can_change_in_both_directions(void **state)
{
	char		id[QUEUE_ID_MAX + 1];
	enum queue_dir	dir;
	int		i;

	(void)state;
	for (i = 0; i < 100; i++)
		waiting_add(name(i), QUEUE_DEFERRED, 1000 + i);
	assert_true(waiting_set_due(name(50), 1));
	assert_true(waiting_set_due(name(0), 5000));
	assert_true(waiting_take(NEVER, id, &dir));
	assert_string_equal(id, name(50));
	assert_true(waiting_take(NEVER, id, &dir));
	assert_string_equal(id, name(1));
	waiting_all_due(7);
	assert_int_equal(waiting_first_due(), 7);
	empty();
}

/* Everything that the index can do, beside a plain array that does the same
 * slowly. */
static void
it_agrees_with_a_plain_array(void **state)
{
	enum { IDS = 500 };
	static int64_t	due[IDS];
	char		id[QUEUE_ID_MAX + 1];
	enum queue_dir	dir;
	int		i, n, first, round;
	size_t		count = 0;

	(void)state;
	srandom(7);
	for (i = 0; i < IDS; i++)
		due[i] = -1;
	for (round = 0; round < 20000; round++) {
		n = (int)(random() % IDS);
		switch (random() % 4) {
		case 0:
		case 1:
			i = (int)(random() % 1000);
			assert_int_equal(waiting_add(name(n), QUEUE_DEFERRED,
			    i), due[n] == -1);
			count += due[n] == -1;
			due[n] = due[n] == -1 ? i : due[n];
			break;
		case 2:
			assert_int_equal(waiting_remove(name(n)), due[n] != -1);
			count -= due[n] != -1;
			due[n] = -1;
			break;
		default:
			for (i = 0, first = -1; i < IDS; i++)
				if (due[i] != -1 && (first == -1 ||
				    due[i] < due[first]))
					first = i;
			assert_int_equal(waiting_take(NEVER, id, &dir),
			    first != -1);
			if (first == -1)
				break;
			assert_int_equal(due[atoi(id + 2)], due[first]);
			due[atoi(id + 2)] = -1;
			count--;
		}
		assert_int_equal(waiting_count(), count);
	}
	empty();
}

static void
a_hundred_thousand_are_no_trouble(void **state)
{
	char		id[QUEUE_ID_MAX + 1];
	enum queue_dir	dir;
	int64_t		before = -1, due;
	int		i;

	(void)state;
	for (i = 0; i < 100000; i++)
		assert_true(waiting_add(name(i), QUEUE_DEFERRED,
		    (int64_t)i * 7919 % 100003));
	for (i = 0; i < 100000; i++)
		assert_true(waiting_has(name(i)));
	for (i = 0; i < 100000; i++) {
		due = waiting_first_due();
		assert_true(due >= before);
		before = due;
		assert_true(waiting_take(NEVER, id, &dir));
	}
	empty();
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(who_is_due_first_comes_first),
		cmocka_unit_test(an_id_is_known_once),
		cmocka_unit_test(times_can_change_in_both_directions),
		cmocka_unit_test(it_agrees_with_a_plain_array),
		cmocka_unit_test(a_hundred_thousand_are_no_trouble),
	};

	return cmocka_run_group_tests_name("waiting", tests, NULL, NULL);
}
