/*
 * protocols.c - words of protocols, and that exclusions do not allow.
 */
#include "t/common/tls/pair.h"

/* "1.2-1.3", with what is left out in between: "1.0-1.3 without 1.1". */
static const char *
range(const char *words)
{
	struct protocols	p;
	const char		*why = protocols_parse(pool, words, &p);

	if (why != NULL)
		return why;
	return pool_printf(pool, "1.%d-1.%d%s%s", p.min - TLS1_VERSION,
	    p.max - TLS1_VERSION,
	    p.min < TLS1_1_VERSION && p.holes & SSL_OP_NO_TLSv1_1 ?
	    " without 1.1" : "",
	    p.min < TLS1_2_VERSION && p.holes & SSL_OP_NO_TLSv1_2 ?
	    " without 1.2" : "");
}

static void
r1_exclusions_alone_do_not_go_below_tls_1_2(void **state)
{
	(void)state;
	assert_string_equal(range(""), "1.2-1.3");
	assert_string_equal(range("!SSLv2, !SSLv3"), "1.2-1.3");
	assert_string_equal(range("!SSLv2,!SSLv3,!TLSv1,!TLSv1.1"),
	    "1.2-1.3");
	assert_string_equal(range("<=TLSv1.2"), "1.2-1.2");
	assert_string_equal(range("!TLSv1.3"), "1.2-1.2");
	assert_string_equal(range(">=TLSv1"), "1.0-1.3");
	assert_string_equal(range(">=TLSv1, !TLSv1.1"),
	    "1.0-1.3 without 1.1");
	assert_string_equal(range(">=SSLv3"), "1.0-1.3");
	assert_string_equal(range(">=TLSv1.1"), "1.1-1.3");
}

static void
plain_names_exclude_the_others(void **state)
{
	(void)state;
	assert_string_equal(range("TLSv1.3"), "1.3-1.3");
	assert_string_equal(range("TLSv1 TLSv1.3"),
	    "1.0-1.3 without 1.1 without 1.2");
	assert_string_equal(range("SSLv3:TLSv1"),
	    "1.0-1.0 without 1.1 without 1.2");
	assert_string_equal(range("tlsv1.2,,  TLSv1.3"), "1.2-1.3");
	assert_string_equal(range(">=0303 <=0303"), "1.2-1.2");
}

static void
what_is_wrong_is_said(void **state)
{
	(void)state;
	assert_non_null(strstr(range("TLSv1.4"), "not \"TLSv1.4\""));
	assert_non_null(strstr(range(">TLSv1.2"), "not \">TLSv1.2\""));
	assert_non_null(strstr(range("!"), "expected"));
	assert_non_null(strstr(range("SSLv3"), "leaves no protocol"));
	assert_non_null(strstr(range("!TLSv1.2 !TLSv1.3"), "no protocol"));
	assert_non_null(strstr(range(">=TLSv1.3 <=TLSv1.2"), "no protocol"));
	assert_non_null(tls_check_protocols(pool, "TLSv9"));
	assert_null(tls_check_protocols(pool, ">=TLSv1.2"));
}

int
main(void)
{
	static const struct CMUnitTest	tests[] = {
		cmocka_unit_test(r1_exclusions_alone_do_not_go_below_tls_1_2),
		cmocka_unit_test(plain_names_exclude_the_others),
		cmocka_unit_test(what_is_wrong_is_said),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
