/*
 * verify.c - whom to believe.
 *
 * No certificate ends a handshake: what was found is written down, and the
 * caller, who knows what this session must satisfy, decides.
 *
 * V1  TLS_TRUSTED is said of a chain that X509_verify_cert() called good, to
 *     the context's trust or to the wished anchors alone.
 * V2  TLS_VERIFIED is said of such a chain whose certificate names the peer
 *     that was wanted; or, at the level "fingerprint", of a certificate or
 *     key with a fingerprint that was wanted, whatever its chain.
 */
#include "common/tls/inside.h"

#include <string.h>

#include <openssl/x509_vfy.h>

#include "common/base/text.h"

/* Verify a chain, in OpenSSL's place; it keeps the outcome with the session. */
int
verify_chain(X509_STORE_CTX *store, void *arg)
{
	SSL			*ssl;
	struct tls_stream	*s;

	(void)arg;
	ssl = X509_STORE_CTX_get_ex_data(store,
	    SSL_get_ex_data_X509_STORE_CTX_idx());
	s = stream_of(ssl);
	if (s->anchors != NULL) {
		X509_STORE_CTX_set0_trusted_stack(store, s->anchors);
		X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(store),
		    X509_V_FLAG_PARTIAL_CHAIN);
	}
	if (X509_verify_cert(store) <= 0 &&
	    X509_STORE_CTX_get_error(store) == X509_V_OK)
		X509_STORE_CTX_set_error(store, X509_V_ERR_UNSPECIFIED);
	ERR_clear_error();
	return 1;
}

/* Why a chain is not good. */
static const char *
chain_doubt(struct tls_stream *s, struct pool *pool,
    const struct tls_summary *sum)
{
	long	error = SSL_get_verify_result(s->ssl);

	switch (error) {
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		return "self-signed certificate";
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_CERT_UNTRUSTED:
		return pool_printf(pool, "untrusted issuer %s",
		    *sum->issuer == '\0' ? "without a name" : sum->issuer);
	default:
		return pool_strdup(pool, X509_verify_cert_error_string(error));
	}
}

/* "AB:CD:..." of a digest. */
static const char *
print_digest(struct pool *pool, const unsigned char *digest, size_t len)
{
	struct str	text;
	size_t		i;

	str_init(&text, pool, 0);
	for (i = 0; i < len; i++)
		str_addf(&text, "%s%02X", i == 0 ? "" : ":", digest[i]);
	return text.data;
}

/* The fingerprints of a certificate and of its key; "" cannot be wanted. */
static void
take_fingerprints(struct tls_stream *s, X509 *x, struct pool *pool,
    struct tls_summary *sum)
{
	EVP_MD		*md;
	unsigned char	 digest[EVP_MAX_MD_SIZE], *der = NULL;
	unsigned	 len;
	int		 der_len;

	md = EVP_MD_fetch(tls_library(), s->context->setup.digest, NULL);
	if (md == NULL)
		return;
	if (X509_digest(x, md, digest, &len) == 1)
		sum->fingerprint = print_digest(pool, digest, len);
	der_len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
	if (der_len > 0 && EVP_Digest(der, (size_t)der_len, digest, &len, md,
	    NULL) == 1)
		sum->key_fingerprint = print_digest(pool, digest, len);
	OPENSSL_free(der);
	EVP_MD_free(md);
}

/* The same digits, in any case, with colons or without? None are no match. */
static bool
is_same_print(const char *a, const char *b)
{
	size_t	digits = 0;

	for (;; a++, b++, digits++) {
		a += strspn(a, ":");
		b += strspn(b, ":");
		if (*a == '\0' || *b == '\0')
			return *a == *b && digits > 0;
		if (!text_equal_mem((char[]){ *a, '\0' }, b, 1))
			return false;
	}
}

/* Is one of the fingerprints wanted? */
static bool
is_print_wanted(const struct tls_wishes *w, const struct tls_summary *sum)
{
	size_t	i;

	for (i = 0; i < w->match_count; i++)
		if (is_same_print(w->matches[i], sum->fingerprint) ||
		    is_same_print(w->matches[i], sum->key_fingerprint))
			return true;
	return false;
}

