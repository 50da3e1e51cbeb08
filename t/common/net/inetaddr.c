/*
 * inetaddr.c - an address is the same however it is written, and a network
 * holds what it should.
 */
#include "common/net/inetaddr.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

/* Read, which must work, and print. */
static const char *
print(const char *text)
{
	static char	printed[INETADDR_TEXT];
	struct inetaddr	a;

	if (!inetaddr_parse(&a, text))
		return "refused";
	return inetaddr_print(&a, printed, sizeof(printed));
}

static void
addresses_are_read_and_printed(void **state)
{
	static const char *const	bad[] = {
		"", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ", "::1::",
		"[1.2.3.4", "[]", "x", "1.2.3.4/8", "01.2.3.4", "1.2.3.4%1",
		"::1%", "::1%no-such-interface", "::1%0", "IPv6:::1",
		"1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1"
	};
	size_t				i;

	(void)state;
	assert_string_equal(print("192.0.2.1"), "192.0.2.1");
	assert_string_equal(print("[192.0.2.1]"), "192.0.2.1");
	assert_string_equal(print("2001:DB8:0::1"), "2001:db8::1");
	assert_string_equal(print("[::1]"), "::1");
	assert_string_equal(print("::"), "::");
	for (i = 0; i < COUNT(bad); i++)
		assert_string_equal(print(bad[i]), "refused");
}

static void
a_mapped_address_is_ipv4(void **state)
{
	struct sockaddr_storage	sa;
	struct sockaddr_in6	in6 = { .sin6_family = AF_INET6 };
	struct inetaddr		a, b;

	(void)state;
	assert_string_equal(print("::ffff:192.0.2.1"), "192.0.2.1");
	assert_string_equal(print("[::FFFF:c000:201]"), "192.0.2.1");
	in6.sin6_port = htons(25);
	memset(in6.sin6_addr.s6_addr + 10, 0xff, 2);
	memcpy(in6.sin6_addr.s6_addr + 12, "\x7f\0\0\1", 4);
	inetaddr_from_sockaddr(&a, (struct sockaddr *)&in6);
	assert_true(inetaddr_parse(&b, "127.0.0.1"));
	assert_true(inetaddr_equal(&a, &b));
	assert_int_equal(a.port, 25);
	assert_true(inetaddr_is_loopback(&a));
	assert_int_equal(inetaddr_to_sockaddr(&a, &sa),
	    sizeof(struct sockaddr_in));
}

static void
socket_addresses_go_and_come_back(void **state)
{
	struct sockaddr_storage	sa;
	struct inetaddr		a, b;

	(void)state;
	assert_true(inetaddr_parse(&a, "fe80::1%7"));
	a.port = 2525;
	assert_int_equal(inetaddr_to_sockaddr(&a, &sa),
	    sizeof(struct sockaddr_in6));
	inetaddr_from_sockaddr(&b, (struct sockaddr *)&sa);
	assert_true(inetaddr_equal(&a, &b));
	assert_int_equal(b.port, 2525);
	assert_int_equal(b.scope, 7);

	assert_true(inetaddr_parse(&a, "192.0.2.9"));
	a.port = 65535;
	inetaddr_to_sockaddr(&a, &sa);
	inetaddr_from_sockaddr(&b, (struct sockaddr *)&sa);
	assert_true(inetaddr_equal(&a, &b));
	assert_int_equal(b.port, 65535);
}

static void
a_unix_socket_has_no_address(void **state)
{
	struct sockaddr_un	un = { .sun_family = AF_UNIX };
	struct inetaddr		a;
	char			text[INETADDR_TEXT];

	(void)state;
	inetaddr_from_sockaddr(&a, (struct sockaddr *)&un);
	assert_int_equal(a.family, 0);
	assert_string_equal(inetaddr_print(&a, text, sizeof(text)), "unknown");
}

