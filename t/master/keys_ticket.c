/*
 * keys_ticket.c - keys of tickets: by service, in time, gone when over.
 *
 * needs: master/keys_ticket.c
 */
#include "master/keys_ticket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static struct pool	*pool;
static const int64_t	 T = 1700000000000, HOUR = 3600 * 1000;

/* The rows of a service at this time after T. */
static struct ticket_keys
at(int64_t when, const char *service)
{
	struct ticket_keys	rows;

	assert_int_equal(keys_ticket_rows(service, 3600, T + when, pool,
	    &rows), 0);
	return rows;
}

static bool
are_equal(const struct bytes *a, const struct bytes *b)
{
	return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

/* Is this key among them? */
static bool
has(const struct ticket_keys *rows, const struct ticket_row *key)
{
	size_t	i;

	for (i = 0; i < rows->count; i++)
		if (are_equal(&rows->rows[i].name, &key->name))
			return are_equal(&rows->rows[i].secret,
			    &key->secret) && are_equal(&rows->rows[i].mac,
			    &key->mac);
	return false;
}

static void
all_processes_of_a_service_get_the_same(void **state)
{
	struct ticket_keys	a = at(0, "smtp/inet");
	struct ticket_keys	b = at(60 * 1000, "smtp/inet");

	(void)state;
	assert_int_equal(a.count, 1);
	assert_int_equal(a.rows[0].name.len, 16);
	assert_int_equal(a.rows[0].secret.len, 32);
	assert_int_equal(a.rows[0].mac.len, 32);
	assert_true(has(&b, &a.rows[0]));
	assert_false(are_equal(&a.rows[0].secret, &a.rows[0].mac));
	assert_int_equal(a.rows[0].fresh_until, T + HOUR / 2);
	assert_int_equal(a.rows[0].valid_until, T + HOUR);
}

static void
T1_services_share_no_keys(void **state)
{
	struct ticket_keys	a = at(0, "smtp/inet");
	struct ticket_keys	b = at(0, "submission/inet");

	(void)state;
	assert_false(has(&b, &a.rows[0]));
	assert_false(are_equal(&a.rows[0].name, &b.rows[0].name));
	assert_false(are_equal(&a.rows[0].secret, &b.rows[0].secret));
	assert_false(are_equal(&a.rows[0].mac, &b.rows[0].mac));
}

static void
the_next_key_is_known_before_its_turn(void **state)
{
	struct ticket_keys	first = at(0, "a"), rows;

	(void)state;
	rows = at(HOUR / 4 - 1, "a");
	assert_int_equal(rows.count, 1);
	rows = at(HOUR / 4 + 1, "a");
	assert_int_equal(rows.count, 2);
	assert_true(has(&rows, &first.rows[0]));
	assert_int_equal(rows.rows[0].fresh_until, T + HOUR);
	assert_int_equal(rows.rows[0].valid_until, T + HOUR * 3 / 2);
}

static void
there_is_always_a_fresh_key_and_never_one_that_is_over(void **state)
{
	struct ticket_keys	rows, before = { 0 };
	int64_t			when, now;
	size_t			i;
	bool			is_fresh;

	(void)state;
	for (when = 0; when < 10 * HOUR; when += HOUR / 8) {
		rows = at(when, "a");
		now = T + when;
		is_fresh = false;
		assert_in_range(rows.count, 1, 4);
		for (i = 0; i < rows.count; i++) {
			assert_true(rows.rows[i].valid_until > now);
			assert_true(rows.rows[i].valid_until <= now +
			    HOUR * 3 / 2);
			is_fresh |= rows.rows[i].fresh_until > now;
		}
		assert_true(is_fresh);
		/* what seals now was known an eighth of the time ago */
		for (i = 0; i < before.count; i++)
			if (before.rows[i].fresh_until > now)
				break;
		assert_true(when == 0 || i < before.count);
		before = rows;
	}
}

static void
T2_what_is_over_is_wiped(void **state)
{
	(void)state;
	(void)at(0, "a");
	assert_int_equal(keys_ticket_count(), 1);
	keys_ticket_sweep(T + HOUR - 1);
	assert_int_equal(keys_ticket_count(), 1);
	keys_ticket_sweep(T + HOUR);
	assert_int_equal(keys_ticket_count(), 0);
	(void)at(5 * HOUR, "a");
	keys_ticket_wipe();
	assert_int_equal(keys_ticket_count(), 0);
}

static void
a_clock_that_was_set_back_keeps_nothing_alive(void **state)
{
	struct ticket_keys	before = at(0, "a"), rows;

	(void)state;
	rows = at(-24 * HOUR, "a");
	assert_int_equal(rows.count, 1);
	assert_false(has(&rows, &before.rows[0]));
	assert_int_equal(rows.rows[0].fresh_until, T - 24 * HOUR + HOUR / 2);
}

static void
lifetimes_without_number_do_not_fill_memory(void **state)
{
	struct ticket_keys	rows;
	int64_t			i;

	(void)state;
	for (i = 1; i < 1000; i++)
		assert_int_equal(keys_ticket_rows("a", i * 7, T + i, pool,
		    &rows), 0);
	assert_in_range(keys_ticket_count(), 1, 8);
}

static int
begin(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	pool_free(pool);
	keys_ticket_wipe();
	return 0;
}

#define TEST(t)	cmocka_unit_test_setup_teardown(t, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_processes_of_a_service_get_the_same),
		TEST(T1_services_share_no_keys),
		TEST(the_next_key_is_known_before_its_turn),
		TEST(there_is_always_a_fresh_key_and_never_one_that_is_over),
		TEST(T2_what_is_over_is_wiped),
		TEST(a_clock_that_was_set_back_keeps_nothing_alive),
		TEST(lifetimes_without_number_do_not_fill_memory)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
