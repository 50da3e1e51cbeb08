#ifndef TLS_PROVIDER_INSIDE_H
#define TLS_PROVIDER_INSIDE_H

#include <openssl/core.h>

#include "common/tls/provider.h"

/*
 * What the two files of the provider tell each other; nobody else includes it.
 */
struct remote_key {
	unsigned		 users;
	OSSL_LIB_CTX		*library;
	const char		*kind;
	EVP_PKEY		*public;	/* of OpenSSL's own provider */
	const struct tls_signer	*signer;	/* NULL: nothing but public */
	unsigned char		 id[32];
};
struct remote_key	*remote_key_hold(struct remote_key *);
void			 remote_key_release(struct remote_key *);

/* provider_sign.c: what signs, for all kinds of keys. */
extern const OSSL_DISPATCH	provider_signature[];

#endif
