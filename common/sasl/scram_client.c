/*
 * scram_client.c - SCRAM-SHA-256, the side that knows the password.
 *
 * scram_server.c shows the messages. A server proves with the last one that
 * it has the verifier; until then it may be anybody, so what it asks for has
 * bounds: too few iterations would let it find the password by trying, too
 * many would keep us busy.
 */
#include "common/sasl/scram_inside.h"

#include <string.h>

#include <openssl/crypto.h>

#include "common/base/bug.h"
#include "common/base/text.h"
#include "common/mail/chars.h"

enum { COMPLAINT_MAX = 300 };

struct scram_client {
	struct pool		*pool;
	const struct scram_binding *binding;
	const char		*nonce, *header, *bare;
	char			*password;
	size_t			 password_length;
	unsigned char		 signature[SCRAM_KEY];	/* the server's */
	bool			 has_signature;
};

/* saslname: what means something else is written as hexadecimal digits. */
static const char *
encode_name(struct pool *pool, const char *name)
{
	struct str	text;

	str_init(&text, pool, 0);
	for (; *name != '\0'; name++) {
		if (*name == ',')
			str_add(&text, "=2C");
		else if (*name == '=')
			str_add(&text, "=3D");
		else
			str_add_char(&text, *name);
	}
	return text.data;
}

/* The gs2 header. */
static const char *
make_header(struct scram_client *c, const char *authorize, bool could_bind)
{
	const char	*flag = could_bind ? "y" : "n";

	if (c->binding != NULL)
		flag = pool_printf(c->pool, "p=%s", c->binding->type);
	return pool_printf(c->pool, "%s,%s%s,", flag,
	    *authorize != '\0' ? "a=" : "", encode_name(c->pool, authorize));
}

/* A new exchange. */
struct scram_client *
scram_client_new(struct pool *pool, const char *user, const char *authorize,
    const char *password, const struct scram_binding *binding,
    bool could_bind, const char *nonce, const char **why)
{
	struct scram_client	*c = pool_alloc(pool, sizeof(*c));

	c->pool = pool;
	c->binding = binding;
	*why = "the user name is empty or not UTF-8";
	if (*user == '\0' || !utf8_is_valid(user, strlen(user)) ||
	    !utf8_is_valid(authorize, strlen(authorize)))
		return NULL;
	c->password_length = strlen(password);
	c->password = pool_strdup(pool, password);
	c->nonce = scram_nonce(pool, nonce);
	c->header = make_header(c, authorize, could_bind);
	c->bare = pool_printf(pool, "n=%s,r=%s", encode_name(pool, user),
	    c->nonce);
	return c;
}

/* The first message. */
const char *
scram_client_first(struct scram_client *c)
{
	return pool_printf(c->pool, "%s%s", c->header, c->bare);
}

/* --- the challenge ------------------------------------------------------- */

/* What the server says of the verifier, and both nonces. */
static const char *
take_challenge(struct scram_client *c, char *message, const char **nonce,
    struct scram_verifier *v)
{
	char		*salt, *iterations;
	size_t		 len = strlen(c->nonce);

	if (*message == 'm')
		return "it has an extension that must be understood";
	*nonce = scram_attribute(&message, 'r');
	salt = scram_attribute(&message, 's');
	iterations = scram_attribute(&message, 'i');
	if (*nonce == NULL || salt == NULL || iterations == NULL ||
	    !scram_is_extensions(message))
		return "it is malformed";
	if (strncmp(*nonce, c->nonce, len) != 0 || (*nonce)[len] == '\0')
		return "its nonce does not go on from ours";
	v->salt_length = scram_decode(v->salt, SCRAM_SALT_MAX, salt,
	    strlen(salt));
	if (v->salt_length == 0)
		return "its salt is malformed";
	return text_integer(iterations, SCRAM_MIN, SCRAM_MAX,
	    &v->iterations) == NULL ? NULL :
	    "its number of iterations is below 4096 or above 1000000";
}

/* Keys (salted, client, stored, server), the proof, and the signature that the
 * server will have to show. */
static int
prove(struct scram_client *c, const struct scram_verifier *v,
    const char *authentication, unsigned char proof[SCRAM_KEY])
{
	unsigned char	keys[4][SCRAM_KEY];
	int		i, result = -1;

	if (scram_salted(c->password, c->password_length, v->salt,
	    v->salt_length, v->iterations, keys[0]) == 0 &&
	    scram_keys(keys[0], keys[1], keys[2], keys[3]) == 0 &&
	    scram_hmac(keys[2], authentication, proof) == 0 &&
	    scram_hmac(keys[3], authentication, c->signature) == 0) {
		for (i = 0; i < SCRAM_KEY; i++)
			proof[i] ^= keys[1][i];
		c->has_signature = true;
		result = 0;
	}
	OPENSSL_cleanse(keys, sizeof(keys));
	return result;
}

/* The second message. */
const char *
scram_client_final(struct scram_client *c, const char *message, size_t len,
    const char **why)
{
	char			*copy = scram_copy(c->pool, message, len);
	const char		*nonce, *said, *last;
	struct scram_verifier	 v = { 0 };
	unsigned char		 proof[SCRAM_KEY];

	*why = "it is empty, too long, or has a NUL";
	if (copy == NULL)
		return NULL;
	said = pool_strdup(c->pool, copy);
	if ((*why = take_challenge(c, copy, &nonce, &v)) != NULL)
		return NULL;
	last = pool_printf(c->pool, "c=%s,r=%s",
	    scram_bound(c->pool, c->header, c->binding), nonce);
	if (prove(c, &v, pool_printf(c->pool, "%s,%s,%s", c->bare, said, last),
	    proof) == -1) {
		*why = "OpenSSL cannot compute the proof";
		return NULL;
	}
	return pool_printf(c->pool, "%s,p=%s", last, scram_base64(c->pool,
	    proof, SCRAM_KEY));
}

/* The server's last message. */
bool
scram_client_verify(struct scram_client *c, const char *message, size_t len,
    const char **why)
{
	char		*copy = scram_copy(c->pool, message, len), *value;
	unsigned char	 signature[SCRAM_KEY];
	struct str	 said;

	*why = "it is malformed";
	if (copy == NULL)
		return false;
	if ((value = scram_attribute(&copy, 'e')) != NULL) {
		str_init(&said, c->pool, COMPLAINT_MAX);
		str_add(&said, "it says: ");
		str_add_escaped(&said, value, strlen(value));
		*why = said.data;
		return false;
	}
	if ((value = scram_attribute(&copy, 'v')) == NULL ||
	    !scram_is_extensions(copy) ||
	    !scram_key_decode(signature, value, SCRAM_KEY))
		return false;
	*why = "it does not know the password";
	return c->has_signature &&
	    CRYPTO_memcmp(signature, c->signature, SCRAM_KEY) == 0;
}

/* Forget the password. */
void
scram_client_wipe(struct scram_client *c)
{
	if (c == NULL)
		return;
	explicit_bzero(c->password, c->password_length);
	OPENSSL_cleanse(c->signature, sizeof(c->signature));
	c->has_signature = false;
}
