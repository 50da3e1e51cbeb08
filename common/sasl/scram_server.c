/*
 * scram_server.c - SCRAM-SHA-256, the side that knows verifiers.
 *
 *	client	p=tls-exporter,,n=user,r=NONCE
 *	server	r=NONCEnonce,s=SALT,i=16384
 *	client	c=HEADERANDCHANNEL,r=NONCEnonce,p=PROOF
 *	server	v=SIGNATURE
 *
 * S1  A proof is good for one exchange: half of the nonce is ours and fresh.
 * S2  A client that could have bound the channel, had somebody between us not
 *     taken our -PLUS away, is refused (RFC 5802 6).
 */
#include "common/sasl/scram_inside.h"

#include <string.h>

#include <openssl/crypto.h>

#include "common/base/bug.h"
#include "common/mail/chars.h"

enum { BINDINGS_MAX = 2 };

struct scram_server {
	struct pool		*pool;
	bool			 is_plus;
	struct scram_binding	 bindings[BINDINGS_MAX];
	size_t			 count;
	const struct scram_binding *bound;	/* that he chose */
	const char		*our_nonce, *nonce;
	const char		*header;	/* "p=tls-exporter,,": gs2 */
	const char		*bare;		/* his first message without */
	const char		*challenge;
	const char		*user, *authorize;
	struct scram_verifier	 verifier;
};

/* A new exchange. */
struct scram_server *
scram_server_new(struct pool *pool, bool is_plus,
    const struct scram_binding *bindings, size_t count, const char *nonce)
{
	struct scram_server	*s = pool_alloc(pool, sizeof(*s));
	size_t			 i;

	CLAIM(count <= BINDINGS_MAX);
	s->pool = pool;
	s->is_plus = is_plus;
	s->count = count;
	for (i = 0; i < count; i++) {
		s->bindings[i] = bindings[i];
		s->bindings[i].data = (const unsigned char *)pool_strndup(pool,
		    bindings[i].data, bindings[i].length);
	}
	s->our_nonce = scram_nonce(pool, nonce);
	s->user = s->authorize = "";
	return s;
}

/* --- the first message --------------------------------------------------- */

/* saslname (RFC 5802 5.1): "=2C" is a comma, "=3D" a "="; in place. NULL when
 * it is none. */
static const char *
decode_name(char *name)
{
	char	*from, *to = name;

	for (from = name; *from != '\0'; from++) {
		if (*from != '=') {
			*to++ = *from;
			continue;
		}
		if (strncmp(from, "=2C", 3) == 0)
			*to++ = ',';
		else if (strncmp(from, "=3D", 3) == 0)
			*to++ = '=';
		else
			return NULL;
		from += 2;
	}
	*to = '\0';
	return utf8_is_valid(name, strlen(name)) ? name : NULL;
}

/* The binding that he names, if there is one. */
static const struct scram_binding *
find_binding(const struct scram_server *s, const char *type)
{
	size_t	i;

	for (i = 0; i < s->count; i++)
		if (strcmp(s->bindings[i].type, type) == 0)
			return &s->bindings[i];
	return NULL;
}

/* gs2-cbind-flag: "n", "y" or "p=type". */
static const char *
take_flag(struct scram_server *s, const char *flag)
{
	if (strncmp(flag, "p=", 2) == 0) {
		if (!s->is_plus)
			return "it binds a channel without -PLUS";
		s->bound = find_binding(s, flag + 2);
		return s->bound != NULL ? NULL :
		    "there is no channel binding of that type";
	}
	if (s->is_plus)
		return "it binds no channel, as -PLUS has to";
	if (strcmp(flag, "y") == 0)
		return s->count == 0 ? NULL :
		    "it did not see that we offer channel binding";
	return strcmp(flag, "n") == 0 ? NULL : "it does not begin with "
	    "a channel binding flag";
}

/* The gs2 header; *rest is what stands behind it. */
static const char *
take_header(struct scram_server *s, char *message, char **rest)
{
	char		*flag = message, *authorize, *end;
	const char	*why;

	if ((authorize = strchr(flag, ',')) == NULL ||
	    (end = strchr(authorize + 1, ',')) == NULL)
		return "its header is not complete";
	s->header = pool_strndup(s->pool, message,
	    (size_t)(end + 1 - message));
	*authorize++ = *end = '\0';
	*rest = end + 1;
	if ((why = take_flag(s, flag)) != NULL || *authorize == '\0')
		return why;
	if (strncmp(authorize, "a=", 2) != 0 || authorize[2] == '\0')
		return "its authorization identity is malformed";
	s->authorize = decode_name(authorize + 2);
	return s->authorize != NULL ? NULL :
	    "its authorization identity is malformed";
}

/* printable = %x21-2B / %x2D-7E, at least one; short enough to repeat. */
static bool
is_nonce(const char *nonce)
{
	const char	*c;

	for (c = nonce; *c != '\0'; c++)
		if (*c < 0x21 || *c > 0x7e)
			return false;
	return c > nonce && c - nonce <= SCRAM_MESSAGE_MAX / 4;
}