/* The name of the certificate that is wanted, NULL: none of them is. */
static const char *
wanted_name(const struct tls_wishes *w, const char **names, size_t count)
{
	size_t	i, n;

	for (i = 0; i < w->match_count; i++)
		for (n = 0; n < count; n++)
			if (name_matches(names[n], w->matches[i],
			    tls_set.wide_wildcards))
				return names[n];
	return NULL;
}

/* All that is wanted, for a sentence. */
static const char *
wanted_list(const struct tls_wishes *w, struct pool *pool)
{
	struct str	list;
	size_t		i;

	str_init(&list, pool, 400);
	for (i = 0; i < w->match_count; i++)
		str_addf(&list, "%s%s", i == 0 ? "" : ", ", w->matches[i]);
	return list.data;
}

/* At the levels that want a name: is it there? */
static void
judge_name(X509 *x, const struct tls_wishes *w, struct pool *pool,
    struct tls_summary *sum)
{
	const char	**names, *found;
	size_t		 count;

	names = name_list(pool, x, &count);
	if ((found = wanted_name(w, names, count)) == NULL)
		sum->doubt = pool_printf(pool, "server certificate does not "
		    "match %s: it is for %s", wanted_list(w, pool),
		    count == 0 ? "no name" : names[0]);
	else {
		sum->trust = TLS_VERIFIED;
		sum->peer_name = found;
	}
}

/* At the level that wants a fingerprint. */
static void
judge_print(const struct tls_wishes *w, struct pool *pool,
    struct tls_summary *sum)
{
	if (is_print_wanted(w, sum)) {
		sum->trust = TLS_VERIFIED;
		sum->doubt = "";
	} else
		sum->doubt = pool_printf(pool, "server certificate does not "
		    "match: its fingerprint is %s", sum->fingerprint);
}

/* Was the chain good, and is it so still? What a ticket says was found when
 * the session began. */
static bool
is_trusted(struct tls_stream *s, X509 *x, const char **doubt)
{
	if (!SSL_session_reused(s->ssl) ||
	    X509_cmp_current_time(X509_get0_notAfter(x)) > 0)
		return SSL_get_verify_result(s->ssl) == X509_V_OK;
	*doubt = X509_verify_cert_error_string(X509_V_ERR_CERT_HAS_EXPIRED);
	return false;
}

/* Who the peer is, and how much of that is to be believed. */
void
verify_judge(struct tls_stream *s, const struct tls_wishes *w,
    struct pool *pool, struct tls_summary *sum)
{
	X509		*x = SSL_get0_peer_certificate(s->ssl);
	const char	**names;
	size_t		 count;

	if (x == NULL)
		return;
	sum->peer_name = name_common(pool, X509_get_subject_name(x));
	sum->issuer = name_common(pool, X509_get_issuer_name(x));
	if (*sum->peer_name == '\0') {
		names = name_list(pool, x, &count);
		sum->peer_name = count > 0 ? names[0] : "";
	}
	take_fingerprints(s, x, pool, sum);
	sum->trust = is_trusted(s, x, &sum->doubt) ? TLS_TRUSTED :
	    TLS_UNTRUSTED;
	if (sum->trust == TLS_UNTRUSTED && *sum->doubt == '\0')
		sum->doubt = chain_doubt(s, pool, sum);
	if (s->context->setup.role == TLS_SERVER)
		return;
	if (w->level == TLS_LEVEL_FINGERPRINT)
		judge_print(w, pool, sum);
	else if (sum->trust == TLS_TRUSTED && (w->level == TLS_LEVEL_VERIFY ||
	    w->level == TLS_LEVEL_SECURE))
		judge_name(x, w, pool, sum);
	if (w->level >= TLS_LEVEL_FINGERPRINT && sum->trust != TLS_VERIFIED)
		resume_refuse(s);
}
