/*
 * provider.c - keys that sign by asking, in handshakes of both versions.
 */
#include "common/tls/provider.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/err.h>

#include "common/base/log.h"
#include "common/fiber/loop.h"
#include "common/tls/tls.h"
#include "t/common/tls/made.h"

static OSSL_LIB_CTX	*library;

/* The holder of a key: it signs what it is asked to, and counts. */
struct holder {
	EVP_PKEY	*key;
	unsigned	 asked, released;
	unsigned char	 id[32];
	char		 digest[32];
	bool		 is_pss;
	int		 salt_length;
	unsigned char	 begin[100];
	bool		 refuses, parks;
};

static WAITS size_t
holder_sign(void *state, const unsigned char id[32], const char *digest,
    bool is_pss, int salt_length, const unsigned char *message, size_t length,
    unsigned char *to, size_t room)
{
	struct holder	*h = state;

	h->asked++;
	memcpy(h->id, id, sizeof(h->id));
	strlcpy(h->digest, digest, sizeof(h->digest));
	h->is_pss = is_pss;
	h->salt_length = salt_length;
	memcpy(h->begin, message, length < sizeof(h->begin) ? length :
	    sizeof(h->begin));
	if (h->refuses)
		return 0;
	if (h->parks)
		(void)fiber_sleep(20);
	return made_signature(library, h->key, digest, is_pss, salt_length,
	    message, length, to, room);
}

static void
holder_released(void *state)
{
	((struct holder *)state)->released++;
}

/* A context with the remote key of a new certificate of this kind. */
static SSL_CTX *
context(const SSL_METHOD *method, const char *kind, struct holder *h,
    struct tls_signer *signer)
{
	SSL_CTX		*c = SSL_CTX_new_ex(library, "?provider=default",
			    method);
	X509		*x;
	EVP_PKEY	*key;

	if (kind == NULL)
		return c;
	h->key = made_key(library, kind);
	x = made_certificate(library, h->key, "mail.test");
	*signer = (struct tls_signer){ holder_sign, h, holder_released };
	key = provider_key(library, x, signer);
	assert_non_null(key);
	assert_int_equal(SSL_CTX_use_cert_and_key(c, x, key, NULL, 1), 1);
	assert_int_equal(SSL_CTX_check_private_key(c), 1);
	EVP_PKEY_free(key);
	X509_free(x);
	return c;
}

