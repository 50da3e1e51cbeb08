/*
 * waiting.c - the index of messages that are not open: each is there once,
 * and the one that is due first comes first.
 *
 * needs: qmgr/waiting.c qmgr/marks.c
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
	waiting_all_due(7, 0);
	assert_int_equal(waiting_first_due(), 7);
	empty();
}

static void
many_that_are_wanted_at_once_come_one_after_the_other(void **state)
{
	char		id[QUEUE_ID_MAX + 1];
	enum queue_dir	dir;
	int		i, early = 0;

	(void)state;
	for (i = 0; i < 1000; i++)
		waiting_add(name(i), QUEUE_DEFERRED, i < 10 ? 50 : 90000);
	waiting_add("new", QUEUE_INCOMING, 90000);
	waiting_all_due(100, 10000);
	for (i = 0; i < 1001 && waiting_take(5100, id, &dir); i++)
		early++;
	assert_in_range(early, 400, 600);
	assert_false(waiting_has("new"));
	for (i = 0; i < 10; i++)
		assert_false(waiting_has(name(i)));
	for (; i < 1000 && waiting_take(10100, id, &dir); i++)
		early++;
	assert_int_equal(early, 1001);
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

/* Add one with these names and this site. */
static void
add_marked(int n, int64_t due, uint32_t site, unsigned flags, uint32_t a,
    uint32_t b)
{
	struct marks	m = { .site = site };

	if (a != 0)
		marks_add(&m, a);
	if (b != 0)
		marks_add(&m, b);
	assert_true(waiting_add(name(n), QUEUE_DEFERRED, due));
	assert_true(waiting_set_marks(name(n), &m, flags));
}

static void
names_are_hashed_without_case_and_kept_while_they_are_few(void **state)
{
	struct marks	m = { .site = 0 };
	uint32_t	h[5] = { 1, 2, 3, 4, 5 };

	(void)state;
	assert_int_equal(marks_hash("One.TEST", 8), marks_hash("one.test", 8));
	assert_true(marks_hash("one.test", 8) != marks_hash("two.test", 8));
	marks_add(&m, 1);
	marks_add(&m, 1);
	assert_int_equal(m.count, 1);
	marks_add(&m, 2);
	marks_add(&m, 3);
	assert_int_equal(m.count, 3);
	assert_true(marks_have(&m, h + 2, 1));
	assert_false(marks_have(&m, h + 3, 2));
	marks_add(&m, 4);
	assert_int_equal(m.count, MARKS_MANY);
	assert_false(marks_have(&m, h, 5));
}

static void
a_flush_finds_those_with_the_name(void **state)
{
	struct waiting_one	one;
	uint32_t		sites[FLUSHED_SITES], hash[2] = { 7, 8 }, at = 0;
	size_t			unknown;
	enum queue_dir		dir;
	char			id[QUEUE_ID_MAX + 1];
	int			i;

	(void)state;
	for (i = 0; i < 1000; i++)
		add_marked(i, 10000 + i, i == 500 ? 99 : 0, 0,
		    i % 100 == 0 ? 7 : 5, i == 3 ? 8 : 6);
	waiting_add("UNKNOWN", QUEUE_INCOMING, 20000);
	assert_int_equal(waiting_flush(hash, 2, 50, &unknown, sites), 11);
	assert_int_equal(unknown, 1);
	assert_int_equal(sites[0], 99);
	assert_int_equal(sites[1], 0);
	for (i = 0; i < 11; i++) {
		assert_true(waiting_take_one(50, &one));
		assert_true(one.flags & WAITING_FLUSHED);
		assert_int_equal(one.due, 50);
	}
	assert_false(waiting_take_one(50, &one));
	assert_true(waiting_next_unknown(&at, id, &dir));
	assert_string_equal(id, "UNKNOWN");
	assert_false(waiting_next_unknown(&at, id, &dir));
	/* nearly all: the order is right afterwards */
	hash[0] = 5;
	assert_int_equal(waiting_flush(hash, 1, 60, &unknown, sites), 989);
	for (i = 0; i < 989; i++)
		assert_true(waiting_take_one(60, &one));
	assert_int_equal(waiting_first_due(), 20000);
	empty();
}

static void
what_a_file_tells_is_only_for_who_knows_nothing(void **state)
{
	struct marks		read = { .site = 0 };
	uint32_t		sites[FLUSHED_SITES], five = 5;
	size_t			unknown;
	struct waiting_one	one;

	(void)state;
	marks_add(&read, five);
	assert_true(waiting_add("UNKNOWN", QUEUE_DEFERRED, 1));
	assert_int_equal(waiting_set_names("UNKNOWN", &read), 0);
	assert_int_equal(waiting_flush(&five, 1, 0, &unknown, sites), 1);
	assert_int_equal(unknown, 0);
	assert_true(waiting_take_one(1, &one));

	/* too many names, and a site that does not answer */
	one.marks = (struct marks){ .site = 9, .count = MARKS_MANY };
	one.flags = WAITING_DEAD;
	waiting_put_back(&one);
	assert_int_equal(waiting_set_names("UNKNOWN", &read), 9);
	assert_true(waiting_take_one(1, &one));
	assert_int_equal(one.marks.site, 9);
	assert_int_equal(one.marks.count, MARKS_MANY);
	assert_int_equal(one.flags, WAITING_DEAD);
	assert_int_equal(waiting_set_names("UNKNOWN", &read), 0);
	empty();
}

