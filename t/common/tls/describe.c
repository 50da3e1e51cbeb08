/*
 * describe.c - the shapes that readers of Postfix's log know.
 */
#include "t/common/tls/pair.h"

static const struct tls_summary	sample = {
	.protocol = "TLSv1.3", .cipher = "TLS_AES_256_GCM_SHA384",
	.bits = 256, .all_bits = 256, .key_exchange = "X25519",
	.server_signature = "RSA-PSS (2048 bits)", .server_digest = "SHA256",
	.client_signature = "", .client_digest = "", .sni = "",
	.peer_name = "", .issuer = "", .fingerprint = "",
	.key_fingerprint = "", .doubt = ""
};

static void
the_line_of_a_session_without_client_certificate(void **state)
{
	(void)state;
	assert_string_equal(tls_describe(pool, &sample), "TLSv1.3 with cipher "
	    "TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 "
	    "server-signature RSA-PSS (2048 bits) server-digest SHA256");
	assert_string_equal(tls_trace(pool, &sample, false),
	    "(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)"
	    "\n key-exchange X25519 server-signature RSA-PSS (2048 bits) "
	    "server-digest SHA256)\n(No client certificate requested)");
	assert_non_null(strstr(tls_trace(pool, &sample, true),
	    "\n(Client did not present a certificate)"));
}

static void
the_line_of_a_session_with_one(void **state)
{
	struct tls_summary	s = sample;

	(void)state;
	s.client_signature = "ECDSA (P-256)";
	s.client_digest = "SHA256";
	s.trust = TLS_UNTRUSTED;
	s.peer_name = "a\") from (evil\\\r\nX: y";
	s.issuer = "CA";
	assert_non_null(strstr(tls_describe(pool, &s), " server-digest SHA256 "
	    "client-signature ECDSA (P-256) client-digest SHA256"));
	assert_non_null(strstr(tls_trace(pool, &s, true),
	    "server-digest SHA256\n client-signature ECDSA (P-256) "
	    "client-digest SHA256)\n(Client CN \"a?? from ?evil???X: y\", "
	    "Issuer \"CA\" (not verified))"));
	s.trust = TLS_TRUSTED;
	assert_non_null(strstr(tls_trace(pool, &s, true), "(verified OK))"));
}

static void
before_tls_1_3_the_cipher_says_it_all(void **state)
{
	struct tls_summary	s = sample;

	(void)state;
	s.protocol = "TLSv1.2";
	s.cipher = "ECDHE-RSA-AES256-GCM-SHA384";
	s.key_exchange = s.server_signature = s.server_digest = "";
	assert_string_equal(tls_describe(pool, &s), "TLSv1.2 with cipher "
	    "ECDHE-RSA-AES256-GCM-SHA384 (256/256 bits)");
	assert_string_equal(tls_trace(pool, &s, false), "(using TLSv1.2 with "
	    "cipher ECDHE-RSA-AES256-GCM-SHA384 (256/256 bits))\n"
	    "(No client certificate requested)");
}

static void
keys_without_digest_name_none(void **state)
{
	struct tls_summary	s = sample;

	(void)state;
	s.server_signature = "ED25519";
	s.server_digest = "";
	assert_string_equal(strstr(tls_describe(pool, &s), " key-exchange"),
	    " key-exchange X25519 server-signature ED25519");
}

int
main(void)
{
	static const struct CMUnitTest	tests[] = {
		cmocka_unit_test(
		    the_line_of_a_session_without_client_certificate),
		cmocka_unit_test(the_line_of_a_session_with_one),
		cmocka_unit_test(before_tls_1_3_the_cipher_says_it_all),
		cmocka_unit_test(keys_without_digest_name_none),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
