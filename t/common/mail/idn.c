/*
 * Domains that are not ASCII.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/mail/address.h"
#include "common/mail/idn.h"

static struct pool	*pool;

/* A-labels, or "" for a name that has none. */
static const char *
ascii(const char *domain)
{
	char	*found;

	return idn_to_ascii(pool, domain, &found) == NULL ? found : "";
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
	return 0;
}

static void
names_in_ascii_stay_as_they_are(void **state)
{
	static const char *const	names[] = {
		"a.test", "A.Test", "[192.0.2.1]", "[IPv6:::1]", "localhost",
		"xn--bcher-kva.test", "xn--a.test"
	};
	size_t				i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_string_equal(ascii(names[i]), names[i]);
}

static void
letters_become_a_labels(void **state)
{
	(void)state;
	if (!idn_is_built_in())
		skip();
	assert_string_equal(ascii("b\xc3\xbc" "cher.test"),
	    "xn--bcher-kva.test");
	assert_string_equal(ascii("B\xc3\x9c" "CHER.Test"),
	    "xn--bcher-kva.test");
	assert_string_equal(ascii("bu\xcc\x88" "cher.test"),
	    "xn--bcher-kva.test");		/* in two pieces */
	assert_string_equal(ascii("_x._tcp.b\xc3\xbc" "cher.test"),
	    "_x._tcp.xn--bcher-kva.test");
	assert_string_equal(ascii("\xe4\xbe\x8b\xe3\x81\x88.test"),
	    "xn--r8jz45g.test");
}

static void
idna2003_has_rules_of_its_own(void **state)
{
	(void)state;
	if (!idn_is_built_in())
		skip();
	assert_string_equal(ascii("stra\xc3\x9f" "e.test"),
	    "xn--strae-oqa.test");
	idn_is_transitional = true;
	assert_string_equal(ascii("stra\xc3\x9f" "e.test"), "strasse.test");
	idn_is_transitional = false;
}

static void
what_deceives_has_no_a_labels(void **state)
{
	static const char *const	bad[] = {
		"a\xe3\x80\x82test", "a\xef\xbc\x8etest", "a\xef\xbc\xa0" "b",
		"a\xef\xbc\x8f" "b", "\xef\xbd\x8c.test", "a\xe2\x80\xa4test",
		"a\xe2\x80\x8d" "b.test", "a\xe2\x80\xae" "b.test",
		"\xd7\x90x.test", "\xc0\xaf.test", "\xed\xa0\x80.test",
		"\xc3", "\xc3.test", "xn--\xc3\xbc.test", "-\xc3\xbc.test",
		"\xc3\xbc..test", ".\xc3\xbc", "\xf0\x9f\x92\xa9.test",
		"\xc2\xad.test"
	};
	char				*long_name;
	size_t				 i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (*ascii(bad[i]) != '\0')
			fail_msg("%zu: %s", i, ascii(bad[i]));
	long_name = pool_alloc(pool, 256);
	for (i = 0; i < 120; i += 2)
		memcpy(long_name + i, "\xc3\xbc", 2);
	assert_string_equal(ascii(long_name), "");
}

static void
a_labels_have_u_labels_only_if_they_come_back(void **state)
{
	char	*others[IDN_OTHERS + 1];

	(void)state;
	if (!idn_is_built_in())
		skip();
	assert_string_equal(idn_to_unicode(pool, "xn--bcher-kva.test"),
	    "b\xc3\xbc" "cher.test");
	assert_string_equal(idn_to_unicode(pool, "XN--BCHER-KVA.test"),
	    "b\xc3\xbc" "cher.test");
	/* no punycode; ASCII in disguise; an emoji; letters that IDNA maps */
	assert_string_equal(idn_to_unicode(pool, "xn--a.test"), "xn--a.test");
	assert_string_equal(idn_to_unicode(pool, "xn--local-.test"),
	    "xn--local-.test");
	assert_string_equal(idn_to_unicode(pool, "xn--ls8h.test"),
	    "xn--ls8h.test");
	assert_string_equal(idn_to_unicode(pool, "xn--Bcher-kva8445foa.test"),
	    "xn--Bcher-kva8445foa.test");
	idn_others(pool, "xn--ls8h.test", others);
	assert_null(others[0]);
	idn_others(pool, "plain.test", others);
	assert_null(others[0]);
}

static void
names_and_addresses_have_their_other_spellings(void **state)
{
	char	*others[IDN_OTHERS + 1];

	(void)state;
	if (!idn_is_built_in())
		skip();
	idn_others(pool, "b\xc3\xbc" "cher.test", others);
	assert_string_equal(others[0], "xn--bcher-kva.test");
	assert_null(others[1]);
	idn_other_addresses(pool, "a@B\xc3\x9c" "CHER.test", others);
	assert_string_equal(others[0], "a@xn--bcher-kva.test");
	assert_string_equal(others[1], "a@b\xc3\xbc" "cher.test");
	assert_null(others[2]);
	idn_other_addresses(pool, "\xc3\xbc@xn--bcher-kva.test", others);
	assert_string_equal(others[0], "\xc3\xbc@b\xc3\xbc" "cher.test");
	assert_null(others[1]);
	idn_other_addresses(pool, "\xc3\xbc", others);
	assert_null(others[0]);
}

static void
an_address_gets_an_ascii_domain_and_keeps_its_local_part(void **state)
{
	char	*to;

	(void)state;
	assert_null(idn_address(pool, "\xc3\xbc@a.test", &to));
	assert_string_equal(to, "\xc3\xbc@a.test");
	assert_null(idn_address(pool, "a", &to));
	assert_string_equal(to, "a");
	if (!idn_is_built_in()) {
		assert_non_null(strstr(idn_address(pool, "a@\xc3\xbc.test",
		    &to), "libidn2"));
		return;
	}
	assert_null(idn_address(pool, "\"a@b\"@\xc3\xbc.test", &to));
	assert_string_equal(to, "\"a@b\"@xn--tda.test");
	assert_non_null(idn_address(pool, "a@\xd7\x90x.test", &to));
}

static void
two_spellings_are_one_name(void **state)
{
	(void)state;
	assert_true(domain_equal("A.test", "a.TEST"));
	assert_false(domain_equal("a.test", "b.test"));
	assert_true(domain_equal("\xc3\xbc.test", "\xc3\xbc.test"));
	assert_false(domain_equal("\xc0\xaf.test", "xn--tda.test"));
	if (!idn_is_built_in())
		skip();
	assert_true(domain_equal("\xc3\xbc.test", "xn--tda.test"));
	assert_true(domain_equal("\xc3\x9c.test", "\xc3\xbc.test"));
	assert_false(domain_equal("\xc3\xb6.test", "xn--tda.test"));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(names_in_ascii_stay_as_they_are),
		cmocka_unit_test(letters_become_a_labels),
		cmocka_unit_test(idna2003_has_rules_of_its_own),
		cmocka_unit_test(what_deceives_has_no_a_labels),
		cmocka_unit_test(a_labels_have_u_labels_only_if_they_come_back),
		cmocka_unit_test(names_and_addresses_have_their_other_spellings),
		cmocka_unit_test(
		    an_address_gets_an_ascii_domain_and_keeps_its_local_part),
		cmocka_unit_test(two_spellings_are_one_name)
	};

	return cmocka_run_group_tests(tests, begin, end);
}