static void
those_of_a_site_come_forward_over_a_time(void **state)
{
	struct call		sites[] = { { .site = 9, .limit = SIZE_MAX },
				    { .site = 3, .limit = SIZE_MAX },
				    { .site = 9, .limit = SIZE_MAX } };
	struct waiting_one	one;
	int64_t			first = INT64_MAX, last = 0;
	int			i;

	(void)state;
	for (i = 0; i < 300; i++)
		add_marked(i, 100000, (uint32_t)(i % 3 + 2),
		    i % 2 ? WAITING_DEAD : 0, 1, 0);
	assert_int_equal(waiting_sort(sites, 3), 2);
	assert_int_equal(waiting_at_sites(sites, 2, WAITING_DEAD), 50);
	assert_int_equal(waiting_pull(sites, 2, WAITING_DEAD, 1000, 500), 50);
	assert_int_equal(sites[0].found, 50);
	assert_int_equal(sites[1].found, 0);
	for (i = 0; i < 50; i++) {
		assert_true(waiting_take_one(1500, &one));
		assert_int_equal(one.marks.site, 3);
		first = one.due < first ? one.due : first;
		last = one.due > last ? one.due : last;
	}
	assert_true(first < 1100 && first >= 1000);
	assert_true(last > 1400 && last < 1500);
	assert_int_equal(waiting_first_due(), 100000);
	empty();
}

static void
nobody_is_passed_over_for_ever(void **state)
{
	enum { IDS = 200, STEP = 16 };
	struct call		site;
	struct waiting_one	one;
	bool			seen[IDS] = { false };
	int			i, n;

	(void)state;
	for (i = 0; i < IDS; i++)
		add_marked(i, 100000, 4, WAITING_PARKED, 1, 0);
	for (i = 0; i < IDS / STEP + 1; i++) {
		site = (struct call){ .site = 4, .limit = STEP };
		assert_int_equal(waiting_pull(&site, 1, WAITING_PARKED, 5, 0),
		    STEP);
		while (waiting_take_one(5, &one)) {
			n = atoi(one.id + 2);
			seen[n] = true;	/* and put back at once */
			add_marked(n, 100000, 4, WAITING_PARKED, 1, 0);
		}
	}
	for (i = 0; i < IDS; i++)
		assert_true(seen[i]);
	empty();
}

static void
each_site_gets_as_many_as_it_wants_in_one_look(void **state)
{
	struct call		calls[3];
	struct waiting_one	one;
	uint32_t		site;
	int			i, seen[4] = { 0 };

	(void)state;
	for (i = 0; i < 300; i++)
		add_marked(i, 100000, (uint32_t)(i % 3 + 1), WAITING_PARKED, 1,
		    0);
	for (site = 1; site <= 3; site++)
		calls[site - 1] = (struct call){ .site = site,
		    .limit = site * 10 };
	assert_int_equal(waiting_pull(calls, 3, WAITING_PARKED, 5, 0), 60);
	while (waiting_take_one(5, &one))
		seen[one.marks.site]++;
	for (i = 1; i <= 3; i++)
		assert_int_equal(seen[i], i * 10);
	empty();
}

static void
new_mail_and_mail_that_was_tried_come_by_turns(void **state)
{
	struct waiting_one	one;
	int			i, new = 0;

	(void)state;
	for (i = 0; i < 1000; i++)	/* a long queue that was flushed */
		waiting_add(name(i), QUEUE_DEFERRED, 10);
	for (i = 1000; i < 1010; i++)	/* and then new mail came in */
		waiting_add(name(i), QUEUE_INCOMING, 500);
	assert_int_equal(waiting_count(), 1010);
	for (i = 0; i < 20; i++) {
		assert_true(waiting_take_one(1000, &one));
		new += one.dir == QUEUE_INCOMING;
	}
	assert_int_equal(new, 10);
	empty();
}

static void
who_is_put_back_is_the_next_one(void **state)
{
	struct waiting_one	one, again;
	int			i, new = 0, tried = 0;

	(void)state;
	for (i = 0; i < 100; i++)
		waiting_add(name(i), i % 2 ? QUEUE_INCOMING : QUEUE_DEFERRED,
		    10);
	/* There is room for one, then for none, and so on. */
	for (i = 0; i < 20; i++) {
		assert_true(waiting_take_one(10, &one));
		new += one.dir == QUEUE_INCOMING;
		tried += one.dir == QUEUE_DEFERRED;
		assert_true(waiting_take_one(10, &one));
		waiting_put_back(&one);
		assert_true(waiting_take_one(10, &again));
		assert_int_equal(one.dir, again.dir);
		waiting_put_back(&again);
	}
	assert_int_equal(new, 10);
	assert_int_equal(tried, 10);
	empty();
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(who_is_due_first_comes_first),
		cmocka_unit_test(an_id_is_known_once),
		cmocka_unit_test(times_can_change_in_both_directions),
		cmocka_unit_test(
		    many_that_are_wanted_at_once_come_one_after_the_other),
		cmocka_unit_test(it_agrees_with_a_plain_array),
		cmocka_unit_test(a_hundred_thousand_are_no_trouble),
		cmocka_unit_test(
		    names_are_hashed_without_case_and_kept_while_they_are_few),
		cmocka_unit_test(a_flush_finds_those_with_the_name),
		cmocka_unit_test(
		    what_a_file_tells_is_only_for_who_knows_nothing),
		cmocka_unit_test(those_of_a_site_come_forward_over_a_time),
		cmocka_unit_test(nobody_is_passed_over_for_ever),
		cmocka_unit_test(
		    each_site_gets_as_many_as_it_wants_in_one_look),
		cmocka_unit_test(
		    new_mail_and_mail_that_was_tried_come_by_turns),
		cmocka_unit_test(who_is_put_back_is_the_next_one),
	};

	return cmocka_run_group_tests_name("waiting", tests, NULL, NULL);
}
