/*
 * nexthop.c - claims about next hops as people write them.
 *
 * needs: resolve/nexthop.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

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

/* The only element. */
static struct hop
only(const char *text)
{
	struct hop	*hops;
	size_t		 count;

	hops = hops_parse(pool, text, &count);
	assert_int_equal(count, 1);
	return hops[0];
}

static void
expect(const char *text, const char *host, const char *port, bool brackets)
{
	struct hop	hop = only(text);

	assert_string_equal(hop.host, host);
	assert_string_equal(hop.port, port);
	assert_int_equal(hop.has_brackets, brackets);
	assert_false(hop.is_unix);
}

static void
a_host_may_have_brackets_and_a_port(void **state)
{
	(void)state;
	expect("Example.COM", "example.com", "", false);
	expect("example.com:587", "example.com", "587", false);
	expect("[host]", "host", "", true);
	expect("[192.0.2.1]:submission", "192.0.2.1", "submission", true);
	expect("inet:host:24", "host", "24", false);
	expect("inet:[127.0.0.1]:2003", "127.0.0.1", "2003", true);
}

static void
an_ipv6_address_is_no_host_with_a_port(void **state)
{
	(void)state;
	expect("[IPv6:2001:db8::1]:25", "ipv6:2001:db8::1", "25", true);
	expect("2001:db8::1", "2001:db8::1", "", false);
}

static void
a_socket_keeps_its_case(void **state)
{
	struct hop	hop = only("unix:private/Box");

	(void)state;
	assert_true(hop.is_unix);
	assert_string_equal(hop.host, "private/Box");
}

static void
a_list_has_commas_or_white_space(void **state)
{
	struct hop	*hops;
	size_t		 count;

	(void)state;
	hops = hops_parse(pool, " a.test, [b.test]:1\tunix:/c ,d.test ",
	    &count);
	assert_int_equal(count, 4);
	assert_string_equal(hops[1].host, "b.test");
	assert_true(hops[2].is_unix);
	assert_string_equal(hops[3].host, "d.test");
	(void)hops_parse(pool, " , ", &count);
	assert_int_equal(count, 0);
}

static void
broken_ones_do_no_harm(void **state)
{
	(void)state;
	expect("[open", "open", "", true);
	expect("[]", "", "", true);
	expect("[a]b", "a", "", true);
	expect(":25", "", "25", false);
	expect("a:", "a", "", false);
	assert_string_equal(only("unix:").host, "");
}

static void
ports_have_names(void **state)
{
	(void)state;
	assert_string_equal(port_number("SMTP"), "25");
	assert_string_equal(port_number("submission"), "587");
	assert_string_equal(port_number("2525"), "2525");
	assert_string_equal(port_number("unheard-of"), "unheard-of");
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(a_host_may_have_brackets_and_a_port),
		cmocka_unit_test(an_ipv6_address_is_no_host_with_a_port),
		cmocka_unit_test(a_socket_keeps_its_case),
		cmocka_unit_test(a_list_has_commas_or_white_space),
		cmocka_unit_test(broken_ones_do_no_harm),
		cmocka_unit_test(ports_have_names),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
