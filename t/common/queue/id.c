/*
 * id.c - claims about the names of messages.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/queue/queue.h"

static void
an_id_is_letters_and_digits_without_vowels(void **state)
{
	char	id[QUEUE_ID_MAX + 1];
	size_t	i;

	(void)state;
	queue_id_new(id, 1);
	assert_true(queue_id_is_valid(id));
	for (i = 0; id[i] != '\0'; i++) {
		assert_true(isalnum((unsigned char)id[i]));
		assert_null(strchr("aeiouAEIOU", id[i]));
	}
}

/* P1 */
static void
ids_of_a_process_are_unlike_and_sort_by_time(void **state)
{
	char	before[QUEUE_ID_MAX + 1], id[QUEUE_ID_MAX + 1];
	int	i;

	(void)state;
	queue_id_new(before, 1);
	for (i = 0; i < 100000; i++) {
		queue_id_new(id, 1);
		assert_true(strcmp(before, id) < 0);
		memcpy(before, id, sizeof(id));
	}
}

/* P2 */
static void
workers_show_in_the_id(void **state)
{
	char	one[QUEUE_ID_MAX + 1], two[QUEUE_ID_MAX + 1];

	(void)state;
	queue_id_new(one, 1);
	queue_id_new(two, 2);
	assert_memory_not_equal(one + 10, two + 10, 2);
}

static void
an_id_tells_its_time(void **state)
{
	char	id[QUEUE_ID_MAX + 1];
	int64_t	now = clock_wall_us(), told;

	(void)state;
	queue_id_new(id, 7);
	told = queue_id_time(id);
	/* the ids made above ran ahead of the clock by less than a second */
	assert_true(told >= now && told < now + 1000000);
	assert_int_equal(queue_id_time("bad-one"), -1);
	assert_int_equal(queue_id_time(""), -1);
	assert_int_equal(queue_id_time("aaaaaaaaaaaaaaa"), -1);
}

static void
names_that_leave_the_directory_are_no_ids(void **state)
{
	static const char *const	bad[] = {
		"", ".", "..", "a/b", "../x", "a.b", "a-b", "a_b", "a b", "a\n",
		"\xc3\xa4", "123456789012345678901234567890123"
	};
	size_t				i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(queue_id_is_valid(bad[i]));
	assert_true(queue_id_is_valid("12345678901234567890123456789012"));
}

static void
the_hash_spreads_ids_made_one_after_another(void **state)
{
	char		id[QUEUE_ID_MAX + 1], hash[3];
	unsigned	count[256] = { 0 };
	int		i;

	(void)state;
	for (i = 0; i < 256 * 100; i++)
		count[strtoul(queue_id_hash(hash, queue_id_new(id, 1)), NULL,
		    16)]++;
	for (i = 0; i < 256; i++)
		assert_in_range(count[i], 40, 220);
}

static void
the_hash_of_an_id_stays_the_same(void **state)
{
	char	one[3], two[3];

	(void)state;
	assert_string_equal(queue_id_hash(one, "3BCDFGHJKL01000"),
	    queue_id_hash(two, "3BCDFGHJKL01000"));
	assert_int_equal(strlen(queue_id_hash(one, "x")), 2);
}

static void
only_what_a_hash_can_be_is_one(void **state)
{
	char	hash[3];

	(void)state;
	assert_true(queue_is_hash(queue_id_hash(hash, "3BCDFGHJKL01000")));
	assert_true(queue_is_hash("00"));
	assert_true(queue_is_hash("9f"));
	assert_false(queue_is_hash(""));
	assert_false(queue_is_hash("0"));
	assert_false(queue_is_hash("000"));
	assert_false(queue_is_hash("0g"));
	assert_false(queue_is_hash("9F"));
	assert_false(queue_is_hash(".."));
}

static void
an_id_is_of_who_made_it_a_moment_ago(void **state)
{
	char	id[QUEUE_ID_MAX + 1];

	(void)state;
	queue_id_new(id, 4711);
	assert_true(queue_id_is_of(id, 4711, 1000));
	assert_true(queue_id_is_of(id, 4711 + 52 * 52, 1000));
	assert_false(queue_id_is_of(id, 4712, 1000));
	assert_false(queue_id_is_of(id, 4711, -2000));
	assert_false(queue_id_is_of("", 0, 1000));
	id[3]++;			/* years from now */
	assert_false(queue_id_is_of(id, 4711, 1000));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(an_id_is_letters_and_digits_without_vowels),
		cmocka_unit_test(ids_of_a_process_are_unlike_and_sort_by_time),
		cmocka_unit_test(workers_show_in_the_id),
		cmocka_unit_test(an_id_tells_its_time),
		cmocka_unit_test(names_that_leave_the_directory_are_no_ids),
		cmocka_unit_test(the_hash_spreads_ids_made_one_after_another),
		cmocka_unit_test(the_hash_of_an_id_stays_the_same),
		cmocka_unit_test(only_what_a_hash_can_be_is_one),
		cmocka_unit_test(an_id_is_of_who_made_it_a_moment_ago),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
