/*
 * provider.c - keys for OpenSSL whose private half is in another process.
 *
 * A key here is an ordinary public one, which answers every question about
 * sizes, groups and points, and a signer to ask. libssl takes it for a private
 * key, and comes with the whole message when it wants a signature: that goes
 * to the signer, never a bare digest, and there is nothing to decrypt with.
 *
 * P1  No private key is ever in this process: none is made, read or exported.
 * P2  The signer may park the fiber. What other sessions then leave in
 *     OpenSSL's error queue, which belongs to the thread, is not found in it
 *     by the one that waited; what that one had there is there again.
 *
 * provider_sign.c is the other half: the signatures.
 */
#include "common/tls/provider.h"

#include <string.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/provider.h>

#include "common/base/bug.h"
#include "common/tls/provider_inside.h"

#define PROVIDER_NAME	"postrider"
#define PROPERTY	"provider=" PROVIDER_NAME
/* How provider_key() hands a key to import(): by its address. */
#define OUR_KEY		"postrider-key"

/* All names of a kind, as OpenSSL's own provider has them. */
#define RSA_PSS_NAMES	"RSA-PSS:RSASSA-PSS:1.2.840.113549.1.1.10"
#define RSA_NAMES	"RSA:rsaEncryption:1.2.840.113549.1.1.1"
#define EC_NAMES	"EC:id-ecPublicKey:1.2.840.10045.2.1"
#define ED25519_NAMES	"ED25519:1.3.101.112"

/* A kind of keys, and what its signatures are called. */
static const struct kind {
	const char	*name, *operation;
} kinds[] = {
	{ "RSA-PSS",	"RSA" },
	{ "RSA",	"RSA" },
	{ "EC",		"ECDSA" },
	{ "ED25519",	"ED25519" }
};
enum { RSA_PSS, RSA_PLAIN, EC, ED25519, KINDS };

/* --- life of a key -------------------------------------------------------- */

/* One user more. */
struct remote_key *
remote_key_hold(struct remote_key *k)
{
	k->users++;
	return k;
}

/* One user less; the signer hears of the last. */
void
remote_key_release(struct remote_key *k)
{
	if (k == NULL || --k->users > 0)
		return;
	EVP_PKEY_free(k->public);
	if (k->signer != NULL && k->signer->released != NULL)
		k->signer->released(k->signer->state);
	OPENSSL_free(k);
}

/* An empty one, for import() to fill. */
static struct remote_key *
key_new(OSSL_LIB_CTX *library, const struct kind *kind)
{
	struct remote_key	*k = OPENSSL_zalloc(sizeof(*k));

	if (k == NULL)
		return NULL;
	k->users = 1;
	k->library = library;
	k->kind = kind->name;
	return k;
}

static void *
rsa_pss_new(void *library)
{
	return key_new(library, &kinds[RSA_PSS]);
}

static void *
rsa_new(void *library)
{
	return key_new(library, &kinds[RSA_PLAIN]);
}

static void *
ec_new(void *library)
{
	return key_new(library, &kinds[EC]);
}

static void *
ed25519_new(void *library)
{
	return key_new(library, &kinds[ED25519]);
}

static void
key_free(void *key)
{
	remote_key_release(key);
}

/* --- its content ---------------------------------------------------------- */

/* Take over what provider_key() made. */
static int
import_ours(struct remote_key *k, const OSSL_PARAM *p)
{
	const struct remote_key	*from;
	void			*address;

	if (!OSSL_PARAM_get_octet_ptr(p, (const void **)&address, NULL))
		return 0;
	from = address;
	if (!EVP_PKEY_up_ref(from->public))
		return 0;
	k->public = from->public;
	k->signer = from->signer;
	memcpy(k->id, from->id, sizeof(k->id));
	return 1;
}

/* A public key of another provider, which OpenSSL wants to compare. */
static int
import_public(struct remote_key *k, const OSSL_PARAM params[])
{
	EVP_PKEY_CTX	*c;
	int		 is_good;

	c = EVP_PKEY_CTX_new_from_name(k->library, k->kind,
	    "provider=default");
	is_good = c != NULL && EVP_PKEY_fromdata_init(c) > 0 &&
	    EVP_PKEY_fromdata(c, &k->public, EVP_PKEY_PUBLIC_KEY,
	    (OSSL_PARAM *)(uintptr_t)params) > 0;
	EVP_PKEY_CTX_free(c);
	return is_good;
}

