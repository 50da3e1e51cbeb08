/*
 * names.c - fuzz: certificates of strangers.
 *
 * First byte: 0, the input is a certificate's DER. 1, it changes the bytes of
 * one that our authority has signed: pairs of a place and a mask. 2, the
 * authority signs what it is told to, a line for each name, and a client that
 * wants "mx.a.test" shakes hands with it. A line begins with the kind of its
 * name: "D" dNSName, "E" e-mail, "I" address, "U" URI, "C" common name.
 */
#include "t/fuzz/fuzz.h"

#include <openssl/x509v3.h>

#include "common/base/text.h"
#include "common/tls/inside.h"

#define WANTED	"mx.a.test"

enum { NAMES = 20 };

static struct tls_context	*client;
static SSL_CTX			*server;
static X509			*ca, *leaf;
static EVP_PKEY			*ca_key, *key;

/* --- certificates -------------------------------------------------------- */

/* One that is not signed yet. */
static X509 *
make_certificate(EVP_PKEY *of, const char *common)
{
	X509	*x = X509_new_ex(tls_library(), NULL);

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 7);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	if (common != NULL)
		X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN",
		    MBSTRING_ASC, (const unsigned char *)common, -1, -1, 0);
	MUST(X509_set_pubkey(x, of) == 1);
	return x;
}

/* An extension by what it says. */
static void
extend(X509 *x, int nid, const char *value)
{
	X509_EXTENSION	*e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	MUST(e != NULL && X509_add_ext(x, e, -1) == 1);
	X509_EXTENSION_free(e);
}

/* By the authority. */
static void
sign(X509 *x)
{
	X509_set_issuer_name(x, X509_get_subject_name(ca));
	MUST(X509_sign(x, ca_key, NULL) > 0);
}

/* Once: the authority, a certificate, the two sides. */
static void
open_all(void)
{
	const struct tls_setup	 setup = { .role = TLS_CLIENT, .service =
		"smtp", .ca_file = "", .ca_path = "", .depth = 9,
		.digest = "sha256" };
	const struct tls_wishes	 wishes = { .protocols = "", .ciphers = "",
		.exclude = "" };
	const char		*why;
	struct pool		*pool;

	if (client != NULL)
		return;
	pool = pool_new("fuzz", 0);
	ca_key = EVP_PKEY_Q_keygen(tls_library(), NULL, "ED25519");
	key = EVP_PKEY_Q_keygen(tls_library(), NULL, "ED25519");
	ca = make_certificate(ca_key, "ca");
	extend(ca, NID_basic_constraints, "critical,CA:TRUE");
	sign(ca);
	leaf = make_certificate(key, WANTED);
	extend(leaf, NID_subject_alt_name, "DNS:" WANTED);
	sign(leaf);
	client = tls_context_new(pool, &setup, &why);
	MUST(client != NULL && X509_STORE_add_cert(client->trust, ca) == 1);
	MUST(context_profile(client, &wishes, pool, &why) != NULL);
	server = SSL_CTX_new_ex(tls_library(), "?provider=default",
	    TLS_server_method());
	SSL_CTX_set_num_tickets(server, 0);
}

/* --- what is read of them ------------------------------------------------ */

