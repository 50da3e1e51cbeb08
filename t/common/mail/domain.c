/*
 * domain.c - host names and literals, to the letter.
 */
#include "common/mail/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define L26	"abcdefghijklmnopqrstuvwxyz"
#define L63	L26 L26 "abcdefghijk"

static void
host_names_are_labels_and_dots(void **state)
{
	static const char *const	good[] = {
		"a", "a.b", "localhost", "a-b.c", "1.example", "3com.com",
		"xn--bcher-kva.example", "a_b.example", "_x.example", L63,
		L63 "." L63 "." L63 "." "a.b", "a.1b", "EXAMPLE.Com"
	};
	static const char *const	bad[] = {
		"", ".", "a.", ".a", "a..b", "-a", "a-", "a.-b", "a-.b",
		"a b", "a@b", "a/b", "a\x01", "a\x7f", "a,b", "192.0.2.1",
		"1", "a.1", L63 "x", "a." L63 "x.b", "a\n", "a:25",
		L63 "." L63 "." L63 "." L63 ".x", "*.a", "a]", "(a)"
	};
	size_t				i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!domain_is_valid(good[i], false))
			fail_msg("refused: %s", good[i]);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (domain_is_valid(bad[i], true))
			fail_msg("accepted: %s", bad[i]);
}

static void
the_whole_name_has_255_octets_at_most(void **state)
{
	char	name[260];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[63] = name[127] = name[191] = '.';
	name[255] = '\0';
	assert_true(domain_is_valid(name, false));
	name[255] = 'a';
	name[256] = '\0';
	assert_false(domain_is_valid(name, false));
}

static void
utf8_names_need_leave_and_may_not_deceive(void **state)
{
	static const char *const	bad[] = {
		"a\xff", "\xc3", "b\xc3", "\xc3\xa9-.a", "-\xc3\xa9",
		"a\xe3\x80\x82" "b", "a\xef\xbc\xa0" "b", "\xef\xbc\x8f",
		"a\xe2\x80\xa4" "b", "a\xe2\x80\x8b" "b", "a\xe2\x80\xae" "b",
		"a\xc2\x80", "a\xef\xbb\xbf", "\xed\xa0\x80",
		"\xf4\x90\x80\x80", "\xc0\xaf", "\xe0\x80\xaf"
	};
	size_t				i;

	(void)state;
	assert_true(domain_is_valid("b\xc3\xbc" "cher.example", true));
	assert_false(domain_is_valid("b\xc3\xbc" "cher.example", false));
	assert_true(domain_is_valid("\xf0\x9f\x93\xaf.example", true));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (domain_is_valid(bad[i], true))
			fail_msg("accepted %zu: %s", i, bad[i]);
}

static void
literals_are_addresses_in_brackets(void **state)
{
	static const char *const	good[] = {
		"[127.0.0.1]", "[255.255.255.255]", "[IPv6:::]",
		"[IPv6:2001:db8::1]", "[ipv6:::ffff:192.0.2.1]",
		"[IPv6:1:2:3:4:5:6:7:8]", "[IPv6:1:2:3:4:5:6::8]"
	};
	static const char *const	bad[] = {
		"", "[", "[]", "]", "127.0.0.1", "[127.0.0.1", "127.0.0.1]",
		"[127.1]", "[256.1.1.1]", "[1.2.3]", "[1.2.3.4.5]", "[0]",
		"[1.2.3.4 ]", "[ 1.2.3.4]", "[::1]", "[2001:db8::1]",
		"[IPv6:]", "[IPv6:127.0.0.1]", "[IPv6:fe80::1%eth0]",
		"[IPv6:::1]x", "[[1.2.3.4]]", "[IPv6:1:2:3:4:5:6:7:8:9]",
		"[X400:foo]", "[1.2.3.4]\n", ("[IPv6:::::::::::::::::::::::::"
		":::::::::::::::::::::::::::::::::::::::::::::::::::::]")
	};
	size_t				i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!domain_is_literal(good[i]) ||
		    !domain_is_valid(good[i], false))
			fail_msg("refused: %s", good[i]);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (domain_is_literal(bad[i]))
			fail_msg("accepted: %s", bad[i]);
}

static void
case_makes_no_difference(void **state)
{
	(void)state;
	assert_true(domain_equal("Example.COM", "eXAMPLE.com"));
	assert_false(domain_equal("example.com", "example.org"));
	assert_false(domain_equal("a", "a.b"));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(host_names_are_labels_and_dots),
		cmocka_unit_test(the_whole_name_has_255_octets_at_most),
		cmocka_unit_test(utf8_names_need_leave_and_may_not_deceive),
		cmocka_unit_test(literals_are_addresses_in_brackets),
		cmocka_unit_test(case_makes_no_difference),
	};

	return cmocka_run_group_tests_name("domain", tests, NULL, NULL);
}