static int
import(void *key, int selection, const OSSL_PARAM params[])
{
	struct remote_key	*k = key;
	const OSSL_PARAM	*ours;

	(void)selection;
	if (k->public != NULL)
		return 0;
	if ((ours = OSSL_PARAM_locate_const(params, OUR_KEY)) != NULL)
		return import_ours(k, ours);
	return import_public(k, params);
}

/* The public half for another provider. Who asks for the private one as well
 * gets nothing: he must come back and let us sign. */
static int
export(void *key, int selection, OSSL_CALLBACK *take, void *arg)
{
	struct remote_key	*k = key;
	OSSL_PARAM		*params = NULL;
	int			 is_good;

	if (k->public == NULL ||
	    (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) ||
	    EVP_PKEY_todata(k->public, EVP_PKEY_PUBLIC_KEY, &params) <= 0)
		return 0;
	is_good = take(params, arg);
	OSSL_PARAM_free(params);
	return is_good;
}

/* A private half there is where there is somebody to ask. */
static int
has(const void *key, int selection)
{
	const struct remote_key	*k = key;

	if (k == NULL || k->public == NULL)
		return 0;
	return !(selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) ||
	    k->signer != NULL;
}

/* Equal public halves belong to equal keys. */
static int
match(const void *one, const void *other, int selection)
{
	const struct remote_key	*a = one, *b = other;

	if (a->public == NULL || b->public == NULL)
		return 0;
	if (selection & OSSL_KEYMGMT_SELECT_KEYPAIR)
		return EVP_PKEY_eq(a->public, b->public) == 1;
	return EVP_PKEY_parameters_eq(a->public, b->public) == 1;
}

/* Sizes, group, points: as the public key says. */
static int
get_params(void *key, OSSL_PARAM params[])
{
	struct remote_key	*k = key;

	return k->public != NULL && EVP_PKEY_get_params(k->public, params);
}

static const OSSL_PARAM *
gettable_params(void *library)
{
	static const OSSL_PARAM	list[] = {
		OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL,
		    0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY,
		    NULL, 0),
		OSSL_PARAM_END
	};

	(void)library;
	return list;
}

/* What passes through import() and export(); OpenSSL only looks at whether
 * there is a list. */
static const OSSL_PARAM *
passed_types(int selection)
{
	static const OSSL_PARAM	list[] = {
		OSSL_PARAM_octet_ptr(OUR_KEY, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
		OSSL_PARAM_END
	};

	return selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY ? NULL : list;
}

/* Under which name a key of this kind signs. */
static const char *
rsa_operation(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? kinds[RSA_PLAIN].operation :
	    NULL;
}

static const char *
ec_operation(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? kinds[EC].operation : NULL;
}

static const char *
ed25519_operation(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? kinds[ED25519].operation :
	    NULL;
}

#define FUNCTION(id, f)	{ id, (void (*)(void))(f) }
#define MANAGEMENT(make, operation) {					\
	FUNCTION(OSSL_FUNC_KEYMGMT_NEW, make),				\
	FUNCTION(OSSL_FUNC_KEYMGMT_FREE, key_free),			\
	FUNCTION(OSSL_FUNC_KEYMGMT_HAS, has),				\
	FUNCTION(OSSL_FUNC_KEYMGMT_MATCH, match),			\
	FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT, import),			\
	FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, passed_types),		\
	FUNCTION(OSSL_FUNC_KEYMGMT_EXPORT, export),			\
	FUNCTION(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, passed_types),		\
	FUNCTION(OSSL_FUNC_KEYMGMT_GET_PARAMS, get_params),		\
	FUNCTION(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, gettable_params),	\
	FUNCTION(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, operation),	\
	{ 0, NULL }							\
}

static const OSSL_DISPATCH	of_rsa_pss[] = MANAGEMENT(rsa_pss_new,
				    rsa_operation);
static const OSSL_DISPATCH	of_rsa[] = MANAGEMENT(rsa_new, rsa_operation);
static const OSSL_DISPATCH	of_ec[] = MANAGEMENT(ec_new, ec_operation);
static const OSSL_DISPATCH	of_ed25519[] = MANAGEMENT(ed25519_new,
				    ed25519_operation);

/* --- the provider --------------------------------------------------------- */

static const OSSL_ALGORITHM	management[] = {
	{ RSA_PSS_NAMES,	PROPERTY, of_rsa_pss,	NULL },
	{ RSA_NAMES,		PROPERTY, of_rsa,	NULL },
	{ EC_NAMES,		PROPERTY, of_ec,	NULL },
	{ ED25519_NAMES,	PROPERTY, of_ed25519,	NULL },
	{ NULL,			NULL,	  NULL,		NULL }
};
static const OSSL_ALGORITHM	signatures[] = {
	{ RSA_NAMES,		PROPERTY, provider_signature, NULL },
	{ "ECDSA",		PROPERTY, provider_signature, NULL },
	{ ED25519_NAMES,	PROPERTY, provider_signature, NULL },
	{ NULL,			NULL,	  NULL,		NULL }
};

