/*
 * settings.c - the tls_* parameters of all sides, and the words of levels,
 * digests and options.
 *
 * Server and client link these rows; what is theirs alone (security levels,
 * files, lists per service) is declared beside its user.
 */
#include "common/tls/inside.h"

#include <string.h>

#include "common/base/text.h"

/* Servers order by their own taste (RFC 9325 4.1: forward secrecy is not
 * what a client may forget), wildcards stand for one label (RFC 9525 6.3):
 * the two places where Postfix's defaults are others. */
struct tls_set	tls_set;

const struct param	tls_params[] = {
	PARAM_STRING("tls_high_cipherlist", tls_set.high,
	    "aNULL:-aNULL:HIGH:@STRENGTH", 1, 4096,
	    "Ciphers of the grade \"high\", as OpenSSL writes them."),
	PARAM_STRING("tls_medium_cipherlist", tls_set.medium,
	    "aNULL:-aNULL:HIGH:MEDIUM:+RC4:@STRENGTH", 1, 4096,
	    "Ciphers of the grade \"medium\", as OpenSSL writes them. In the "
	    "default list those without authenticated encryption and without "
	    "forward secrecy come last."),
	PARAM_STRING("tls_null_cipherlist", tls_set.null,
	    "eNULL:!aNULL", 1, 4096,
	    "Ciphers of the grade \"null\": authentication in clear."),
	PARAM_BOOL("tls_preempt_cipherlist", tls_set.preempt, "yes",
	    "Does the server's order of ciphers win over the client's? "
	    "Postfix: no."),
	PARAM_BOOL("tls_append_default_CA", tls_set.appends_default_ca, "no",
	    "Trust the system's certificate authorities, too, where a CAfile "
	    "or CApath is set?"),
	PARAM_BOOL("tls_wildcard_matches_multiple_labels",
	    tls_set.wide_wildcards, "no",
	    "Does *.example.com in a certificate stand for a.b.example.com? "
	    "Postfix: yes; RFC 9525: no."),
	PARAM_STRING("tls_ssl_options", tls_set.options, "", 0, 1024,
	    "Options of OpenSSL to set, by name or as a number: NO_TICKET, "
	    "PRIORITIZE_CHACHA, LEGACY_SERVER_CONNECT ..."),
	PARAM_STRING("tls_disable_workarounds", tls_set.no_workarounds, "",
	    0, 1024,
	    "Work-arounds of OpenSSL for other people's bugs to switch off, "
	    "by name or as a number."),
	PARAM_STRING("tls_eecdh_auto_curves", tls_set.curves,
	    "X25519 X448 prime256v1 secp521r1 secp384r1", 0, 1024,
	    "Elliptic curves for the exchange of keys, the preferred first; "
	    "those that OpenSSL does not have are left out."),
	PARAM_STRING("tls_ffdhe_auto_groups", tls_set.groups,
	    "ffdhe2048 ffdhe3072", 0, 1024,
	    "Finite-field groups for the exchange of keys under TLS 1.3."),
	PARAM_END
};

static const char *const	levels[] = {
	[TLS_LEVEL_NONE] = "none", [TLS_LEVEL_MAY] = "may",
	[TLS_LEVEL_ENCRYPT] = "encrypt",
	[TLS_LEVEL_FINGERPRINT] = "fingerprint",
	[TLS_LEVEL_VERIFY] = "verify", [TLS_LEVEL_SECURE] = "secure",
	[TLS_LEVEL_DANE] = "dane", [TLS_LEVEL_DANE_ONLY] = "dane-only",
	[TLS_LEVEL_UNKNOWN] = "unknown"
};

/* A security level by its name. */
enum tls_level
tls_level_parse(const char *word)
{
	int	level;

	if (*word == '\0')
		return TLS_LEVEL_NONE;
	for (level = TLS_LEVEL_NONE; level < TLS_LEVEL_UNKNOWN; level++)
		if (text_equal(word, levels[level]))
			return (enum tls_level)level;
	return TLS_LEVEL_UNKNOWN;
}

/* Its name. */
const char *
tls_level_name(enum tls_level level)
{
	return levels[level <= TLS_LEVEL_UNKNOWN ? level : TLS_LEVEL_UNKNOWN];
}

/* A digest that OpenSSL has. */
const char *
tls_check_digest(struct pool *pool, const char *digest)
{
	EVP_MD	*md = EVP_MD_fetch(tls_library(), digest, NULL);
	bool	 is_good = md != NULL && EVP_MD_get_size(md) > 0;

	EVP_MD_free(md);
	ERR_clear_error();
	return is_good ? NULL : pool_printf(pool,
	    "expected a digest such as sha256, not \"%.40s\"", digest);
}

struct option {
	const char	*name;
	uint64_t	 bits;
};