/* Is it a star and a dot, or none at all, before letters (N1, N2)? */
static bool
is_good_name(const char *name)
{
	size_t	len = strlen(name);

	if (len == 0 || len > 255)
		return false;
	if (strncmp(name, "*.", 2) == 0)
		name += 2;
	return name[strspn(name, "abcdefghijklmnopqrstuvwxyz-_.0123456789"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ")] == '\0' && name[0] != '.' &&
	    strstr(name, "..") == NULL;
}

/* N3 */
static void
try_printable(const char *text)
{
	MUST(strlen(text) <= 256);
	for (; *text != '\0'; text++)
		MUST(*text >= ' ' && *text < 0x7f);
}

/* Does it stand for WANTED, as RFC 9525 has it? */
static bool
stands_for_wanted(const char *name)
{
	return strcasecmp(name, WANTED) == 0 ||
	    strcasecmp(name, "*.a.test") == 0;
}

/* Names, and what they match. */
static void
try_names(struct pool *pool, X509 *x)
{
	const char	**names;
	size_t		 i, count;

	try_printable(name_common(pool, X509_get_subject_name(x)));
	try_printable(name_common(pool, X509_get_issuer_name(x)));
	names = name_list(pool, x, &count);
	for (i = 0; i < count; i++) {
		MUST(is_good_name(names[i]));
		MUST(name_matches(names[i], WANTED, false) ==
		    stands_for_wanted(names[i]));
		MUST(!name_matches(names[i], "", true));
		MUST(name_matches(names[i], names[i], false));
		if (name_matches(names[i], WANTED, false))
			MUST(name_matches(names[i], WANTED, true));
		if (name_matches(names[i], ".a.test", false))
			MUST(text_ends(names[i], ".a.test"));
	}
}

/* What verify.c says of it as the end of a chain. */
static long
verify(X509 *x)
{
	X509_STORE_CTX		*store = X509_STORE_CTX_new_ex(tls_library(),
				    NULL);
	SSL			*ssl = SSL_new(client->profiles[0].ssl);
	struct tls_stream	 s = { .ssl = ssl, .context = client };
	long			 error;

	MUST(store != NULL && ssl != NULL);
	SSL_set_app_data(ssl, &s);
	MUST(X509_STORE_CTX_init(store, client->trust, x, NULL) == 1);
	X509_STORE_CTX_set_ex_data(store,
	    SSL_get_ex_data_X509_STORE_CTX_idx(), ssl);
	MUST(verify_chain(store, NULL) == 1);
	error = X509_STORE_CTX_get_error(store);
	X509_STORE_CTX_free(store);
	SSL_free(ssl);
	return error;
}

/* DER of anybody: nothing of it is trusted (V1). */
static void
try_der(struct pool *pool, struct input *in)
{
	const unsigned char	*at = in->at;
	X509			*x = d2i_X509(NULL, &at, (long)in->left);

	if (x != NULL) {
		try_names(pool, x);
		MUST(verify(x) != X509_V_OK);
	}
	X509_free(x);
}

/* DER that was good: unless it says the same, it is trusted no more. */
static void
try_changes(struct pool *pool, struct input *in)
{
	unsigned char		*der = NULL, *tbs = NULL, *old = NULL;
	int			 len = i2d_X509(leaf, &der), a, b;
	const unsigned char	*at = der;
	X509			*x;
	size_t			 place;

	while (in->left > 0) {
		place = input_byte(in) * 2;
		place += input_byte(in) & 1;
		der[place % (size_t)len] ^= (unsigned char)input_byte(in);
	}
	if ((x = d2i_X509(NULL, &at, len)) != NULL) {
		try_names(pool, x);
		if (verify(x) == X509_V_OK) {
			a = i2d_re_X509_tbs(x, &tbs);
			b = i2d_re_X509_tbs(leaf, &old);
			MUST(a == b && memcmp(tbs, old, (size_t)a) == 0);
		}
	}
	X509_free(x);
	OPENSSL_free(der);
	OPENSSL_free(tbs);
	OPENSSL_free(old);
}

/* --- a handshake --------------------------------------------------------- */

/* One more alternative name, whatever it is. */
static void
add_name(GENERAL_NAMES *all, int type, const char *text, int len)
{
	GENERAL_NAME		*name = GENERAL_NAME_new();
	ASN1_STRING		*s = ASN1_STRING_type_new(type == GEN_IPADD ?
				    V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);

	MUST(name != NULL && ASN1_STRING_set(s, text, len) == 1);
	GENERAL_NAME_set0_value(name, type, s);
	sk_GENERAL_NAME_push(all, name);
}

/* A certificate as it is told; does it stand for WANTED (N1)? The lines are
 * cut by hand: a NUL is a byte of a name. */
static X509 *
make_told(struct input *in, bool *is_wanted)
{
	static const char	kinds[] = "DEIU";
	static const int	types[] = { GEN_DNS, GEN_EMAIL, GEN_IPADD,
				    GEN_URI };
	X509			*x = make_certificate(key, NULL);
	GENERAL_NAMES		*all = sk_GENERAL_NAME_new_null();
	const uint8_t		*end;
	const char		*kind, *text;
	bool			 has_dns = false, is_common = false;
	char			*copy;
	size_t			 len, n;

	for (*is_wanted = false, n = 0; in->left > 0 && n < NAMES; n++) {
		end = memchr(in->at, '\n', in->left);
		len = end != NULL ? (size_t)(end - in->at) : in->left;
		text = (const char *)in->at + 1;
		copy = mem_alloc(len + 1);
		memcpy(copy, in->at, len);
		copy[len] = '\0';
		if (len > 0 && (kind = strchr(kinds, copy[0])) != NULL &&
		    *kind != '\0') {
			add_name(all, types[kind - kinds], text, (int)len - 1);
			has_dns = has_dns || *kind == 'D';
			*is_wanted = *is_wanted || (*kind == 'D' &&
			    strlen(copy) == len && stands_for_wanted(copy + 1));
		} else if (len > 1 && copy[0] == 'C' &&
		    X509_NAME_add_entry_by_NID(X509_get_subject_name(x),
		    NID_commonName, MBSTRING_UTF8, (const unsigned char *)text,
		    (int)len - 1, -1, 0) == 1) {
			is_common = strlen(copy) == len &&
			    stands_for_wanted(copy + 1);
		}
		free(copy);
		in->at += len + (end != NULL);
		in->left -= len + (end != NULL);
	}
	*is_wanted = *is_wanted || (!has_dns && is_common);
	if (sk_GENERAL_NAME_num(all) > 0)
		MUST(X509_add1_ext_i2d(x, NID_subject_alt_name, all, 0, 0) ==
		    1);
	GENERAL_NAMES_free(all);
	sign(x);
	return x;
}

/* Let them meet in memory. */
static void
shake_hands(SSL *a, SSL *b)
{
	BIO	*one, *other;
	int	 i;

	MUST(BIO_new_bio_pair(&one, 1 << 16, &other, 1 << 16) == 1);
	SSL_set_bio(a, one, one);
	SSL_set_bio(b, other, other);
	SSL_set_connect_state(a);
	SSL_set_accept_state(b);
	for (i = 0; i < 4; i++) {
		(void)SSL_do_handshake(a);
		(void)SSL_do_handshake(b);
	}
	MUST(SSL_is_init_finished(a) && SSL_is_init_finished(b));
}

/* What we say of it all (V2). */
static void
judge(struct pool *pool, SSL *ssl, struct tls_stream *s, bool is_wanted)
{
	static const char *const	matches[] = { WANTED };
	const struct tls_wishes		wishes = { .level = TLS_LEVEL_SECURE,
		.matches = matches, .match_count = 1 };
	struct tls_summary		sum;

	MUST(SSL_get_verify_result(ssl) == X509_V_OK);
	summary_fill(s, pool, &sum);
	verify_judge(s, &wishes, pool, &sum);
	try_printable(sum.peer_name);
	try_printable(sum.issuer);
	MUST(sum.trust == (is_wanted ? TLS_VERIFIED : TLS_TRUSTED));
	MUST(is_wanted == (*sum.doubt == '\0'));
	for (const char *c = sum.doubt; *c != '\0'; c++)
		MUST(*c >= ' ' && *c < 0x7f);
	(void)tls_describe(pool, &sum);
}

static void
try_handshake(struct pool *pool, struct input *in)
{
	bool			 is_wanted;
	X509			*x = make_told(in, &is_wanted);
	SSL			*a = SSL_new(client->profiles[0].ssl);
	SSL			*b = SSL_new(server);
	struct tls_stream	 s = { .ssl = a, .context = client,
				    .sni = "", .pool = pool };

	MUST(a != NULL && b != NULL);
	SSL_set_app_data(a, &s);
	try_names(pool, x);
	MUST(SSL_use_certificate(b, x) == 1 &&
	    SSL_use_PrivateKey(b, key) == 1);
	shake_hands(a, b);
	judge(pool, a, &s, is_wanted);
	SSL_free(a);
	SSL_free(b);
	X509_free(x);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input	 in = { data, len };
	unsigned	 which = input_byte(&in) % 3;
	struct pool	*pool = pool_new("fuzz", 0);

	open_all();
	if (which == 0)
		try_der(pool, &in);
	else if (which == 1)
		try_changes(pool, &in);
	else
		try_handshake(pool, &in);
	ERR_clear_error();
	pool_free(pool);
	return 0;
}
