/*
 * ciphers.c - grades and exclusions, and what no server ever speaks.
 */
#include "t/common/tls/pair.h"

/* The ciphers that are left, in order: "A:B:". */
static const char *
left(enum tls_role role, const char *grade, const char *exclude,
    bool is_mandatory)
{
	struct tls_wishes	 wishes = { .ciphers = grade,
				    .exclude = exclude,
				    .is_mandatory = is_mandatory };
	const char		*list;
	struct str		 text;
	STACK_OF(SSL_CIPHER)	*all;
	SSL_CTX			*ssl;
	int			 i;

	assert_null(ciphers_list(pool, role, &wishes, &list));
	ssl = SSL_CTX_new_ex(tls_library(), NULL, TLS_method());
	assert_non_null(ssl);
	SSL_CTX_set_security_level(ssl, 0);
	assert_int_equal(SSL_CTX_set_cipher_list(ssl, list), 1);
	all = SSL_CTX_get_ciphers(ssl);
	str_init(&text, pool, 0);
	for (i = 0; i < sk_SSL_CIPHER_num(all); i++)
		str_addf(&text, "%s:",
		    SSL_CIPHER_get_name(sk_SSL_CIPHER_value(all, i)));
	SSL_CTX_free(ssl);
	return text.data;
}

static bool
comes_before(const char *list, const char *a, const char *b)
{
	const char	*at = strstr(list, a), *then = strstr(list, b);

	assert_non_null(at);
	assert_non_null(then);
	return at < then;
}

static void
c1_a_server_needs_its_certificate_and_never_decrypts(void **state)
{
	const char	*list = left(TLS_SERVER, "medium", "", false);

	(void)state;
	assert_non_null(strstr(list, "ECDHE-RSA-AES256-GCM-SHA384:"));
	assert_null(strstr(list, "ADH-"));
	assert_null(strstr(list, "AECDH-"));
	assert_null(strstr(list, ":AES256-SHA:"));
	assert_null(strstr(list, ":AES128-GCM-SHA256:"));
}

static void
c2_a_mandatory_client_wants_a_certificate(void **state)
{
	(void)state;
	assert_non_null(strstr(left(TLS_CLIENT, "", "", false), "ADH-"));
	assert_null(strstr(left(TLS_CLIENT, "", "", true), "ADH-"));
	assert_null(strstr(left(TLS_CLIENT, "high", "aNULL", false), "ADH-"));
}

static void
authenticated_encryption_first_and_no_forward_secrecy_last(void **state)
{
	const char	*list = left(TLS_CLIENT, "medium", "", true);

	(void)state;
	assert_true(comes_before(list, "ECDHE-RSA-AES128-GCM-SHA256:",
	    "ECDHE-RSA-AES256-SHA384:"));
	assert_true(comes_before(list, "ECDHE-RSA-AES128-SHA:",
	    ":AES256-GCM-SHA384:"));
}

static void
exclusions_are_excluded(void **state)
{
	const char	*list;

	(void)state;
	list = left(TLS_SERVER, "medium", "ECDHE-RSA-AES256-GCM-SHA384, "
	    "CHACHA20", false);
	assert_null(strstr(list, "ECDHE-RSA-AES256-GCM-SHA384:"));
	assert_null(strstr(list, "CHACHA20-POLY1305"));
	assert_non_null(strstr(list, "ECDHE-RSA-AES128-GCM-SHA256:"));
}

static void
what_is_wrong_is_said(void **state)
{
	(void)state;
	assert_null(tls_check_ciphers(pool, "high", "aNULL, MD5 , DES"));
	assert_null(tls_check_ciphers(pool, "", ""));
	assert_null(tls_check_ciphers(pool, "low", ""));
	assert_null(tls_check_ciphers(pool, "null", ""));
	assert_non_null(tls_check_ciphers(pool, "strong", ""));
	assert_non_null(tls_check_ciphers(pool, "high", "a!b"));
	assert_non_null(tls_check_ciphers(pool, "high", "!aNULL"));
	assert_non_null(tls_check_ciphers(pool, "high", "-aNULL"));
	assert_non_null(tls_check_ciphers(pool, "high", "@SECLEVEL=0"));
	assert_non_null(tls_check_ciphers(pool, "high", "HIGH"));
}

/* OpenSSL would pass them over in silence. */
static void
names_that_nobody_knows_are_found(void **state)
{
	(void)state;
	assert_string_equal(ciphers_unknown(pool, "aNULL, CHACHA2O"),
	    "CHACHA2O");
	assert_string_equal(ciphers_unknown(pool, "SHA348 aNULL"), "SHA348");
	assert_string_equal(ciphers_unknown(pool, "HIGH:!aNUL:@STRENGTH"),
	    "aNUL");
	assert_string_equal(ciphers_unknown(pool, "ECDHE+AESGMC"),
	    "ECDHE+AESGMC");
	assert_string_equal(ciphers_unknown(pool, "TLS_AES_128_GCM_SHA256"),
	    "TLS_AES_128_GCM_SHA256");
	assert_null(ciphers_unknown(pool, ""));
	assert_null(ciphers_unknown(pool,
	    "aNULL:-aNULL:HIGH:MEDIUM:+RC4:@STRENGTH"));
	assert_null(ciphers_unknown(pool, "aNULL, eNULL, EXPORT, DES, RC4, "
	    "MD5, PSK, aECDH, EDH-DSS-DES-CBC3-SHA, "
	    "EDH-RSA-DES-CBC3-SHA, KRB5-DES, CBC3-SHA"));
	assert_null(ciphers_unknown(pool, "LOW,3DES,SEED,IDEA,RC2,SSLv2,aDSS"
	    " kECDH kDHd EXP-RC4-MD5 CAMELLIA128 ECDHE+AESGCM"));
}

int
main(void)
{
	static const struct CMUnitTest	tests[] = {
		cmocka_unit_test(
		    c1_a_server_needs_its_certificate_and_never_decrypts),
		cmocka_unit_test(c2_a_mandatory_client_wants_a_certificate),
		cmocka_unit_test(
		    authenticated_encryption_first_and_no_forward_secrecy_last),
		cmocka_unit_test(exclusions_are_excluded),
		cmocka_unit_test(what_is_wrong_is_said),
		cmocka_unit_test(names_that_nobody_knows_are_found),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
