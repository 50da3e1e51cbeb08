/*
 * settings.c - levels, digests and OpenSSL's options by name.
 */
#include "t/common/tls/pair.h"

static void
levels_have_postfix_names(void **state)
{
	static const char *const	names[] = { "none", "may", "encrypt",
	    "fingerprint", "verify", "secure", "dane", "dane-only" };
	size_t				i;

	(void)state;
	for (i = 0; i < 8; i++) {
		assert_int_equal(tls_level_parse(names[i]), i);
		assert_string_equal(tls_level_name((enum tls_level)i),
		    names[i]);
	}
	assert_int_equal(tls_level_parse(""), TLS_LEVEL_NONE);
	assert_int_equal(tls_level_parse("Encrypt"), TLS_LEVEL_ENCRYPT);
	assert_int_equal(tls_level_parse("must"), TLS_LEVEL_UNKNOWN);
	assert_int_equal(tls_level_parse("unknown"), TLS_LEVEL_UNKNOWN);
}

static void
digests_are_those_that_openssl_has(void **state)
{
	(void)state;
	assert_null(tls_check_digest(pool, "sha256"));
	assert_null(tls_check_digest(pool, "SHA512"));
	assert_non_null(tls_check_digest(pool, "sha0"));
	assert_non_null(tls_check_digest(pool, ""));
}

/* The options with these two settings. */
static uint64_t
options(char *wanted, char *unwanted)
{
	const char	*why;
	uint64_t	 bits = 0;

	tls_set.options = wanted;
	tls_set.no_workarounds = unwanted;
	why = ssl_options_parse(pool, &bits);
	tls_set.options = tls_set.no_workarounds = NULL;
	if (why != NULL)
		fail_msg("%s", why);
	return bits;
}

static void
options_come_by_name_or_number(void **state)
{
	char		no_ticket[] = "no_ticket", none[] = "";
	char		padding[] = "TLSEXT_PADDING", all[] = "all";
	char		number[] = "0x4000";

	(void)state;
	assert_true(options(no_ticket, none) & SSL_OP_NO_TICKET);
	assert_false(options(none, none) & SSL_OP_NO_TICKET);
	assert_true(options(number, none) & SSL_OP_NO_TICKET);
	assert_true(options(none, none) & SSL_OP_TLSEXT_PADDING);
	assert_false(options(none, padding) & SSL_OP_TLSEXT_PADDING);
	assert_int_equal(options(none, all) & SSL_OP_ALL, 0);
}

static void
x1_what_must_hold_cannot_be_set_away(void **state)
{
	char		everything[] = "0xffffffffffffffff", none[] = "";
	uint64_t	bits = options(everything, none);

	(void)state;
	assert_false(bits & SSL_OP_IGNORE_UNEXPECTED_EOF);
	assert_false(bits & SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION);
	assert_false(bits & SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
	bits = options(none, none);
	assert_true(bits & SSL_OP_NO_RENEGOTIATION);
	assert_true(bits & SSL_OP_NO_COMPRESSION);
	assert_true(bits & SSL_OP_CLEANSE_PLAINTEXT);
}

static void
an_unknown_option_is_an_error(void **state)
{
	char		bad[] = "NO_TICKET, NO_TICKETS";
	const char	*why;
	uint64_t	bits;

	(void)state;
	tls_set.options = bad;
	why = ssl_options_parse(pool, &bits);
	tls_set.options = NULL;
	assert_non_null(why);
	assert_non_null(strstr(why, "tls_ssl_options"));
	assert_non_null(strstr(why, "NO_TICKETS"));
}

int
main(void)
{
	static const struct CMUnitTest	tests[] = {
		cmocka_unit_test(levels_have_postfix_names),
		cmocka_unit_test(digests_are_those_that_openssl_has),
		cmocka_unit_test(options_come_by_name_or_number),
		cmocka_unit_test(x1_what_must_hold_cannot_be_set_away),
		cmocka_unit_test(an_unknown_option_is_an_error),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
