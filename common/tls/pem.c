/*
 * pem.c - certificates and private keys out of PEM text.
 *
 * OpenSSL decodes each block; where one begins is found here, so that every
 * complaint has a line. Keys with a pass phrase are refused: nobody is there
 * to type it.
 */
#include "common/tls/pem.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "common/base/text.h"
#include "common/tls/tls.h"

enum { ITEMS_MAX = 200 };		/* of one file */

/* One block, decoded. */
struct block {
	char		*name;		/* "CERTIFICATE" */
	char		*header;	/* "Proc-Type: ..." or "" */
	unsigned char	*data;
	long		 len;
};

/* Where we are. */
struct reading {
	struct pool	*pool;
	struct pem_list	*to;
	const char	*file;
	unsigned	 line;
};

/* The pool is freed. */
static void
free_certificate(void *certificate)
{
	X509_free(certificate);
}

/* The same for a key, which OpenSSL wipes. */
static void
free_key(void *key)
{
	EVP_PKEY_free(key);
}

/* One more item. */
static struct pem_item *
add(struct reading *r)
{
	struct pem_item	*item;

	r->to->items = pool_grow(r->pool, r->to->items, &r->to->room,
	    r->to->count + 1, sizeof(*item));
	item = &r->to->items[r->to->count++];
	*item = (struct pem_item){ .file = r->file, .line = r->line };
	return item;
}

/* A certificate. */
static const char *
take_certificate(struct reading *r, const struct block *b)
{
	const unsigned char	*at = b->data;
	X509			*x = X509_new_ex(tls_library(), NULL);
	bool			 is_trusted = strncmp(b->name, "TRUSTED", 7) ==
				    0;

	if (x == NULL || (is_trusted ? d2i_X509_AUX(&x, &at, b->len) :
	    d2i_X509(&x, &at, b->len)) == NULL) {
		X509_free(x);
		return "expected a certificate, found something else in its "
		    "place";
	}
	pool_on_free(r->pool, free_certificate, x);
	add(r)->certificate = x;
	return NULL;
}

/* A private key. */
static const char *
take_key(struct reading *r, const struct block *b)
{
	const unsigned char	*at = b->data;
	EVP_PKEY		*key;

	if (strncmp(b->name, "ENCRYPTED", 9) == 0 ||
	    strstr(b->header, "ENCRYPTED") != NULL)
		return "expected a private key without a pass phrase, found "
		    "one that has one";
	key = d2i_AutoPrivateKey_ex(NULL, &at, b->len, tls_library(), NULL);
	if (key == NULL)
		return "expected a private key, found something else in its "
		    "place";
	pool_on_free(r->pool, free_key, key);
	add(r)->key = key;
	return NULL;
}

/* What stands in a block. */
static const char *
take(struct reading *r, const struct block *b)
{
	if (r->to->count >= ITEMS_MAX)
		return "expected fewer certificates in one place";
	if (strcmp(b->name, PEM_STRING_X509) == 0 ||
	    strcmp(b->name, PEM_STRING_X509_OLD) == 0 ||
	    strcmp(b->name, PEM_STRING_X509_TRUSTED) == 0)
		return take_certificate(r, b);
	if (text_ends(b->name, "PRIVATE KEY"))
		return take_key(r, b);
	return NULL;
}

/* Decode the block that begins here. */
static const char *
read_block(struct reading *r, const char *text, size_t len)
{
	struct block	 b = { 0 };
	BIO		*bio = BIO_new_mem_buf(text, (int)len);
	const char	*why = "expected PEM, found a block that is damaged";

	if (bio != NULL &&
	    PEM_read_bio(bio, &b.name, &b.header, &b.data, &b.len) == 1) {
		why = take(r, &b);
		OPENSSL_free(b.name);
		OPENSSL_free(b.header);
		OPENSSL_clear_free(b.data, (size_t)b.len);
	}
	BIO_free(bio);
	ERR_clear_error();
	return why == NULL ? NULL : pool_printf(r->pool, "%s:%u: %s", r->file,
	    r->line, why);
}

/* All blocks. */
const char *
pem_read(struct pool *pool, struct pem_list *to, const char *file,
    const char *text, size_t len)
{
	static const char	 begin[] = "-----BEGIN ";
	const size_t		 begin_len = sizeof(begin) - 1;
	struct reading		 r = { .pool = pool, .to = to,
				     .file = pool_strdup(pool, file) };
	const char		*end = text + len, *next, *why;

	for (; text < end; text = next) {
		r.line++;
		next = memchr(text, '\n', (size_t)(end - text));
		next = next == NULL ? end : next + 1;
		if ((size_t)(next - text) > begin_len &&
		    memcmp(text, begin, begin_len) == 0 &&
		    (why = read_block(&r, text, (size_t)(end - text))) != NULL)
			return why;
	}
	return NULL;
}