static const struct option	to_set[] = {
	{ "ALLOW_NO_DHE_KEX", SSL_OP_ALLOW_NO_DHE_KEX },
	{ "ENABLE_MIDDLEBOX_COMPAT", SSL_OP_ENABLE_MIDDLEBOX_COMPAT },
	{ "LEGACY_SERVER_CONNECT", SSL_OP_LEGACY_SERVER_CONNECT },
	{ "NO_ANTI_REPLAY", SSL_OP_NO_ANTI_REPLAY },
	{ "NO_COMPRESSION", SSL_OP_NO_COMPRESSION },
	{ "NO_ENCRYPT_THEN_MAC", SSL_OP_NO_ENCRYPT_THEN_MAC },
	{ "NO_RENEGOTIATION", SSL_OP_NO_RENEGOTIATION },
	{ "NO_SESSION_RESUMPTION_ON_RENEGOTIATION",
	    SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION },
	{ "NO_TICKET", SSL_OP_NO_TICKET },
	{ "PRIORITIZE_CHACHA", SSL_OP_PRIORITIZE_CHACHA },
	{ NULL, 0 }
};

/* Names without bits are of old versions; there is nothing to switch off. */
static const struct option	workarounds[] = {
	{ "ALL", SSL_OP_ALL },
	{ "CRYPTOPRO_TLSEXT_BUG", SSL_OP_CRYPTOPRO_TLSEXT_BUG },
	{ "CVE-2005-2969", 0 }, { "CVE-2010-4180", 0 },
	{ "CVE-2011-3389", SSL_OP_DONT_INSERT_EMPTY_FRAGMENTS },
	{ "DONT_INSERT_EMPTY_FRAGMENTS", SSL_OP_DONT_INSERT_EMPTY_FRAGMENTS },
	{ "LEGACY_SERVER_CONNECT", SSL_OP_LEGACY_SERVER_CONNECT },
	{ "MICROSOFT_BIG_SSLV3_BUFFER", 0 }, { "MICROSOFT_SESS_ID_BUG", 0 },
	{ "MSIE_SSLV2_RSA_PADDING", 0 }, { "NETSCAPE_CHALLENGE_BUG", 0 },
	{ "NETSCAPE_REUSE_CIPHER_CHANGE_BUG", 0 },
	{ "SAFARI_ECDHE_ECDSA_BUG", SSL_OP_SAFARI_ECDHE_ECDSA_BUG },
	{ "SSLEAY_080_CLIENT_DH_BUG", 0 }, { "SSLREF2_REUSE_CERT_TYPE_BUG", 0 },
	{ "TLSEXT_PADDING", SSL_OP_TLSEXT_PADDING },
	{ "TLS_BLOCK_PADDING_BUG", 0 }, { "TLS_D5_BUG", 0 },
	{ "TLS_ROLLBACK_BUG", SSL_OP_TLS_ROLLBACK_BUG },
	{ NULL, 0 }
};

/* "0x1f" or "1f"? Then its value. */
static bool
is_number(const char *word, uint64_t *bits)
{
	if (strncmp(word, "0x", 2) != 0 && strncmp(word, "0X", 2) != 0)
		return false;
	word += 2;
	if (strlen(word) > 16 || *word == '\0' ||
	    word[strspn(word, "0123456789abcdefABCDEF")] != '\0')
		return false;
	*bits = strtoull(word, NULL, 16);
	return true;
}

/* The bits of a list of names. */
static const char *
sum_up(struct pool *pool, const char *parameter, const char *list,
    const struct option *known, uint64_t *bits)
{
	const struct option	*o;
	char			**words;
	uint64_t		 value;
	size_t			 i, count;

	*bits = 0;
	words = text_words(pool, list, &count);
	for (i = 0; i < count; i++) {
		if (is_number(words[i], &value)) {
			*bits |= value;
			continue;
		}
		for (o = known; o->name != NULL; o++)
			if (text_equal(words[i], o->name))
				break;
		if (o->name == NULL)
			return pool_printf(pool, "%s: expected names of "
			    "OpenSSL's options, not \"%.60s\"", parameter,
			    words[i]);
		*bits |= o->bits;
	}
	return NULL;
}

/*
 * All options of a session. What must hold is set last: no number in main.cf
 * takes it away.
 */
const char *
ssl_options_parse(struct pool *pool, uint64_t *options)
{
	uint64_t	 wanted, unwanted;
	const char	*why;

	why = sum_up(pool, "tls_ssl_options",
	    tls_set.options == NULL ? "" : tls_set.options, to_set, &wanted);
	if (why == NULL)
		why = sum_up(pool, "tls_disable_workarounds",
		    tls_set.no_workarounds == NULL ? "" :
		    tls_set.no_workarounds, workarounds, &unwanted);
	if (why != NULL)
		return why;
	*options = ((uint64_t)SSL_OP_ALL & ~unwanted) | wanted;
	*options &= ~(uint64_t)(SSL_OP_IGNORE_UNEXPECTED_EOF |
	    SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION |
	    SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
	*options |= SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
	    SSL_OP_CLEANSE_PLAINTEXT;
	if (tls_set.preempt)
		*options |= SSL_OP_CIPHER_SERVER_PREFERENCE |
		    SSL_OP_PRIORITIZE_CHACHA;
	return NULL;
}
