#ifndef TLS_PROVIDER_H
#define TLS_PROVIDER_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "common/base/mem.h"
#include "common/fiber/fiber.h"

/*
 * Keys that are elsewhere: an OpenSSL provider whose private keys are public
 * ones with somebody to ask. What is asked for is the signature of a message,
 * not of a digest, so that the holder sees what it signs.
 */
struct tls_signer {
	/* Sign the message with the key of this id (SHA-256 of its public
	 * key). digest: "SHA256", or "" (Ed25519); is_pss with salt_length.
	 * The length of the signature, or 0. May wait. */
	WAITS size_t	(*sign)(void *state, const unsigned char id[32],
			    const char *digest, bool is_pss, int salt_length,
			    const unsigned char *message, size_t length,
			    unsigned char *to, size_t room);
	void		*state;
	/* The last use of one key is over; NULL: nobody wants to know. */
	void		(*released)(void *state);
};

/* Add it to a library context; 0 or -1. */
int		 provider_add(OSSL_LIB_CTX *);
/* A key for this certificate that signs by asking; NULL for kinds of keys that
 * we do not know. The signer must outlive it. */
EVP_PKEY	*provider_key(OSSL_LIB_CTX *, X509 *,
		    const struct tls_signer *);
/* Is it of a kind that provider_key() makes keys of? */
bool		 provider_knows(const EVP_PKEY *);
/* The id of a certificate's or a private key's public key. */
int		 provider_key_id(EVP_PKEY *, unsigned char id[32]);

#endif
