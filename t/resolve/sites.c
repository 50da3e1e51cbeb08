/*
 * sites.c - claims about the names of sets of hosts.
 *
 * needs: resolve/sites.c resolve/rewrite.c resolve/nexthop.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "resolve/resolve.h"

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

static char *
name_of(char **names, size_t count, const char *port)
{
	struct hosts	hosts = { .had_mx = count > 0, .count = count };
	size_t		i;

	hosts.hosts = pool_array(pool, count + 1, sizeof(*hosts.hosts));
	for (i = 0; i < count; i++)
		hosts.hosts[i].name = names[i];
	return site_name(pool, "Example.Test", port, &hosts);
}

static void
order_case_and_repetition_make_no_difference(void **state)
{
	char	a[] = "mx1.test", b[] = "MX2.test", c[] = "mx1.TEST";
	char	*one[] = { a, b }, *other[] = { b, c, a };

	(void)state;
	assert_string_equal(name_of(one, 2, ""), "mx1.test,mx2.test");
	assert_string_equal(name_of(other, 3, ""), "mx1.test,mx2.test");
	assert_string_equal(name_of(one, 2, "2525"),
	    "mx1.test:2525,mx2.test:2525");
}

static void
without_mx_the_next_hop_is_the_site(void **state)
{
	(void)state;
	assert_string_equal(name_of(NULL, 0, ""), "example.test");
}

static void
a_long_set_has_a_short_name_of_its_own(void **state)
{
	char	*names[100], *first, *second;
	int	 i;

	(void)state;
	for (i = 0; i < 100; i++)
		names[i] = pool_printf(pool, "host%02d.example.test", i);
	first = name_of(names, 100, "");
	assert_true(strlen(first) < 400);
	names[99] = pool_strdup(pool, "other.example.test");
	second = name_of(names, 100, "");
	assert_string_not_equal(first, second);
	assert_string_equal(second, name_of(names, 100, ""));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(order_case_and_repetition_make_no_difference),
		cmocka_unit_test(without_mx_the_next_hop_is_the_site),
		cmocka_unit_test(a_long_set_has_a_short_name_of_its_own),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
