#ifndef SASL_SCRAM_INSIDE_H
#define SASL_SCRAM_INSIDE_H

#include "common/sasl/scram.h"

/*
 * What the two sides of SCRAM share; nobody else includes it.
 */
enum { SCRAM_NONCE = 24 };	/* bytes of ours, 32 characters */

/* Salted password to the keys, RFC 5802 3. client_key may be NULL. */
int		 scram_salted(const char *password, size_t len,
		    const unsigned char *salt, size_t salt_length,
		    int64_t iterations, unsigned char salted[SCRAM_KEY]);
int		 scram_keys(const unsigned char salted[SCRAM_KEY],
		    unsigned char client_key[SCRAM_KEY],
		    unsigned char stored_key[SCRAM_KEY],
		    unsigned char server_key[SCRAM_KEY]);
int		 scram_hmac(const unsigned char key[SCRAM_KEY],
		    const char *text, unsigned char to[SCRAM_KEY]);
int		 scram_hash(const unsigned char in[SCRAM_KEY],
		    unsigned char to[SCRAM_KEY]);

/* A fresh nonce, or a copy of that one. */
const char	*scram_nonce(struct pool *, const char *nonce);
const char	*scram_base64(struct pool *, const void *, size_t);
/* How many bytes it was, 0: none, more than there is room for, or no base64. */
size_t		 scram_decode(unsigned char *to, size_t room,
		    const char *text, size_t len);
/* Exactly `len` bytes; false: it is something else. */
bool		 scram_key_decode(unsigned char *to, const char *text,
		    size_t len);

/*
 * The next "x=value" of a message, up to a comma or the end: NULL when it is
 * another letter. The message moves behind it and its comma; NULL at the end.
 * A text without NUL inside; cut up here.
 */
char		*scram_attribute(char **message, char letter);
/* Is the rest nothing but extensions that may be passed over? */
bool		 scram_is_extensions(char *rest);
/* The text as it may be cut up: NULL when it is too long or has a NUL. */
char		*scram_copy(struct pool *, const char *message, size_t len);
/* gs2 header and channel binding as "c=" has them. */
const char	*scram_bound(struct pool *, const char *header,
		    const struct scram_binding *);

#endif
