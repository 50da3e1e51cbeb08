/*
 * summary.c - what was agreed on, in the words of Postfix's log.
 *
 * How keys were exchanged and who signed with what is told of TLS 1.3 only:
 * before it, the name of the cipher says so.
 */
#include "common/tls/inside.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>

/* "P-256" for OpenSSL's "prime256v1". */
static const char *
curve_of(struct pool *pool, EVP_PKEY *key)
{
	char		 name[64];
	const char	*nist;
	size_t		 len;

	if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME,
	    name, sizeof name, &len) != 1)
		return "";
	nist = EC_curve_nid2nist(OBJ_sn2nid(name));
	return pool_strdup(pool, nist != NULL ? nist : name);
}

/* "X25519", "ECDHE (P-256)", "DHE (2048 bits)". */
static const char *
key_exchange(struct pool *pool, SSL *ssl)
{
	EVP_PKEY	*key;
	const char	*text;
	int		 kind;

	if (SSL_get_peer_tmp_key(ssl, &key) != 1) {
#if OPENSSL_VERSION_NUMBER >= 0x30200000L
		/* Hybrids are no keys of one kind. */
		if ((text = SSL_get0_group_name(ssl)) != NULL)
			return pool_strdup(pool, text);
#endif
		return "";
	}
	kind = EVP_PKEY_get_base_id(key);
	if (kind == EVP_PKEY_EC)
		text = pool_printf(pool, "ECDHE (%s)", curve_of(pool, key));
	else if (kind == EVP_PKEY_DH)
		text = pool_printf(pool, "DHE (%d bits)",
		    EVP_PKEY_get_bits(key));
	else
		text = pool_strdup(pool, OBJ_nid2sn(kind));
	EVP_PKEY_free(key);
	return text;
}

/* "RSA-PSS (2048 bits)", "ECDSA (P-256)", "ED25519". */
static const char *
signature(struct pool *pool, int kind, X509 *certificate)
{
	EVP_PKEY	*key = X509_get0_pubkey(certificate);

	if (key == NULL)
		return "";
	switch (kind) {
	case EVP_PKEY_RSA:
	case EVP_PKEY_RSA_PSS:
		return pool_printf(pool, "%s (%d bits)",
		    kind == EVP_PKEY_RSA ? "RSA" : "RSA-PSS",
		    EVP_PKEY_get_bits(key));
	case EVP_PKEY_EC:
		return pool_printf(pool, "ECDSA (%s)", curve_of(pool, key));
	default:
		return pool_strdup(pool, OBJ_nid2sn(kind));
	}
}

/* "SHA256"; "" for keys that need none. */
static const char *
digest_name(int nid)
{
	return nid == NID_undef ? "" : OBJ_nid2sn(nid);
}

/* What the peer signed with. */
static void
take_theirs(struct pool *pool, SSL *ssl, const char **name,
    const char **digest)
{
	X509	*certificate = SSL_get0_peer_certificate(ssl);
	int	 kind, nid;

	if (certificate == NULL ||
	    SSL_get_peer_signature_type_nid(ssl, &kind) != 1)
		return;
	*name = signature(pool, kind, certificate);
	if (SSL_get_peer_signature_nid(ssl, &nid) == 1)
		*digest = digest_name(nid);
}

/* What we signed with. */
static void
take_ours(struct pool *pool, SSL *ssl, const char **name,
    const char **digest)
{
	X509	*certificate = SSL_get_certificate(ssl);
	int	 kind, nid;

	if (certificate == NULL ||
	    SSL_get_signature_type_nid(ssl, &kind) != 1)
		return;
	*name = signature(pool, kind, certificate);
	if (SSL_get_signature_nid(ssl, &nid) == 1)
		*digest = digest_name(nid);
}

/* Keys and signatures of TLS 1.3. Nobody signs when a session is resumed. */
static void
take_keys(SSL *ssl, struct pool *pool, bool is_server,
    struct tls_summary *sum)
{
	sum->key_exchange = key_exchange(pool, ssl);
	if (sum->is_resumed)
		return;
	if (is_server) {
		take_ours(pool, ssl, &sum->server_signature,
		    &sum->server_digest);
		take_theirs(pool, ssl, &sum->client_signature,
		    &sum->client_digest);
	} else {
		take_theirs(pool, ssl, &sum->server_signature,
		    &sum->server_digest);
		take_ours(pool, ssl, &sum->client_signature,
		    &sum->client_digest);
	}
}

/* All but the peer's certificate. */
void
summary_fill(struct tls_stream *s, struct pool *pool, struct tls_summary *sum)
{
	const SSL_CIPHER	*cipher = SSL_get_current_cipher(s->ssl);

	*sum = (struct tls_summary){
		.protocol = SSL_get_version(s->ssl),
		.cipher = SSL_CIPHER_get_name(cipher),
		.key_exchange = "", .server_signature = "",
		.server_digest = "", .client_signature = "",
		.client_digest = "", .trust = TLS_ANONYMOUS,
		.sni = pool_strdup(pool, s->sni), .peer_name = "",
		.issuer = "", .fingerprint = "", .key_fingerprint = "",
		.doubt = "", .is_resumed = SSL_session_reused(s->ssl)
	};
	sum->bits = SSL_CIPHER_get_bits(cipher, &sum->all_bits);
	if (SSL_version(s->ssl) >= TLS1_3_VERSION)
		take_keys(s->ssl, pool, s->context->setup.role == TLS_SERVER,
		    sum);
}
