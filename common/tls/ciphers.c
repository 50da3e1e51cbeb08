/*
 * ciphers.c - a grade and a list of exclusions, as OpenSSL writes them.
 *
 * C1  A server speaks no cipher without a certificate, and none whose keys
 *     are sent under its RSA key: whoever signs for it does not decrypt.
 * C2  A mandatory session has a peer with a certificate.
 */
#include "common/tls/inside.h"

#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"

#define DEFAULT_MEDIUM	"aNULL:-aNULL:HIGH:MEDIUM:+RC4:@STRENGTH"
#define DEFAULT_HIGH	"aNULL:-aNULL:HIGH:@STRENGTH"
#define DEFAULT_NULL	"eNULL:!aNULL"

enum { TOLD_MAX = 10 };		/* warnings of one process */

/* Nobody's own list is put into another order. Those that authenticate what
 * they encrypt come first, those without forward secrecy last. */
#define ORDER		":+SHA384:+SHA256:+SHA1:+kRSA"

/* The grade that does not encrypt? */
bool
ciphers_is_null(const char *grade)
{
	return text_equal(grade, "null");
}

/* A list, or its default before the rows are loaded. */
static const char *
or_default(const char *list, const char *standard)
{
	return list == NULL || *list == '\0' ? standard : list;
}

/* The list of a grade; NULL: no grade. The grades below medium are gone. */
static const char *
grade_list(const char *grade)
{
	if (text_equal(grade, "high"))
		return or_default(tls_set.high, DEFAULT_HIGH);
	if (ciphers_is_null(grade))
		return or_default(tls_set.null, DEFAULT_NULL);
	if (*grade == '\0' || text_equal(grade, "medium") ||
	    text_equal(grade, "low") || text_equal(grade, "export"))
		return or_default(tls_set.medium, DEFAULT_MEDIUM);
	return NULL;
}

/* May it stand behind a "!"? */
static bool
is_name(const char *word)
{
	return *word != '\0' && strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789_-+.") == strlen(word) &&
	    *word != '-' && *word != '+';
}

/* Add exclusions; NULL, or what is wrong with them. */
static const char *
add_exclusions(struct pool *pool, struct str *list, const char *exclude)
{
	char	*words = pool_strdup(pool, exclude), *word;

	while ((word = strsep(&words, " \t\r\n,:")) != NULL) {
		if (*word == '\0')
			continue;
		if (!is_name(word))
			return pool_printf(pool, "expected names of ciphers "
			    "to exclude, not \"%.60s\"", word);
		str_addf(list, ":!%s", word);
	}
	return NULL;
}

/* What a role adds of its own. */
static void
add_duties(struct str *list, enum tls_role role,
    const struct tls_wishes *wishes)
{
	if (strcmp(list->data, DEFAULT_MEDIUM) == 0 ||
	    strcmp(list->data, DEFAULT_HIGH) == 0)
		str_add(list, ORDER);
	if (role == TLS_SERVER)
		str_add(list, ":!kRSA:!aNULL");
	else if (wishes->is_mandatory)
		str_add(list, ":!aNULL");
}

/* The list for a session. */
const char *
ciphers_list(struct pool *pool, enum tls_role role,
    const struct tls_wishes *wishes, const char **list)
{
	const char	*base = grade_list(wishes->ciphers), *why;
	struct str	 text;

	if (base == NULL)
		return pool_printf(pool, "expected a grade of ciphers: high, "
		    "medium or null, not \"%.40s\"", wishes->ciphers);
	str_init(&text, pool, 0);
	str_add(&text, base);
	add_duties(&text, role, wishes);
	why = add_exclusions(pool, &text, wishes->exclude);
	*list = text.data;
	return why;
}

/* What older versions of OpenSSL had, by the parts of their names; many a
 * main.cf excludes it still. */
