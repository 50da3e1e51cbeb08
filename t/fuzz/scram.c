/*
 * scram.c - fuzz: both sides of SCRAM-SHA-256, each with a hostile other one,
 * then with one another; and what is kept of a password.
 *
 * First byte: which of the four. Then lines. A server hears a first message
 * and a last one, a client a challenge and a last word; a "%" at the end of
 * the last one becomes the right proof or signature, made here anew, so that
 * all that stands before it is tried, too. Nobody is believed without.
 */
#include "t/fuzz/fuzz.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "common/mail/encode.h"
#include "common/sasl/scram.h"

#define PASSWORD	"pencil"
#define OUR_NONCE	"0urs"
#define SALT		"salt of fuzz"

enum { ITERATIONS = 4096, DEAR = 4200 };

static const struct scram_binding	bindings[] = {
	{ "tls-exporter", (const unsigned char *)"exported,bytes", 14 },
	{ "tls-server-end-point", (const unsigned char *)"end\0point", 9 }
};

/* Keys of PASSWORD under SALT, as RFC 5802 3 has them. */
static struct keys {
	unsigned char	client[32], stored[32], server[32];
} keys;
static struct scram_verifier	verifier;

static void
hmac(const unsigned char key[32], const char *text, unsigned char to[32])
{
	MUST(HMAC(EVP_sha256(), key, 32, (const unsigned char *)text,
	    strlen(text), to, NULL) != NULL);
}

/* Once. */
static void
make_keys(void)
{
	unsigned char	salted[32];

	if (verifier.iterations != 0)
		return;
	MUST(PKCS5_PBKDF2_HMAC(PASSWORD, strlen(PASSWORD),
	    (const unsigned char *)SALT, strlen(SALT), ITERATIONS,
	    EVP_sha256(), 32, salted) == 1);
	hmac(salted, "Client Key", keys.client);
	hmac(salted, "Server Key", keys.server);
	SHA256(keys.client, 32, keys.stored);
	verifier.iterations = ITERATIONS;
	verifier.salt_length = strlen(SALT);
	memcpy(verifier.salt, SALT, strlen(SALT));
	memcpy(verifier.stored_key, keys.stored, 32);
	memcpy(verifier.server_key, keys.server, 32);
}

static const char *
base64(struct pool *pool, const void *data, size_t len)
{
	struct str	text;

	str_init(&text, pool, 0);
	base64_encode(&text, data, len);
	return text.data;
}

/* Does it ask for so many iterations that we would try nothing else? */
static bool
is_dear(const char *challenge)
{
	const char	*i = challenge;

	while ((i = strstr(i, "i=")) != NULL)
		if (strtoul(i += 2, NULL, 10) > DEAR)
			return true;
	return false;
}

/* --- verifiers ----------------------------------------------------------- */

/* What is read is written as it stood. */
static void
try_verifier(struct pool *pool, const char *text)
{
	struct scram_verifier	v, again;
	struct str		out;

	(void)scram_password_check(text);
	if (!scram_verifier_parse(&v, text))
		return;
	MUST(v.iterations >= 1 && v.iterations <= SCRAM_MAX);
	MUST(v.salt_length >= 1 && v.salt_length <= SCRAM_SALT_MAX);
	str_init(&out, pool, 0);
	scram_verifier_format(&out, &v);
	MUST(scram_verifier_parse(&again, out.data));
	MUST(memcmp(&v, &again, sizeof(v)) == 0);
	if (v.iterations <= DEAR)
		MUST(scram_verifier_check(&v, PASSWORD, strlen(PASSWORD)) !=
		    1 || memcmp(v.salt, SALT, strlen(SALT)) == 0);
}

/* --- a server ------------------------------------------------------------ */

/* The message with its "%" made the right proof; NULL when it has none. */
static const char *
prove(struct pool *pool, const char *last, const char *bare,
    const char *challenge, const char **without)
{
	unsigned char	proof[32];
	size_t		len = strlen(last), i;
	const char	*said;

	if (len < 4 || strcmp(last + len - 4, ",p=%") != 0)
		return NULL;
	*without = pool_strndup(pool, last, len - 4);
	said = pool_printf(pool, "%s,%s,%s", bare, challenge, *without);
	hmac(keys.stored, said, proof);
	for (i = 0; i < 32; i++)
		proof[i] ^= keys.client[i];
	return pool_printf(pool, "%s,p=%s", *without, base64(pool, proof, 32));
}

