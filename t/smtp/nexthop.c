/*
 * nexthop.c - claims about what a route may say.
 *
 * needs: smtp/nexthop.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "smtp/nexthop.h"

static struct pool	*pool;
static struct nexthop	*hops;
static size_t		 count;

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

/* One next hop of SMTP is this. */
static void
is_smtp(const char *text, enum nexthop_kind kind, const char *name,
    unsigned port)
{
	assert_null(nexthop_parse(pool, text, false, "smtp", &hops, &count));
	assert_int_equal(count, 1);
	assert_int_equal(hops[0].kind, kind);
	assert_string_equal(hops[0].name, name);
	assert_int_equal(hops[0].port, port);
}

static void
is_lmtp(const char *text, enum nexthop_kind kind, const char *name,
    unsigned port)
{
	assert_null(nexthop_parse(pool, text, true, "24", &hops, &count));
	assert_int_equal(count, 1);
	assert_int_equal(hops[0].kind, kind);
	assert_string_equal(hops[0].name, name);
	assert_int_equal(hops[0].port, port);
}

static void
is_wrong(const char *text, bool lmtp)
{
	assert_non_null(nexthop_parse(pool, text, lmtp, lmtp ? "24" : "smtp",
	    &hops, &count));
}

static void
a_domain_has_mx_hosts_and_brackets_mean_the_host(void **state)
{
	(void)state;
	is_smtp("example.com", NEXTHOP_DOMAIN, "example.com", 25);
	is_smtp("[mx.example.com]", NEXTHOP_HOST, "mx.example.com", 25);
	is_smtp("[192.0.2.1]", NEXTHOP_HOST, "192.0.2.1", 25);
	is_smtp("[2001:db8::1]", NEXTHOP_HOST, "2001:db8::1", 25);
	is_smtp("[IPv6:2001:db8::1]:26", NEXTHOP_HOST, "2001:db8::1", 26);
}

static void
a_port_is_a_number_or_a_name(void **state)
{
	(void)state;
	is_smtp("example.com:submission", NEXTHOP_DOMAIN, "example.com", 587);
	assert_string_equal(hops[0].service, "submission");
	is_smtp("[mx.example.com]:10025", NEXTHOP_HOST, "mx.example.com",
	    10025);
	is_smtp("mx.example.com:smtp", NEXTHOP_DOMAIN, "mx.example.com", 25);
	assert_int_equal(nexthop_port("submissions"), 465);
	assert_int_equal(nexthop_port("lmtp"), 24);
	assert_int_equal(nexthop_port("gopher"), 0);
	assert_int_equal(nexthop_port("0"), 0);
	assert_int_equal(nexthop_port("65536"), 0);
	assert_int_equal(nexthop_port(""), 0);
}

static void
where_no_port_is_written_the_parameter_names_it(void **state)
{
	(void)state;
	assert_null(nexthop_parse(pool, "example.com", false, "2525", &hops,
	    &count));
	assert_int_equal(hops[0].port, 2525);
	assert_non_null(nexthop_parse(pool, "example.com", false, "gopher",
	    &hops, &count));
}

static void
a_list_is_tried_in_its_order(void **state)
{
	(void)state;
	assert_null(nexthop_parse(pool, "[a.test]:26, b.test\tc.test:587",
	    false, "smtp", &hops, &count));
	assert_int_equal(count, 3);
	assert_string_equal(hops[0].text, "[a.test]:26");
	assert_string_equal(hops[1].name, "b.test");
	assert_int_equal(hops[1].port, 25);
	assert_int_equal(hops[2].port, 587);
}

static void
lmtp_has_sockets_and_no_mx_hosts(void **state)
{
	(void)state;
	is_lmtp("unix:private/dovecot-lmtp", NEXTHOP_UNIX,
	    "private/dovecot-lmtp", 0);
	is_lmtp("unix:/run/dovecot/lmtp", NEXTHOP_UNIX, "/run/dovecot/lmtp",
	    0);
	is_lmtp("inet:store.test", NEXTHOP_HOST, "store.test", 24);
	is_lmtp("inet:store.test:2424", NEXTHOP_HOST, "store.test", 2424);
	is_lmtp("inet:[::1]:2424", NEXTHOP_HOST, "::1", 2424);
	is_lmtp("store.test", NEXTHOP_HOST, "store.test", 24);
	is_lmtp("[192.0.2.1]", NEXTHOP_HOST, "192.0.2.1", 24);
}

static void
what_makes_no_sense_is_told(void **state)
{
	static const char *const	wrong[] = {
		"", " , ", "[a.test", "[a.test]x", "a.test:", "a.test:0",
		"a.test:gopher", "2001:db8::1", "[]:25", ":25"
	};
	size_t				 i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		is_wrong(wrong[i], false);
		is_wrong(wrong[i], true);
	}
	is_wrong("unix:private/lmtp", false);
	is_wrong("unix:", true);
	is_wrong("good.test, bad.test:gopher", false);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(a_domain_has_mx_hosts_and_brackets_mean_the_host),
		cmocka_unit_test(a_port_is_a_number_or_a_name),
		cmocka_unit_test(where_no_port_is_written_the_parameter_names_it),
		cmocka_unit_test(a_list_is_tried_in_its_order),
		cmocka_unit_test(lmtp_has_sockets_and_no_mx_hosts),
		cmocka_unit_test(what_makes_no_sense_is_told)
	};

	return cmocka_run_group_tests_name("nexthop", tests, set_up,
	    tear_down);
}
