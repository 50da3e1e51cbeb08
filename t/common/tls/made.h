/*
 * made.h - keys, certificates and handshakes made in memory, for the tests of
 * keys that are elsewhere.
 */
#ifndef T_TLS_MADE_H
#define T_TLS_MADE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

/* "RSA", "RSA-PSS", "ED25519", or the name of a curve. */
static inline EVP_PKEY *
made_key(OSSL_LIB_CTX *library, const char *kind)
{
	EVP_PKEY_CTX	*c;
	EVP_PKEY	*key = NULL;
	int		 is_curve = strncmp(kind, "P-", 2) == 0;

	c = EVP_PKEY_CTX_new_from_name(library, is_curve ? "EC" : kind,
	    "provider=default");
	if (c == NULL || EVP_PKEY_keygen_init(c) <= 0)
		abort();
	if (is_curve && EVP_PKEY_CTX_set_group_name(c, kind) <= 0)
		abort();
	if (strncmp(kind, "RSA", 3) == 0 &&
	    EVP_PKEY_CTX_set_rsa_keygen_bits(c, 2048) <= 0)
		abort();
	if (EVP_PKEY_generate(c, &key) <= 0)
		abort();
	EVP_PKEY_CTX_free(c);
	return key;
}

/* A certificate that this key has given itself. */
static inline X509 *
made_certificate(OSSL_LIB_CTX *library, EVP_PKEY *key, const char *name)
{
	X509		*x = X509_new_ex(library, "?provider=default");
	X509_NAME	*who = X509_get_subject_name(x);

	(void)X509_set_version(x, 2);
	(void)ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	(void)X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	(void)X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	(void)X509_NAME_add_entry_by_txt(who, "CN", MBSTRING_ASC,
	    (const unsigned char *)name, -1, -1, 0);
	(void)X509_set_issuer_name(x, who);
	if (!X509_set_pubkey(x, key) ||
	    X509_sign(x, key, EVP_PKEY_is_a(key, "ED25519") ? NULL :
	    EVP_sha256()) <= 0)
		abort();
	return x;
}

/* A signature as the keys process makes it; 0 if it cannot. */
static inline size_t
made_signature(OSSL_LIB_CTX *library, EVP_PKEY *key, const char *digest,
    bool is_pss, int salt_length, const unsigned char *message, size_t length,
    unsigned char *to, size_t room)
{
	EVP_MD_CTX	*c = EVP_MD_CTX_new();
	EVP_PKEY_CTX	*p;
	size_t		 len = room;
	int		 is_good;

	is_good = EVP_DigestSignInit_ex(c, &p, digest[0] == '\0' ? NULL :
	    digest, library, "provider=default", key, NULL) > 0;
	if (is_good && is_pss)
		is_good = EVP_PKEY_CTX_set_rsa_padding(p,
		    RSA_PKCS1_PSS_PADDING) > 0 &&
		    EVP_PKEY_CTX_set_rsa_pss_saltlen(p, salt_length) > 0;
	is_good = is_good &&
	    EVP_DigestSign(c, to, &len, message, length) > 0;
	EVP_MD_CTX_free(c);
	return is_good ? len : 0;
}

/* Two ends of a session without a network between them. */
struct made_pair {
	SSL	*client, *server;
	int	 client_error, server_error;	/* SSL_get_error() at last */
};

static inline void
made_pair_open(struct made_pair *p, SSL_CTX *client, SSL_CTX *server)
{
	BIO	*a, *b;

	*p = (struct made_pair){ SSL_new(client), SSL_new(server), 0, 0 };
	if (BIO_new_bio_pair(&a, 65536, &b, 65536) != 1)
		abort();
	SSL_set_bio(p->client, a, a);
	SSL_set_bio(p->server, b, b);
	SSL_set_connect_state(p->client);
	SSL_set_accept_state(p->server);
}

/* Shake hands; true when both have done so. */
static inline bool
made_pair_shake(struct made_pair *p)
{
	int	i, c = 0, s = 0;

	for (i = 0; i < 20 && (c != 1 || s != 1); i++) {
		if (c != 1 && (c = SSL_do_handshake(p->client)) != 1)
			p->client_error = SSL_get_error(p->client, c);
		if (s != 1 && (s = SSL_do_handshake(p->server)) != 1)
			p->server_error = SSL_get_error(p->server, s);
		if (p->client_error == SSL_ERROR_SSL ||
		    p->server_error == SSL_ERROR_SSL)
			return false;
	}
	return c == 1 && s == 1;
}

static inline void
made_pair_close(struct made_pair *p)
{
	SSL_free(p->client);
	SSL_free(p->server);
}

#endif