static bool
is_gone(const char *word)
{
	static const char *const	parts[] = {
		"3DES", "ADSS", "AECDH", "AFZA", "AKRB5", "CAMELLIA", "CBC3",
		"DES", "DSS", "EDH", "EFZA", "EXP", "EXPORT", "EXPORT40",
		"EXPORT56", "FZA", "GOST", "IDEA", "KDHD", "KDHR", "KECDH",
		"KECDHE", "KECDHR", "KFZA", "KKRB5", "KRB5", "KSRP", "LOW",
		"MD5", "MEDIUM", "PSK", "RC2", "RC4", "SEED", "SRP", "SSLV2",
		"SSLV3"
	};
	char				part[16];
	size_t				len, i;

	for (; *word != '\0'; word += len + (word[len] != '\0')) {
		len = strcspn(word, "-_");
		if (len >= sizeof part)
			continue;
		memcpy(part, word, len);
		part[len] = '\0';
		for (i = 0; i < sizeof parts / sizeof *parts; i++)
			if (text_equal(part, parts[i]))
				return true;
	}
	return false;
}

/* Does OpenSSL know this name of ciphers? "A+B" is what both have. */
static bool
is_known(SSL_CTX *ssl, const char *word, struct pool *pool)
{
	char	*words = pool_strdup(pool, word), *one;

	while ((one = strsep(&words, "+")) != NULL)
		if (SSL_CTX_set_cipher_list(ssl, one) != 1 && !is_gone(one))
			return false;
	return true;
}

/* Of a list, the first name that nobody knows: OpenSSL passes it over, as if
 * nothing had been excluded. NULL: there is none. */
const char *
ciphers_unknown(struct pool *pool, const char *list)
{
	char		*words = pool_strdup(pool, list), *word;
	const char	*unknown = NULL;
	SSL_CTX		*ssl;

	if ((ssl = SSL_CTX_new_ex(tls_library(), NULL, TLS_method())) == NULL)
		return NULL;
	SSL_CTX_set_security_level(ssl, 0);
	while (unknown == NULL &&
	    (word = strsep(&words, " \t\r\n,:;")) != NULL) {
		word += strspn(word, "!+-");
		if (*word != '\0' && *word != '@' &&
		    !is_known(ssl, word, pool))
			unknown = word;
	}
	SSL_CTX_free(ssl);
	ERR_clear_error();
	return unknown;
}

/* Tell of a name that does nothing; not for ever, as tables may have one for
 * each delivery. */
static void
tell_unknown(struct pool *pool, const char *what, const char *list)
{
	static unsigned	told;
	const char	*word;

	if (told >= TOLD_MAX || (word = ciphers_unknown(pool, list)) == NULL)
		return;
	told++;
	log_warning("%s: OpenSSL knows no ciphers by the name \"%.60s\": it "
	    "is without effect", what, word);
}

/* Is anything left? OpenSSL is asked, without its level of security. */
static bool
is_something(const char *list)
{
	SSL_CTX	*ssl;
	bool	 is_good;

	if ((ssl = SSL_CTX_new_ex(tls_library(), NULL, TLS_method())) == NULL)
		return false;
	SSL_CTX_set_security_level(ssl, 0);
	is_good = SSL_CTX_set_cipher_list(ssl, list) == 1;
	SSL_CTX_free(ssl);
	ERR_clear_error();
	return is_good;
}

/* Are they a grade and exclusions? */
const char *
tls_check_ciphers(struct pool *pool, const char *grade, const char *exclude)
{
	struct tls_wishes	 wishes = {
		.ciphers = grade, .exclude = exclude, .is_mandatory = true
	};
	const char		*list, *why, *base;

	why = ciphers_list(pool, TLS_SERVER, &wishes, &list);
	if (why != NULL)
		return why;
	if (!is_something(list))
		return pool_printf(pool, "grade \"%.40s\" without \"%.100s\" "
		    "leaves no cipher", grade, exclude);
	tell_unknown(pool, "ciphers to exclude", exclude);
	base = grade_list(grade);
	tell_unknown(pool, base == tls_set.high ? "tls_high_cipherlist" :
	    base == tls_set.null ? "tls_null_cipherlist" :
	    "tls_medium_cipherlist", base);
	return NULL;
}
