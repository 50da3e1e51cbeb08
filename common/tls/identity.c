/*
 * identity.c - who we are: certificates with their chains and keys, counted.
 */
#include "common/tls/inside.h"

#include <stdlib.h>

#include "common/base/bug.h"

/* One more who holds it. */
struct tls_identity *
tls_identity_hold(struct tls_identity *identity)
{
	identity->users++;
	return identity;
}

/* One fewer; the last frees it. */
void
tls_identity_release(struct tls_identity *identity)
{
	size_t	i;

	if (identity == NULL)
		return;
	CLAIM(identity->users > 0);
	if (--identity->users > 0)
		return;
	for (i = 0; i < identity->count; i++) {
		X509_free(identity->chains[i].certificate);
		sk_X509_pop_free(identity->chains[i].others, X509_free);
		EVP_PKEY_free(identity->chains[i].key);
	}
	free(identity);
}

/* Use all chains that OpenSSL takes: a weak one does not stop the others. */
int
identity_install(struct tls_stream *s, struct tls_identity *identity,
    const char **why)
{
	const struct tls_chain	*chain;
	size_t			 i;

	for (i = 0; i < identity->count; i++) {
		chain = &identity->chains[i];
		ERR_clear_error();
		if (SSL_use_cert_and_key(s->ssl, chain->certificate,
		    chain->key, chain->others, 1) == 1)
			s->chain_count++;
		else
			*why = reason(s->pool);
	}
	if (s->chain_count > 0)
		return 0;
	if (identity->count == 0)
		*why = "there is no certificate";
	return -1;
}