static void
networks_hold_their_addresses(void **state)
{
	static const struct {
		const char	*network, *address;
		bool		 is_in;
	} cases[] = {
		{ "192.0.2.0/24", "192.0.2.255", true },
		{ "192.0.2.0/24", "192.0.3.0", false },
		{ "192.0.2.128/25", "192.0.2.127", false },
		{ "192.0.2.128/25", "192.0.2.128", true },
		{ "10.0.0.0/9", "10.127.255.255", true },
		{ "10.0.0.0/9", "10.128.0.0", false },
		{ "0.0.0.0/0", "203.0.113.7", true },
		{ "0.0.0.0/0", "2001:db8::1", false },
		{ "192.0.2.1", "192.0.2.1", true },
		{ "192.0.2.1", "192.0.2.2", false },
		{ "192.0.2.1/32", "::ffff:192.0.2.1", true },
		{ "[2001:db8::]/32", "2001:db8:ffff::1", true },
		{ "[2001:db8::]/32", "2001:db9::", false },
		{ "2001:db8::/33", "2001:db8:8000::", false },
		{ "[::1]", "::1", true },
		{ "[::1]/128", "::2", false },
		{ "[::]/0", "2001:db8::1", true },
		{ "[::]/0", "192.0.2.1", false },
		{ "[::ffff:10.0.0.0]/104", "10.1.2.3", true },
	};
	struct inetaddr	network, a;
	unsigned	prefix;
	size_t		i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		assert_null(inetaddr_parse_network(cases[i].network, &network,
		    &prefix));
		assert_true(inetaddr_parse(&a, cases[i].address));
		if (inetaddr_in(&a, &network, prefix) != cases[i].is_in)
			fail_msg("%s and %s", cases[i].network,
			    cases[i].address);
	}
}

static void
a_network_with_host_bits_is_told_what_it_should_be(void **state)
{
	struct inetaddr	network;
	unsigned	prefix;

	(void)state;
	assert_string_equal(inetaddr_parse_network("10.0.0.1/8", &network,
	    &prefix), "expected 10.0.0.0/8");
	assert_string_equal(inetaddr_parse_network("192.0.2.77/27", &network,
	    &prefix), "expected 192.0.2.64/27");
	assert_string_equal(inetaddr_parse_network("[2001:db8::1]/32",
	    &network, &prefix), "expected [2001:db8::]/32");
}

static void
what_is_no_network_is_refused(void **state)
{
	static const char *const	bad[] = {
		"", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1",
		"10.0.0.0/8/8", "10.0.0.0/8x", "10/8", "10.0.0/8", "[::1",
		"[::]/129", "[::]/", "[::/0]", "fe80::1%1/128", "example",
		"10.0.0.0/255.0.0.0", "10.0.0.0 /8", "10.0.0.0/ 8"
	};
	struct inetaddr			network;
	unsigned			prefix;
	size_t				i;

	(void)state;
	for (i = 0; i < COUNT(bad); i++)
		if (inetaddr_parse_network(bad[i], &network, &prefix) == NULL)
			fail_msg("accepted: %s", bad[i]);
}

static void
addresses_of_other_hosts_are_no_loopback(void **state)
{
	struct inetaddr	a;

	(void)state;
	assert_true(inetaddr_parse(&a, "127.255.0.1"));
	assert_true(inetaddr_is_loopback(&a));
	assert_true(inetaddr_parse(&a, "::1"));
	assert_true(inetaddr_is_loopback(&a));
	assert_true(inetaddr_parse(&a, "::2"));
	assert_false(inetaddr_is_loopback(&a));
	assert_true(inetaddr_parse(&a, "128.0.0.1"));
	assert_false(inetaddr_is_loopback(&a));
}

static void
this_host_has_a_loopback_interface(void **state)
{
	struct inetaddr	all[64], one[1];
	int		i, n, loops = 0;

	(void)state;
	n = inetaddr_of_interfaces(all, (int)COUNT(all));
	for (i = 0; i < n; i++)
		loops += inetaddr_is_loopback(&all[i]);
	assert_true(loops > 0);
	assert_int_equal(inetaddr_of_interfaces(one, 1), 1);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(addresses_are_read_and_printed),
		cmocka_unit_test(a_mapped_address_is_ipv4),
		cmocka_unit_test(socket_addresses_go_and_come_back),
		cmocka_unit_test(a_unix_socket_has_no_address),
		cmocka_unit_test(networks_hold_their_addresses),
		cmocka_unit_test(
		    a_network_with_host_bits_is_told_what_it_should_be),
		cmocka_unit_test(what_is_no_network_is_refused),
		cmocka_unit_test(addresses_of_other_hosts_are_no_loopback),
		cmocka_unit_test(this_host_has_a_loopback_interface),
	};

	return cmocka_run_group_tests_name("inetaddr", tests, NULL, NULL);
}