static const char *const	kinds[] = {
	"RSA", "RSA-PSS", "P-256", "P-384", "P-521", "ED25519"
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* One handshake in which this side has a key that is elsewhere. */
static void
shake(const char *kind, int version, bool is_client)
{
	struct holder		 h = { 0 }, own = { 0 };
	struct tls_signer	 signer, other;
	struct made_pair	 p;
	SSL_CTX			*client, *server;
	unsigned char		 id[32];

	client = context(TLS_client_method(), is_client ? kind : NULL, &h,
	    &signer);
	server = context(TLS_server_method(), is_client ? "P-256" : kind,
	    is_client ? &own : &h, is_client ? &other : &signer);
	SSL_CTX_set_max_proto_version(server, version);
	SSL_CTX_set_verify(client, SSL_VERIFY_NONE, NULL);
	if (is_client)
		SSL_CTX_set_verify(server, SSL_VERIFY_PEER,
		    (SSL_verify_cb)NULL);
	SSL_CTX_set_cert_store(server, X509_STORE_new());
	if (is_client)
		(void)X509_STORE_add_cert(SSL_CTX_get_cert_store(server),
		    SSL_CTX_get0_certificate(client));
	made_pair_open(&p, client, server);
	if (!made_pair_shake(&p)) {
		ERR_print_errors_fp(stderr);
		fail_msg("no handshake with %s, version %x", kind, version);
	}
	assert_int_equal(SSL_version(p.server), version);
	assert_int_equal(h.asked, 1);
	assert_int_equal(provider_key_id(h.key, id), 0);
	assert_memory_equal(id, h.id, sizeof(id));
	assert_int_equal(h.is_pss, strncmp(kind, "RSA", 3) == 0);
	if (strcmp(kind, "ED25519") == 0)
		assert_string_equal(h.digest, "");
	else
		assert_memory_equal(h.digest, "SHA", 3);
	if (version == TLS1_3_VERSION)
		assert_memory_equal(h.begin + 64, is_client ?
		    "TLS 1.3, client CertificateVerify" :
		    "TLS 1.3, server CertificateVerify", 34);
	else if (is_client)
		assert_int_equal(h.begin[0], 1);	/* ClientHello */
	made_pair_close(&p);
	SSL_CTX_free(client);
	SSL_CTX_free(server);
	assert_int_equal(h.released, 1);
	EVP_PKEY_free(h.key);
	EVP_PKEY_free(own.key);
	assert_int_equal(ERR_peek_error(), 0);
}

static void
server_keys_sign_in_both_versions(void **state)
{
	size_t	i;

	(void)state;
	for (i = 0; i < KINDS; i++) {
		shake(kinds[i], TLS1_3_VERSION, false);
		shake(kinds[i], TLS1_2_VERSION, false);
	}
}

static void
client_keys_sign_in_both_versions(void **state)
{
	size_t	i;

	(void)state;
	for (i = 0; i < KINDS; i++) {
		shake(kinds[i], TLS1_3_VERSION, true);
		shake(kinds[i], TLS1_2_VERSION, true);
	}
}

/* A peer that knows nothing of PSS. */
static void
rsa_signs_with_the_old_padding_where_that_is_agreed(void **state)
{
	struct holder		 h = { 0 }, none = { 0 };
	struct tls_signer	 signer;
	struct made_pair	 p;
	SSL_CTX			*client, *server;

	(void)state;
	client = context(TLS_client_method(), NULL, &none, &signer);
	server = context(TLS_server_method(), "RSA", &h, &signer);
	SSL_CTX_set_max_proto_version(server, TLS1_2_VERSION);
	assert_int_equal(SSL_CTX_set1_sigalgs_list(client, "RSA+SHA384"), 1);
	made_pair_open(&p, client, server);
	assert_true(made_pair_shake(&p));
	assert_false(h.is_pss);
	assert_string_equal(h.digest, "SHA384");
	made_pair_close(&p);
	SSL_CTX_free(client);
	SSL_CTX_free(server);
	EVP_PKEY_free(h.key);
}

static void
the_key_answers_as_its_public_half_does(void **state)
{
	struct tls_signer	 signer = { holder_sign, NULL, NULL };
	EVP_PKEY		*real, *key;
	X509			*x;
	char			 one[32], other[32];
	unsigned char		*a = NULL, *b = NULL;
	size_t			 i, len;

	(void)state;
	for (i = 0; i < KINDS; i++) {
		real = made_key(library, kinds[i]);
		x = made_certificate(library, real, "a.test");
		key = provider_key(library, x, &signer);
		assert_int_equal(EVP_PKEY_eq(real, key), 1);
		assert_int_equal(EVP_PKEY_get_size(key),
		    EVP_PKEY_get_size(real));
		assert_int_equal(EVP_PKEY_get_bits(key),
		    EVP_PKEY_get_bits(real));
		assert_int_equal(EVP_PKEY_get_security_bits(key),
		    EVP_PKEY_get_security_bits(real));
		assert_int_equal(X509_check_private_key(x, key), 1);
		if (kinds[i][0] == 'P') {
			assert_int_equal(EVP_PKEY_get_group_name(key, one,
			    sizeof(one), &len), 1);
			assert_int_equal(EVP_PKEY_get_group_name(real, other,
			    sizeof(other), &len), 1);
			assert_string_equal(one, other);
			len = EVP_PKEY_get1_encoded_public_key(key, &a);
			assert_int_equal(len,
			    EVP_PKEY_get1_encoded_public_key(real, &b));
			assert_memory_equal(a, b, len);
			OPENSSL_free(a);
			OPENSSL_free(b);
		}
		EVP_PKEY_free(key);
		X509_free(x);
		EVP_PKEY_free(real);
	}
	ERR_clear_error();
}

/* P1 */
static void
P1_it_gives_out_no_private_half_and_matches_no_other_key(void **state)
{
	struct tls_signer	 signer = { holder_sign, NULL, NULL };
	EVP_PKEY		*real, *key, *stranger;
	OSSL_PARAM		*params = NULL;
	unsigned char		 text[64] = "text", out[512];
	size_t			 len = sizeof(out);
	EVP_PKEY_CTX		*c;
	X509			*x, *foreign;

	(void)state;
	real = made_key(library, "RSA");
	stranger = made_key(library, "RSA");
	x = made_certificate(library, real, "a.test");
	foreign = made_certificate(library, stranger, "b.test");
	key = provider_key(library, x, &signer);
	assert_int_equal(EVP_PKEY_todata(key, EVP_PKEY_KEYPAIR, &params), 0);
	assert_int_equal(EVP_PKEY_todata(key, EVP_PKEY_PUBLIC_KEY, &params),
	    1);
	OSSL_PARAM_free(params);
	c = EVP_PKEY_CTX_new_from_pkey(library, key, NULL);
	assert_true(EVP_PKEY_decrypt_init(c) <= 0 ||
	    EVP_PKEY_decrypt(c, out, &len, text, sizeof(text)) <= 0);
	EVP_PKEY_CTX_free(c);
	c = EVP_PKEY_CTX_new_from_pkey(library, key, NULL);
	len = sizeof(out);
	assert_true(EVP_PKEY_sign_init(c) <= 0 ||
	    EVP_PKEY_sign(c, out, &len, text, 32) <= 0);
	EVP_PKEY_CTX_free(c);
	assert_int_equal(X509_check_private_key(foreign, key), 0);
	assert_int_not_equal(EVP_PKEY_eq(stranger, key), 1);
	EVP_PKEY_free(key);
	EVP_PKEY_free(real);
	EVP_PKEY_free(stranger);
	X509_free(x);
	X509_free(foreign);
	ERR_clear_error();
}

static void
kinds_that_we_do_not_know_are_no_keys(void **state)
{
	static const char *const	strange[] = { "P-224", "ED448" };
	struct tls_signer		 signer = { holder_sign, NULL, NULL };
	EVP_PKEY			*key, *ca;
	X509				*x;
	size_t				 i;

	(void)state;
	ca = made_key(library, "P-256");
	for (i = 0; i < 2; i++) {
		key = made_key(library, strange[i]);
		x = made_certificate(library, ca, "a.test");
		assert_int_equal(X509_set_pubkey(x, key), 1);
		assert_null(provider_key(library, x, &signer));
		X509_free(x);
		EVP_PKEY_free(key);
	}
	EVP_PKEY_free(ca);
}

static void
a_holder_that_refuses_ends_the_handshake_and_no_more(void **state)
{
	struct holder		 h = { .refuses = true }, none = { 0 };
	struct tls_signer	 signer;
	struct made_pair	 p;
	SSL_CTX			*client, *server;
	int			 i;

	(void)state;
	client = context(TLS_client_method(), NULL, &none, &signer);
	server = context(TLS_server_method(), "P-256", &h, &signer);
	for (i = 0; i < 2; i++) {
		h.refuses = i == 0;
		made_pair_open(&p, client, server);
		assert_int_equal(made_pair_shake(&p), i);
		ERR_clear_error();
		made_pair_close(&p);
	}
	SSL_CTX_free(client);
	SSL_CTX_free(server);
	EVP_PKEY_free(h.key);
}

/* --- P2: two fibers ------------------------------------------------------- */

static struct {
	struct holder		 h;
	struct tls_signer	 signer;
	SSL_CTX			*client, *server;
	unsigned		 good;
	unsigned long		 error;
	int			 before;
} two;

/* A handshake that waits, with an error of its own from before. */
static void
patient(void *arg)
{
	struct made_pair	p;
	EVP_MD_CTX		*c = EVP_MD_CTX_new();
	EVP_PKEY		*key;
	unsigned char		 to[512];
	size_t			 len = sizeof(to);

	(void)arg;
	made_pair_open(&p, two.client, two.server);
	two.good += made_pair_shake(&p);
	key = SSL_get_privatekey(p.server);
	ERR_clear_error();
	ERR_raise(ERR_LIB_USER, 4711);
	errno = EXDEV;
	two.good += EVP_DigestSignInit_ex(c, NULL, "SHA256", library, NULL,
	    key, NULL) > 0 && EVP_DigestSign(c, to, &len,
	    (const unsigned char *)"x", 1) > 0;
	two.before = errno;
	two.error = ERR_get_error();
	EVP_MD_CTX_free(c);
	made_pair_close(&p);
}

/* Somebody else, who leaves his errors lying about. */
static void
sloppy(void *arg)
{
	int	i;

	(void)arg;
	for (i = 0; i < 200; i++) {
		ERR_raise(ERR_LIB_USER, 666);
		(void)ERR_set_mark();
		if (fiber_sleep(1) == -1)
			return;
	}
}

static void
P2_errors_of_others_are_not_found_after_a_wait(void **state)
{
	struct holder	none = { 0 };
	int		i;

	(void)state;
	loop_open();
	two.client = context(TLS_client_method(), NULL, &none, &two.signer);
	two.server = context(TLS_server_method(), "RSA", &two.h, &two.signer);
	two.h.parks = true;
	for (i = 0; i < 8; i++)
		fiber_start(i == 3 ? sloppy : patient, NULL);
	loop_run();
	assert_int_equal(two.good, 14);
	assert_int_equal(ERR_GET_REASON(two.error), 4711);
	assert_int_equal(two.before, EXDEV);
	SSL_CTX_free(two.client);
	SSL_CTX_free(two.server);
	EVP_PKEY_free(two.h.key);
	ERR_clear_error();
}

static int
set_up(void **state)
{
	(void)state;
	library = tls_library();
	return provider_add(library);	/* once more does no harm */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(server_keys_sign_in_both_versions),
		cmocka_unit_test(client_keys_sign_in_both_versions),
		cmocka_unit_test(
		    rsa_signs_with_the_old_padding_where_that_is_agreed),
		cmocka_unit_test(the_key_answers_as_its_public_half_does),
		cmocka_unit_test(
		    P1_it_gives_out_no_private_half_and_matches_no_other_key),
		cmocka_unit_test(kinds_that_we_do_not_know_are_no_keys),
		cmocka_unit_test(
		    a_holder_that_refuses_ends_the_handshake_and_no_more),
		cmocka_unit_test(P2_errors_of_others_are_not_found_after_a_wait)
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