/* He was let in: everything must have been as it has to be (S2). */
static void
try_acceptance(struct pool *pool, const char *first, const char *without,
    const char *nonce, bool is_plus, size_t count)
{
	const struct scram_binding	*b = NULL;
	const char			*end = strchr(first, ',');
	struct str			 bound;
	size_t				 i;

	MUST(without != NULL && end != NULL && strchr(end + 1, ',') != NULL);
	end = strchr(end + 1, ',') + 1;
	for (i = 0; i < count; i++)
		if (strncmp(first, "p=", 2) == 0 && strncmp(first + 2,
		    bindings[i].type, strlen(bindings[i].type)) == 0 &&
		    first[2 + strlen(bindings[i].type)] == ',')
			b = &bindings[i];
	MUST(is_plus == (b != NULL));
	MUST(b != NULL || first[0] == 'n' || (first[0] == 'y' && count == 0));
	str_init(&bound, pool, 0);
	str_add_mem(&bound, first, (size_t)(end - first));
	if (b != NULL)
		str_add_mem(&bound, b->data, b->length);
	end = pool_printf(pool, "c=%s,r=%s", base64(pool, bound.data,
	    bound.len), nonce);
	MUST(strncmp(without, end, strlen(end)) == 0);
	MUST(without[strlen(end)] == '\0' || without[strlen(end)] == ',');
}

static void
try_server(struct pool *pool, struct input *in, bool is_plus, size_t count)
{
	const char		*first = input_line(pool, in), *last, *proven;
	const char		*challenge, *reply, *why, *nonce;
	const char		*without = NULL, *bare;
	struct scram_server	*s;

	if (first == NULL)
		return;
	s = scram_server_new(pool, is_plus, bindings, count, OUR_NONCE);
	if ((why = scram_server_first(s, first, strlen(first))) != NULL) {
		MUST(is_one_line(why));
		return;
	}
	MUST(*scram_server_user(s) != '\0');
	MUST(scram_server_authorize(s) != NULL);
	challenge = scram_server_challenge(s, &verifier);
	MUST(strncmp(challenge, "r=", 2) == 0 && is_one_line(challenge));
	nonce = pool_strndup(pool, challenge + 2, strcspn(challenge + 2, ","));
	MUST(strcmp(nonce + strlen(nonce) - strlen(OUR_NONCE), OUR_NONCE) == 0);
	last = input_text(pool, in);
	bare = strchr(strchr(first, ',') + 1, ',') + 1;
	if ((proven = prove(pool, last, bare, challenge, &without)) != NULL)
		last = proven;
	if (scram_server_finish(s, last, strlen(last), &reply, &why) ==
	    SCRAM_IS_HIM)
		try_acceptance(pool, first, without, nonce, is_plus, count);
	else
		MUST(is_one_line(why));
	scram_server_wipe(s);
}

/* --- a client ------------------------------------------------------------ */

/* "v=%" becomes the right signature, if the challenge was of our verifier. */
static const char *
sign(struct pool *pool, const char *word, const char *first,
    const char *challenge, const char *final, bool *is_right)
{
	unsigned char	 signature[32];
	const char	*without = pool_strndup(pool, final,
			    (size_t)(strstr(final, ",p=") - final));

	*is_right = strncmp(word, "v=%", 3) == 0;
	hmac(keys.server, pool_printf(pool, "%s,%s,%s", first, challenge,
	    without), signature);
	return !*is_right ? word : pool_printf(pool, "v=%s%s", base64(pool,
	    signature, 32), word + 3);
}

