#ifndef TLS_PEM_H
#define TLS_PEM_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "common/base/mem.h"

/*
 * Certificates and private keys out of PEM text (RFC 7468), in their order.
 * They belong to the pool. Other things in the text (parameters, requests,
 * remarks) are passed over.
 */
struct pem_item {
	X509		*certificate;	/* or */
	EVP_PKEY	*key;
	const char	*file;
	unsigned	 line;
};
struct pem_list {
	struct pem_item	*items;
	size_t		 count, room;
};

/* Add what stands in the text. NULL, or what is wrong with it as a sentence
 * that begins with file and line; what stood before is added then. */
const char	*pem_read(struct pool *, struct pem_list *, const char *file,
		    const char *text, size_t len);

#endif