/* The first message. */
const char *
scram_server_first(struct scram_server *s, const char *message, size_t len)
{
	char		*copy = scram_copy(s->pool, message, len), *rest;
	char		*user, *nonce;
	const char	*why;

	if (copy == NULL)
		return "it is empty, too long, or has a NUL";
	if ((why = take_header(s, copy, &rest)) != NULL)
		return why;
	s->bare = pool_strdup(s->pool, rest);
	if (*rest == 'm')
		return "it has an extension that must be understood";
	if ((user = scram_attribute(&rest, 'n')) == NULL ||
	    (s->user = decode_name(user)) == NULL || *user == '\0') {
		s->user = "";
		return "its user name is missing or malformed";
	}
	if ((nonce = scram_attribute(&rest, 'r')) == NULL || !is_nonce(nonce))
		return "its nonce is missing or malformed";
	if (!scram_is_extensions(rest))
		return "its extensions are malformed";
	s->nonce = pool_printf(s->pool, "%s%s", nonce, s->our_nonce);
	return NULL;
}

/* Who he says he is. */
const char *
scram_server_user(const struct scram_server *s)
{
	return s->user;
}

/* As whom he wants to act, or "". */
const char *
scram_server_authorize(const struct scram_server *s)
{
	return s->authorize;
}

/* Our first message. */
const char *
scram_server_challenge(struct scram_server *s, const struct scram_verifier *v)
{
	s->verifier = *v;
	s->challenge = pool_printf(s->pool, "r=%s,s=%s,i=%jd", s->nonce,
	    scram_base64(s->pool, v->salt, v->salt_length),
	    (intmax_t)v->iterations);
	return s->challenge;
}

/* --- the last message ---------------------------------------------------- */

/* Is the proof one of whoever has the client's key? 1, 0, or -1: OpenSSL
 * cannot. */
static int
is_proven(const struct scram_server *s, const char *authentication,
    const unsigned char proof[SCRAM_KEY])
{
	unsigned char	signature[SCRAM_KEY], key[SCRAM_KEY];
	int		i, result = -1;

	if (scram_hmac(s->verifier.stored_key, authentication,
	    signature) == -1)
		return -1;
	for (i = 0; i < SCRAM_KEY; i++)
		signature[i] ^= proof[i];
	if (scram_hash(signature, key) == 0)
		result = CRYPTO_memcmp(key, s->verifier.stored_key,
		    SCRAM_KEY) == 0;
	OPENSSL_cleanse(signature, sizeof(signature));
	OPENSSL_cleanse(key, sizeof(key));
	return result;
}

/* The last message without the proof; what is wrong with it. */
static enum scram_verdict
check_last(const struct scram_server *s, char *message, const char **why)
{
	char	*bound = scram_attribute(&message, 'c');
	char	*nonce = scram_attribute(&message, 'r');

	*why = "it is malformed";
	if (bound == NULL || nonce == NULL || !scram_is_extensions(message))
		return SCRAM_MALFORMED;
	*why = "it answers another challenge";
	if (strcmp(nonce, s->nonce) != 0)
		return SCRAM_IS_NOT;
	*why = s->bound != NULL ? "it was said over another channel" :
	    "it repeats another header";
	if (strcmp(bound, scram_bound(s->pool, s->header, s->bound)) != 0)
		return SCRAM_IS_NOT;
	return SCRAM_IS_HIM;
}

/* The last message, and the last answer. */
enum scram_verdict
scram_server_finish(struct scram_server *s, const char *message, size_t len,
    const char **reply, const char **why)
{
	char			*last = scram_copy(s->pool, message, len);
	char			*tail = last, *next;
	const char		*authentication;
	unsigned char		 proof[SCRAM_KEY], signature[SCRAM_KEY];
	enum scram_verdict	 verdict;

	CLAIM(s->challenge != NULL);
	*why = "it is malformed";
	for (next = last; next != NULL; next = strstr(next + 1, ",p="))
		tail = next;
	if (last == NULL || tail == last ||
	    !scram_key_decode(proof, tail + 3, SCRAM_KEY))
		return SCRAM_MALFORMED;
	*tail = '\0';
	authentication = pool_printf(s->pool, "%s,%s,%s", s->bare,
	    s->challenge, last);
	if ((verdict = check_last(s, last, why)) != SCRAM_IS_HIM)
		return verdict;
	*why = "wrong password";
	if (is_proven(s, authentication, proof) != 1 ||
	    scram_hmac(s->verifier.server_key, authentication,
	    signature) == -1)
		return SCRAM_IS_NOT;
	*reply = pool_printf(s->pool, "v=%s", scram_base64(s->pool, signature,
	    SCRAM_KEY));
	return SCRAM_IS_HIM;
}

/* Forget the verifier; what was said has gone over the wire. */
void
scram_server_wipe(struct scram_server *s)
{
	OPENSSL_cleanse(&s->verifier, sizeof(s->verifier));
}
