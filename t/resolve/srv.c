/*
 * srv.c - claims about the order of SRV records.
 *
 * needs: resolve/dns_srv.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "resolve/dns.h"

enum { ROUNDS = 20000 };

/* A chance that is the same in every run. */
static uint32_t	seed = 1;

static uint32_t
below(uint32_t bound)
{
	seed = seed * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)seed * bound >> 32);
}

static uint32_t
always_least(uint32_t bound)
{
	(void)bound;
	return 0;
}

static uint32_t
always_greatest(uint32_t bound)
{
	return bound - 1;
}

static struct answer_record
record(const char *name, uint16_t priority, uint16_t weight)
{
	return (struct answer_record){ .preference = priority,
	    .weight = weight, .port = 587, .name = (char *)(uintptr_t)name };
}

/* How often the host came first in many rounds, in percent. */
static unsigned
share(const struct answer_record *records, size_t count, const char *name)
{
	struct answer_record	copy[8];
	unsigned		n = 0;
	int			i;

	for (i = 0; i < ROUNDS; i++) {
		memcpy(copy, records, count * sizeof(*records));
		srv_order(copy, count, below);
		n += strcmp(copy[0].name, name) == 0;
	}
	return (n * 100 + ROUNDS / 2) / ROUNDS;
}

static void
the_least_priority_is_first_whatever_the_weights(void **state)
{
	struct answer_record	r[] = { record("c", 30, 9000),
				    record("a", 10, 0), record("b", 20, 1) };
	int			i;

	(void)state;
	for (i = 0; i < 100; i++) {
		srv_order(r, 3, below);
		assert_string_equal(r[0].name, "a");
		assert_string_equal(r[1].name, "b");
		assert_string_equal(r[2].name, "c");
	}
}

static void
weights_are_shares(void **state)
{
	const struct answer_record	r[] = { record("a", 1, 60),
					    record("b", 1, 30),
					    record("c", 1, 10) };

	(void)state;
	assert_in_range(share(r, 3, "a"), 57, 63);
	assert_in_range(share(r, 3, "b"), 27, 33);
	assert_in_range(share(r, 3, "c"), 7, 13);
}

static void
without_a_weight_the_chance_is_small_but_there(void **state)
{
	const struct answer_record	r[] = { record("a", 1, 0),
					    record("b", 1, 9) };

	(void)state;
	assert_in_range(share(r, 2, "a"), 8, 12);
	assert_in_range(share(r, 2, "b"), 88, 92);
}

static void
equals_without_weights_share(void **state)
{
	const struct answer_record	r[] = { record("a", 1, 0),
					    record("b", 1, 0),
					    record("c", 1, 0) };

	(void)state;
	assert_in_range(share(r, 3, "a"), 31, 36);
	assert_in_range(share(r, 3, "c"), 31, 36);
}

static void
the_second_place_is_drawn_like_the_first(void **state)
{
	struct answer_record	r[3];
	unsigned		n = 0, all = 0;
	int			i;

	(void)state;
	for (i = 0; i < ROUNDS; i++) {
		r[0] = record("a", 1, 50);
		r[1] = record("b", 1, 40);
		r[2] = record("c", 1, 10);
		srv_order(r, 3, below);
		if (strcmp(r[0].name, "a") != 0)
			continue;
		all++;
		n += strcmp(r[1].name, "b") == 0;
	}
	assert_in_range(n * 100 / all, 76, 84);
}

static void
the_ends_of_chance_stay_inside(void **state)
{
	struct answer_record	r[4];
	size_t			i;

	(void)state;
	for (i = 0; i < 4; i++)
		r[i] = record(i % 2 ? "a" : "b", 1, 65535);
	srv_order(r, 4, always_greatest);
	srv_order(r, 4, always_least);
	srv_order(r, 1, always_greatest);
	srv_order(r, 0, always_greatest);
	for (i = 0; i < 4; i++)
		r[i] = record("a", 1, 0);
	srv_order(r, 4, always_greatest);
	assert_string_equal(r[3].name, "a");
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(
		    the_least_priority_is_first_whatever_the_weights),
		cmocka_unit_test(weights_are_shares),
		cmocka_unit_test(without_a_weight_the_chance_is_small_but_there),
		cmocka_unit_test(equals_without_weights_share),
		cmocka_unit_test(the_second_place_is_drawn_like_the_first),
		cmocka_unit_test(the_ends_of_chance_stay_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
