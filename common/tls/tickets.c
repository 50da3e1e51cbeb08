/*
 * tickets.c - sealed tickets, by which a client resumes its session here.
 *
 * The keys come from the source, which changes them: the freshest one seals,
 * those before it are still believed for a while.
 */
#include "common/tls/inside.h"

#include <string.h>
#include <strings.h>

#include <openssl/core_names.h>
#include <openssl/rand.h>

#include "common/base/clock.h"

/* The key that seals now, or the one of this name that is still believed. */
static const struct tls_ticket *
find(struct tls_context *c, const unsigned char *name)
{
	const struct tls_source	*source = &c->setup.source;
	const struct tls_ticket	*all;
	int64_t			 now = clock_wall_us() / 1000;
	size_t			 i, count = 0;

	if (source->tickets == NULL || c->setup.ticket_time <= 0 ||
	    (all = source->tickets(source->state, &count)) == NULL)
		return NULL;
	for (i = 0; i < count; i++)
		if (name == NULL ? now < all[i].fresh_until :
		    now < all[i].valid_until &&
		    memcmp(name, all[i].name, sizeof all[i].name) == 0)
			return &all[i];
	return NULL;
}

/* Can a ticket be sealed now? */
bool
tickets_are_there(struct tls_context *c)
{
	return find(c, NULL) != NULL;
}

/* Prepare the key of the MAC. */
static int
set_mac(EVP_MAC_CTX *mac, const struct tls_ticket *key)
{
	char		digest[] = "SHA256";
	unsigned char	secret[sizeof key->mac];
	OSSL_PARAM	params[3];
	int		outcome;

	memcpy(secret, key->mac, sizeof secret);
	params[0] = OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY,
	    secret, sizeof secret);
	params[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
	    digest, 0);
	params[2] = OSSL_PARAM_construct_end();
	outcome = EVP_MAC_CTX_set_params(mac, params);
	OPENSSL_cleanse(secret, sizeof secret);
	return outcome;
}

/* Seal with the freshest key, or open with the one that is named: 1, 0: no
 * ticket, 2: opened, but one under a fresher key is due, -1. */
int
tickets_key(SSL *ssl, unsigned char *name, unsigned char *iv,
    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int is_sealing)
{
	struct tls_context	*c = stream_of(ssl)->context;
	const struct tls_ticket	*key;

	if ((key = find(c, is_sealing ? NULL : name)) == NULL)
		return 0;
	if (set_mac(mac, key) != 1)
		return -1;
	if (!is_sealing)
		return EVP_DecryptInit_ex2(cipher, c->cipher, key->secret, iv,
		    NULL) != 1 ? -1 : key == find(c, NULL) ? 1 : 2;
	memcpy(name, key->name, sizeof key->name);
	if (RAND_bytes_ex(tls_library(), iv,
	    (size_t)EVP_CIPHER_get_iv_length(c->cipher), 0) != 1 ||
	    EVP_EncryptInit_ex2(cipher, c->cipher, key->secret, iv,
	    NULL) != 1)
		return -1;
	return 1;
}

/* Is the session of this ticket one with the name that is called now? RFC
 * 6066 3: another name, no resumption. */
static bool
is_same_name(SSL *ssl, const SSL_SESSION *session)
{
	const char	*then = SSL_SESSION_get0_hostname(session);

	return strcasecmp(then == NULL ? "" : then, stream_of(ssl)->sni) == 0;
}

/* What to do with a ticket that was opened, or not. Those of TLS 1.3 are
 * used once: there is a new one for each. */
SSL_TICKET_RETURN
tickets_judge(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
    size_t len, SSL_TICKET_STATUS status, void *arg)
{
	(void)name, (void)len, (void)arg;
	if ((status != SSL_TICKET_SUCCESS &&
	    status != SSL_TICKET_SUCCESS_RENEW) ||
	    !is_same_name(ssl, session))
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	if (status == SSL_TICKET_SUCCESS_RENEW ||
	    SSL_SESSION_get_protocol_version(session) == TLS1_3_VERSION)
		return SSL_TICKET_RETURN_USE_RENEW;
	return SSL_TICKET_RETURN_USE;
}
