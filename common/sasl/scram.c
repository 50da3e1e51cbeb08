/*
 * scram.c - SCRAM-SHA-256: keys, verifiers and the pieces of messages.
 *
 * RFC 5802 3 derives from a password, a salt and a number of iterations
 *
 *	SaltedPassword = PBKDF2-HMAC-SHA-256(password, salt, iterations)
 *	ClientKey = HMAC(SaltedPassword, "Client Key")
 *	StoredKey = SHA-256(ClientKey)
 *	ServerKey = HMAC(SaltedPassword, "Server Key")
 *
 * A server keeps salt, iterations, StoredKey and ServerKey: the verifier. Who
 * steals it can play the server, and guess passwords, but not log in. As text
 * it is what other programs have, too (RFC 5803 without the base64 around it):
 *
 *	SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY
 */
#include "common/sasl/scram_inside.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "common/base/text.h"
#include "common/mail/chars.h"
#include "common/mail/encode.h"

#define PREFIX	"SCRAM-SHA-256$"

enum {
	KEY_TEXT = (SCRAM_KEY + 2) / 3 * 4,
	SALT_TEXT = (SCRAM_SALT_MAX + 2) / 3 * 4,
	NUMBER_TEXT = 7,
	PASSWORD_MAX = 500
};

/* --- keys ---------------------------------------------------------------- */

/* Hi() of RFC 5802 2.2. */
int
scram_salted(const char *password, size_t len, const unsigned char *salt,
    size_t salt_length, int64_t iterations, unsigned char salted[SCRAM_KEY])
{
	return PKCS5_PBKDF2_HMAC(password, (int)len, salt, (int)salt_length,
	    (int)iterations, EVP_sha256(), SCRAM_KEY, salted) == 1 ? 0 : -1;
}

/* HMAC-SHA-256 of a text. */
int
scram_hmac(const unsigned char key[SCRAM_KEY], const char *text,
    unsigned char to[SCRAM_KEY])
{
	return HMAC(EVP_sha256(), key, SCRAM_KEY, (const unsigned char *)text,
	    strlen(text), to, NULL) != NULL ? 0 : -1;
}

/* SHA-256 of a key. */
int
scram_hash(const unsigned char in[SCRAM_KEY], unsigned char to[SCRAM_KEY])
{
	return SHA256(in, SCRAM_KEY, to) != NULL ? 0 : -1;
}

/* All keys of a salted password. */
int
scram_keys(const unsigned char salted[SCRAM_KEY],
    unsigned char client_key[SCRAM_KEY], unsigned char stored_key[SCRAM_KEY],
    unsigned char server_key[SCRAM_KEY])
{
	if (scram_hmac(salted, "Client Key", client_key) == -1 ||
	    scram_hash(client_key, stored_key) == -1)
		return -1;
	return scram_hmac(salted, "Server Key", server_key);
}

/* --- verifiers ----------------------------------------------------------- */

/* Fill in the keys. */
int
scram_verifier_make(struct scram_verifier *v, const char *password, size_t len)
{
	unsigned char	salted[SCRAM_KEY], client_key[SCRAM_KEY];
	int		result = -1;

	if (scram_salted(password, len, v->salt, v->salt_length,
	    v->iterations, salted) == 0)
		result = scram_keys(salted, client_key, v->stored_key,
		    v->server_key);
	OPENSSL_cleanse(salted, sizeof(salted));
	OPENSSL_cleanse(client_key, sizeof(client_key));
	return result;
}

/* Does the password give the same keys? */
int
scram_verifier_check(const struct scram_verifier *v, const char *password,
    size_t len)
{
	struct scram_verifier	his = *v;
	int			result = -1;

	if (scram_verifier_make(&his, password, len) == 0)
		result = CRYPTO_memcmp(his.stored_key, v->stored_key,
		    SCRAM_KEY) == 0;
	OPENSSL_cleanse(&his, sizeof(his));
	return result;
}

/* base64 into room that is smaller than it may be: a text without "=" is as
 * long as one with, and has more in it. */
size_t
scram_decode(unsigned char *to, size_t room, const char *text, size_t len)
{
	unsigned char	all[SALT_TEXT / 4 * 3];
	ssize_t		n = len <= SALT_TEXT ? base64_decode(all, text, len) :
			    -1;

	if (n < 1 || (size_t)n > room)
		n = 0;
	memcpy(to, all, (size_t)n);
	OPENSSL_cleanse(all, sizeof(all));
	return (size_t)n;
}

/* base64 of just so many bytes. */
bool
scram_key_decode(unsigned char *to, const char *text, size_t len)
{
	return scram_decode(to, len, text, strlen(text)) == len;
}

