/*
 * provider_sign.c - a signature is asked for, not computed.
 *
 * libssl names a digest, sets padding and salt of RSA, asks for the greatest
 * length and then once for the signature of the whole message (P1, P2: see
 * provider.c). Signing in pieces is not offered.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "common/tls/provider_inside.h"

enum { DIGEST_NAME = 32, ERRORS = 16 };

struct signing {
	struct remote_key	*key;
	char			 digest[DIGEST_NAME];	/* "": none */
	bool			 is_pss;
	int			 salt_length;
};

/* --- digests and padding -------------------------------------------------- */

/* The name that the holder knows: OpenSSL has several for each. */
static bool
take_digest(struct signing *s, const char *name)
{
	static const struct { const char *name, *ours; }	names[] = {
		{ "SHA2-256", "SHA256" }, { "SHA2-384", "SHA384" },
		{ "SHA2-512", "SHA512" }, { "SHA-256", "SHA256" },
		{ "SHA-384", "SHA384" }, { "SHA-512", "SHA512" },
		{ "UNDEF", "" }
	};
	size_t							i;

	if (name == NULL)
		name = "";
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(name, names[i].name) == 0)
			name = names[i].ours;
	return snprintf(s->digest, sizeof(s->digest), "%s", name) <
	    (int)sizeof(s->digest);
}

/* "pss" or "pkcs1", as a word or as a number. */
static int
take_padding(struct signing *s, const OSSL_PARAM *p)
{
	const char	*word;
	int		 number;

	if (p->data_type == OSSL_PARAM_UTF8_STRING) {
		if (!OSSL_PARAM_get_utf8_string_ptr(p, &word))
			return 0;
		number = strcmp(word, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0 ?
		    RSA_PKCS1_PSS_PADDING :
		    strcmp(word, OSSL_PKEY_RSA_PAD_MODE_PKCSV15) == 0 ?
		    RSA_PKCS1_PADDING : -1;
	} else if (!OSSL_PARAM_get_int(p, &number)) {
		return 0;
	}
	if (number != RSA_PKCS1_PSS_PADDING && number != RSA_PKCS1_PADDING)
		return 0;
	s->is_pss = number == RSA_PKCS1_PSS_PADDING;
	return 1;
}

/* A number or one of the words for special ones. */
static int
take_salt(struct signing *s, const OSSL_PARAM *p)
{
	static const struct { const char *word; int number; }	words[] = {
		{ OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST, RSA_PSS_SALTLEN_DIGEST },
		{ OSSL_PKEY_RSA_PSS_SALT_LEN_MAX, RSA_PSS_SALTLEN_MAX },
		{ OSSL_PKEY_RSA_PSS_SALT_LEN_AUTO, RSA_PSS_SALTLEN_AUTO }
	};
	const char						*text;
	size_t							i;

	if (p->data_type != OSSL_PARAM_UTF8_STRING)
		return OSSL_PARAM_get_int(p, &s->salt_length);
	if (!OSSL_PARAM_get_utf8_string_ptr(p, &text))
		return 0;
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(text, words[i].word) == 0) {
			s->salt_length = words[i].number;
			return 1;
		}
	return sscanf(text, "%d", &s->salt_length) == 1;
}

/* What the caller sets before he signs. */
static int
set_params(void *context, const OSSL_PARAM params[])
{
	struct signing		*s = context;
	const OSSL_PARAM	*p;
	const char		*name;

	if (params == NULL)
		return 1;
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_DIGEST);
	if (p != NULL && (!OSSL_PARAM_get_utf8_string_ptr(p, &name) ||
	    !take_digest(s, name)))
		return 0;
	p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
	if (p != NULL && !take_padding(s, p))
		return 0;
	p = OSSL_PARAM_locate_const(params,
	    OSSL_SIGNATURE_PARAM_PSS_SALTLEN);
	return p == NULL || take_salt(s, p);
}

static const OSSL_PARAM *
settable_params(void *context, void *library)
{
	static const OSSL_PARAM	list[] = {
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL,
		    0),
		OSSL_PARAM_END
	};

	(void)context;
	(void)library;
	return list;
}

/* --- life of a signing ---------------------------------------------------- */

static void *
signing_new(void *library, const char *properties)
{
	(void)library;
	(void)properties;
	return OPENSSL_zalloc(sizeof(struct signing));
}

static void
signing_free(void *context)
{
	struct signing	*s = context;

	remote_key_release(s->key);
	OPENSSL_free(s);
}

static void *
signing_copy(void *context)
{
	const struct signing	*from = context;
	struct signing		*s = OPENSSL_malloc(sizeof(*s));

	if (s == NULL)
		return NULL;
	*s = *from;
	if (s->key != NULL)
		(void)remote_key_hold(s->key);
	return s;
}

/* Which key, which digest. Keys of RSA-PSS know only one padding. */
static int
begin(void *context, const char *digest, void *key, const OSSL_PARAM params[])
{
	struct signing		*s = context;
	struct remote_key	*k = key != NULL ? key : s->key;

	if (k == NULL || k->signer == NULL)
		return 0;
	(void)remote_key_hold(k);
	remote_key_release(s->key);
	s->key = k;
	s->is_pss = strcmp(k->kind, "RSA-PSS") == 0;
	s->salt_length = RSA_PSS_SALTLEN_DIGEST;
	return take_digest(s, digest) && set_params(s, params);
}

/* --- signing -------------------------------------------------------------- */

/*
 * Ask the signer (P2). Marks in the error queue are lost by this, which is no
 * harm: OpenSSL sets none across a signature, and popping to a mark that is
 * gone empties the queue.
 */
static WAITS size_t
ask(const struct signing *s, const unsigned char *message, size_t length,
    unsigned char *to, size_t room)
{
	const struct tls_signer	*signer = s->key->signer;
	unsigned long		 errors[ERRORS];
	size_t			 count = 0, i, result;
	int			 before = errno;

	while (count < ERRORS && (errors[count] = ERR_get_error()) != 0)
		count++;
	result = signer->sign(signer->state, s->key->id, s->digest, s->is_pss,
	    s->salt_length, message, length, to, room);
	ERR_clear_error();
	for (i = 0; i < count; i++)
		ERR_raise(ERR_GET_LIB(errors[i]), ERR_GET_REASON(errors[i]));
	errno = before;
	return result;
}

/* The greatest length, or the signature of this message. */
static int
sign(void *context, unsigned char *to, size_t *length, size_t room,
    const unsigned char *message, size_t message_length)
{
	const struct signing	*s = context;
	size_t			 greatest, got;

	if (s->key == NULL || s->key->signer == NULL)
		return 0;
	greatest = (size_t)EVP_PKEY_get_size(s->key->public);
	if (to == NULL) {
		*length = greatest;
		return 1;
	}
	if (room < greatest)
		return 0;
	got = ask(s, message, message_length, to, room);
	if (got == 0 || got > greatest) {
		ERR_raise(ERR_LIB_PROV, ERR_R_OPERATION_FAIL);
		return 0;
	}
	*length = got;
	return 1;
}

#define FUNCTION(id, f)	{ id, (void (*)(void))(f) }
const OSSL_DISPATCH	provider_signature[] = {
	FUNCTION(OSSL_FUNC_SIGNATURE_NEWCTX, signing_new),
	FUNCTION(OSSL_FUNC_SIGNATURE_FREECTX, signing_free),
	FUNCTION(OSSL_FUNC_SIGNATURE_DUPCTX, signing_copy),
	FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, begin),
	FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, sign),
	FUNCTION(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, set_params),
	FUNCTION(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, settable_params),
	{ 0, NULL }
};