static void
try_client(struct pool *pool, struct input *in, const struct scram_binding *b)
{
	const char		*challenge = input_line(pool, in), *first;
	const char		*final, *why, *word;
	struct scram_client	*c;
	bool			 is_right;

	if (challenge == NULL || is_dear(challenge))
		return;
	c = scram_client_new(pool, "user", "", PASSWORD, b, false, OUR_NONCE,
	    &why);
	MUST(c != NULL);
	first = strstr(scram_client_first(c), "n=user");
	MUST(first != NULL);
	final = scram_client_final(c, challenge, strlen(challenge), &why);
	word = input_text(pool, in);
	if (final == NULL) {
		MUST(is_one_line(why));
		MUST(!scram_client_verify(c, word, strlen(word), &why));
		return;
	}
	MUST(is_one_line(final));
	MUST(strstr(final, PASSWORD) == NULL ||
	    strstr(challenge, PASSWORD) != NULL);
	MUST(strncmp(challenge, "r=" OUR_NONCE, 2 + strlen(OUR_NONCE)) == 0 &&
	    challenge[2 + strlen(OUR_NONCE)] != ',');
	word = sign(pool, word, first, challenge, final, &is_right);
	if (scram_client_verify(c, word, strlen(word), &why))
		MUST(is_right);
	else
		MUST(is_one_line(why));
	scram_client_wipe(c);
	MUST(!scram_client_verify(c, word, strlen(word), &why));
}

/* --- both ---------------------------------------------------------------- */

/* One byte of a text changed, if the input says so. */
static const char *
tamper(struct pool *pool, struct input *in, const char *text, bool *is_same)
{
	char		*copy = pool_strdup(pool, text);
	size_t		 at = input_byte(in);
	unsigned	 mask = input_byte(in) & 0x7f;

	if (at < strlen(copy) && (unsigned char)copy[at] != mask) {
		copy[at] = (char)(copy[at] ^ (char)mask);
		*is_same = *is_same && mask == 0;
	}
	return copy;
}

/* Who knows the password gets in, and hears that he is where he wanted to
 * be; a byte that was changed on the way is noticed. */
static void
try_both(struct pool *pool, struct input *in, const struct scram_binding *b)
{
	const char		*user = input_line(pool, in), *why, *said;
	const char		*authorize = input_line(pool, in), *reply;
	struct input		 changes = { in->at, in->left };
	struct scram_client	*c;
	struct scram_server	*s;
	bool			 is_same = true;

	if (user == NULL || authorize == NULL || strlen(user) > 500 ||
	    strlen(authorize) > 500)
		return;
	c = scram_client_new(pool, user, authorize, PASSWORD, b, false, NULL,
	    &why);
	if (c == NULL)
		return;
	s = scram_server_new(pool, b != NULL, bindings, b != NULL ? 2 : 0,
	    NULL);
	said = tamper(pool, &changes, scram_client_first(c), &is_same);
	why = scram_server_first(s, said, strlen(said));
	MUST(why == NULL || !is_same);
	if (why != NULL)
		return;
	MUST(!is_same || (strcmp(scram_server_user(s), user) == 0 &&
	    strcmp(scram_server_authorize(s), authorize) == 0));
	said = tamper(pool, &changes, scram_server_challenge(s, &verifier),
	    &is_same);
	if (is_dear(said))
		return;
	said = scram_client_final(c, said, strlen(said), &why);
	MUST(said != NULL || !is_same);
	if (said == NULL)
		return;
	said = tamper(pool, &changes, said, &is_same);
	MUST((scram_server_finish(s, said, strlen(said), &reply, &why) ==
	    SCRAM_IS_HIM) == is_same);
	if (!is_same)
		return;
	said = tamper(pool, &changes, reply, &is_same);
	MUST(scram_client_verify(c, said, strlen(said), &why) == is_same);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input			 in = { data, len };
	unsigned			 which = input_byte(&in);
	struct pool			*pool = pool_new("fuzz", 0);
	const struct scram_binding	*b = which & 4 ? &bindings[which >> 3 &
					    1] : NULL;

	make_keys();
	switch (which & 3) {
	case 0:
		try_verifier(pool, input_text(pool, &in));
		break;
	case 1:
		try_server(pool, &in, which >> 2 & 1, (which >> 3) % 3);
		break;
	case 2:
		try_client(pool, &in, b);
		break;
	default:
		try_both(pool, &in, b);
	}
	pool_free(pool);
	return 0;
}