/* What we have of this operation. */
static const OSSL_ALGORITHM *
query(void *library, int operation, int *is_not_to_be_kept)
{
	(void)library;
	*is_not_to_be_kept = 0;
	switch (operation) {
	case OSSL_OP_KEYMGMT:
		return management;
	case OSSL_OP_SIGNATURE:
		return signatures;
	default:
		return NULL;
	}
}

/* Begin; what our functions get is the library context. */
static int
begin(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in,
    const OSSL_DISPATCH **out, void **context)
{
	static const OSSL_DISPATCH	functions[] = {
		FUNCTION(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query),
		{ 0, NULL }
	};
	OSSL_FUNC_core_get_libctx_fn	*get_library = NULL;

	for (; in->function_id != 0; in++)
		if (in->function_id == OSSL_FUNC_CORE_GET_LIBCTX)
			get_library = OSSL_FUNC_core_get_libctx(in);
	if (get_library == NULL)
		return 0;
	*context = get_library(core);
	*out = functions;
	return 1;
}

/* Add it, once. */
int
provider_add(OSSL_LIB_CTX *library)
{
	if (OSSL_PROVIDER_available(library, PROVIDER_NAME))
		return 0;
	if (!OSSL_PROVIDER_add_builtin(library, PROVIDER_NAME, begin) ||
	    OSSL_PROVIDER_load(library, PROVIDER_NAME) == NULL)
		return -1;
	return 0;
}

/* --- keys ----------------------------------------------------------------- */

/* SHA-256 of the SubjectPublicKeyInfo. */
int
provider_key_id(EVP_PKEY *key, unsigned char id[32])
{
	unsigned char	*der = NULL;
	int		 len, is_good;

	if ((len = i2d_PUBKEY(key, &der)) <= 0)
		return -1;
	is_good = EVP_Digest(der, (size_t)len, id, NULL, EVP_sha256(), NULL);
	OPENSSL_free(der);
	return is_good ? 0 : -1;
}

/* Is its curve one that TLS signs with? */
static bool
is_known_curve(const EVP_PKEY *key)
{
	char	name[32];
	size_t	len;

	if (!EVP_PKEY_get_group_name(key, name, sizeof(name), &len))
		return false;
	return strcmp(name, "prime256v1") == 0 ||
	    strcmp(name, "secp384r1") == 0 || strcmp(name, "secp521r1") == 0;
}

/* Which kind it is; NULL: none of ours. */
static const struct kind *
kind_of(const EVP_PKEY *key)
{
	size_t	i;

	for (i = 0; i < KINDS; i++)
		if (EVP_PKEY_is_a(key, kinds[i].name))
			return i != EC || is_known_curve(key) ? &kinds[i] :
			    NULL;
	return NULL;
}

/* Could a key of ours stand for it? */
bool
provider_knows(const EVP_PKEY *key)
{
	return kind_of(key) != NULL;
}

/* Let OpenSSL make a key of ours from this one. */
static EVP_PKEY *
make(OSSL_LIB_CTX *library, const struct kind *kind, struct remote_key *from)
{
	void		*address = from;
	OSSL_PARAM	 params[2] = {
		OSSL_PARAM_construct_octet_ptr(OUR_KEY, &address,
		    sizeof(*from)),
		OSSL_PARAM_construct_end()
	};
	EVP_PKEY_CTX	*c;
	EVP_PKEY	*key = NULL;

	c = EVP_PKEY_CTX_new_from_name(library, kind->name, PROPERTY);
	if (c == NULL || EVP_PKEY_fromdata_init(c) <= 0 ||
	    EVP_PKEY_fromdata(c, &key, EVP_PKEY_KEYPAIR, params) <= 0)
		key = NULL;
	EVP_PKEY_CTX_free(c);
	return key;
}

/* A key that asks. */
EVP_PKEY *
provider_key(OSSL_LIB_CTX *library, X509 *certificate,
    const struct tls_signer *signer)
{
	struct remote_key	 from = { .signer = signer };
	const struct kind	*kind;

	from.public = X509_get0_pubkey(certificate);
	if (from.public == NULL || (kind = kind_of(from.public)) == NULL ||
	    provider_key_id(from.public, from.id) == -1)
		return NULL;
	return make(library, kind, &from);
}
