/*
 * peers.c - who is looked at closely, and how addresses are shown.
 */
#include "common/daemon/peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/log.h"
#include "common/base/str.h"
#include "common/param/known.h"
#include "common/param/site.h"

static struct pool	*pool;

static int
fill(void **state)
{
	(void)state;
	log_to_nothing();
	pool = pool_new("test", 0);
	return 0;
}

static int
drain(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

/* Take these settings. */
static void
set(const char *list, const char *level, const char *parents)
{
	static const struct param *const	 tables[] = {
		peers_params, NULL
	};
	struct maincf				*mc = maincf_empty(pool);
	struct str				 problems;

	known_defaults(mc);
	maincf_set(mc, "debug_peer_list", list, "test");
	maincf_set(mc, "debug_peer_level", level, "test");
	maincf_set(mc, "parent_domain_matches_subdomains", parents, "test");
	str_init(&problems, pool, 0);
	assert_int_equal(param_load(mc, tables, &problems), 0);
	peers_prepare(mc);
}

/* How closely. */
static int
detail(const char *name, const char *address)
{
	struct inetaddr	a;

	assert_true(inetaddr_parse(&a, address));
	return peers_detail(name, &a);
}

static void
names_and_networks_are_found(void **state)
{
	(void)state;
	set("example.org, 192.0.2.0/24 2001:db8::7", "3", "debug_peer_list");
	assert_int_equal(detail("example.org", "10.0.0.1"), 3);
	assert_int_equal(detail("unknown", "192.0.2.99"), 3);
	assert_int_equal(detail("unknown", "2001:db8::7"), 3);
	assert_int_equal(detail("unknown", "2001:db8::8"), 0);
	assert_int_equal(detail("example.com", "10.0.0.1"), 0);
	assert_int_equal(peers_detail("example.org", NULL), 3);
	assert_int_equal(peers_detail("192.0.2.99", NULL), 0);
}

static void
domains_below_match_when_they_are_to(void **state)
{
	(void)state;
	set("example.org", "1", "mynetworks, debug_peer_list");
	assert_int_equal(detail("mx.example.org", "10.0.0.1"), 1);
	set("example.org", "1", "mynetworks");
	assert_int_equal(detail("mx.example.org", "10.0.0.1"), 0);
	assert_int_equal(detail("example.org", "10.0.0.1"), 1);
	set(".example.org", "1", "");
	assert_int_equal(detail("mx.example.org", "10.0.0.1"), 1);
}

static void
an_exclamation_mark_excludes(void **state)
{
	(void)state;
	set("!192.0.2.7, 192.0.2.0/24", "2", "");
	assert_int_equal(detail("unknown", "192.0.2.7"), 0);
	assert_int_equal(detail("unknown", "192.0.2.8"), 2);
}

static void
an_empty_list_is_nobody(void **state)
{
	(void)state;
	set("", "2", "");
	assert_int_equal(detail("unknown", "127.0.0.1"), 0);
	log_verbose(1);
	assert_int_equal(detail("unknown", "127.0.0.1"), 1);
	log_verbose(0);
}

static void
addresses_are_shown_as_they_are(void **state)
{
	static char	external[] = "external";

	(void)state;
	site.log_address_format = external;
	assert_string_equal(log_address("a@b.test"), "a@b.test");
	assert_string_equal(log_address("\"a b\"@c.test"), "\"a b\"@c.test");
	assert_string_equal(log_address(""), "");
}

static void
or_without_quotes(void **state)
{
	static char	internal[] = "internal";

	(void)state;
	site.log_address_format = internal;
	assert_string_equal(log_address("a@b.test"), "a@b.test");
	assert_string_equal(log_address("\"a b\"@c.test"), "a b@c.test");
	assert_string_equal(log_address("\"a\\\"b\\\\\"@c.test"),
	    "a\"b\\@c.test");
	assert_string_equal(log_address("\"x@y\"@c.test"), "x@y@c.test");
	assert_string_equal(log_address("\"\"@c.test"), "@c.test");
	assert_string_equal(log_address("\"never"), "never");
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(names_and_networks_are_found),
		cmocka_unit_test(domains_below_match_when_they_are_to),
		cmocka_unit_test(an_exclamation_mark_excludes),
		cmocka_unit_test(an_empty_list_is_nobody),
		cmocka_unit_test(addresses_are_shown_as_they_are),
		cmocka_unit_test(or_without_quotes),
	};

	return cmocka_run_group_tests(tests, fill, drain);
}