/* "ITERATIONS:SALT". */
static bool
parse_salt(struct scram_verifier *v, const char *text, size_t len)
{
	char		 number[NUMBER_TEXT + 1];
	const char	*salt = memchr(text, ':', len);

	if (salt == NULL || salt - text > NUMBER_TEXT)
		return false;
	memcpy(number, text, (size_t)(salt - text));
	number[salt - text] = '\0';
	salt++;
	if (text_integer(number, 1, SCRAM_MAX, &v->iterations) != NULL)
		return false;
	v->salt_length = scram_decode(v->salt, SCRAM_SALT_MAX, salt,
	    len - (size_t)(salt - text));
	return v->salt_length > 0;
}

/* "STOREDKEY:SERVERKEY". */
static bool
parse_keys(struct scram_verifier *v, const char *text)
{
	char	stored[KEY_TEXT + 1];

	if (strlen(text) != 2 * KEY_TEXT + 1 || text[KEY_TEXT] != ':')
		return false;
	memcpy(stored, text, KEY_TEXT);
	stored[KEY_TEXT] = '\0';
	return scram_key_decode(v->stored_key, stored, SCRAM_KEY) &&
	    scram_key_decode(v->server_key, text + KEY_TEXT + 1, SCRAM_KEY);
}

/* The text of a verifier. */
bool
scram_verifier_parse(struct scram_verifier *v, const char *text)
{
	const char	*keys;

	memset(v, 0, sizeof(*v));
	if (strncmp(text, PREFIX, strlen(PREFIX)) != 0)
		return false;
	text += strlen(PREFIX);
	keys = strchr(text, '$');
	return keys != NULL && parse_salt(v, text, (size_t)(keys - text)) &&
	    parse_keys(v, keys + 1);
}

/* The other way. */
void
scram_verifier_format(struct str *to, const struct scram_verifier *v)
{
	str_addf(to, PREFIX "%jd:", (intmax_t)v->iterations);
	base64_encode(to, v->salt, v->salt_length);
	str_add_char(to, '$');
	base64_encode(to, v->stored_key, SCRAM_KEY);
	str_add_char(to, ':');
	base64_encode(to, v->server_key, SCRAM_KEY);
}

/*
 * RFC 4013 without its tables: printable ASCII is what it leaves as it is,
 * controls are what it forbids (2.3), and for the rest one would have to
 * normalise, as every client will do its own way if we do not.
 */
const char *
scram_password_check(const char *password)
{
	const char	*c;

	if (*password == '\0')
		return "it is empty";
	if (strlen(password) > PASSWORD_MAX)
		return "it is longer than 500 characters";
	for (c = password; *c != '\0'; c++)
		if (is_control((unsigned char)*c))
			return "it has control characters in it";
	if (!utf8_is_valid(password, strlen(password)))
		return "it is not UTF-8";
	return has_8bit(password, strlen(password)) ? "it has characters that "
	    "are not ASCII, which mail programs write in different ways" :
	    NULL;
}

/* --- pieces of messages -------------------------------------------------- */

/* base64 in the pool. */
const char *
scram_base64(struct pool *pool, const void *data, size_t len)
{
	struct str	text;

	str_init(&text, pool, 0);
	base64_encode(&text, data, len);
	return text.data;
}

/* Unlike any other, so that nobody can say again what was said before. */
const char *
scram_nonce(struct pool *pool, const char *nonce)
{
	unsigned char	fresh[SCRAM_NONCE];

	if (nonce != NULL)
		return pool_strdup(pool, nonce);
	arc4random_buf(fresh, sizeof(fresh));
	return scram_base64(pool, fresh, sizeof(fresh));
}

/* A message to be cut up. */
char *
scram_copy(struct pool *pool, const char *message, size_t len)
{
	if (len == 0 || len > SCRAM_MESSAGE_MAX ||
	    memchr(message, '\0', len) != NULL)
		return NULL;
	return pool_strndup(pool, message, len);
}

/* The value of the attribute that has to come next. */
char *
scram_attribute(char **message, char letter)
{
	char	*here = *message, *end;

	if (here == NULL || here[0] != letter || here[1] != '=')
		return NULL;
	end = strchr(here, ',');
	if (end != NULL)
		*end++ = '\0';
	*message = end;
	return here + 2;
}

/* RFC 5802 7: attr-val, each with something behind its "="; "m" is one that
 * must be understood. */
bool
scram_is_extensions(char *rest)
{
	char	*value;

	while (rest != NULL) {
		if (!is_alpha(*rest) || *rest == 'm')
			return false;
		value = scram_attribute(&rest, *rest);
		if (value == NULL || *value == '\0')
			return false;
	}
	return true;
}

/* "c=" is base64 of the header and, behind it, the bytes of the channel. */
const char *
scram_bound(struct pool *pool, const char *header,
    const struct scram_binding *binding)
{
	struct str	bytes;

	str_init(&bytes, pool, 0);
	str_add(&bytes, header);
	if (binding != NULL)
		str_add_mem(&bytes, binding->data, binding->length);
	return scram_base64(pool, bytes.data, bytes.len);
}
