/*
 * names.c - whose certificate is it.
 *
 * N1  Only dNSNames of subjectAltName count (RFC 9525 6.3); the common name
 *     stands in where a certificate has no dNSName at all, good or bad, and
 *     nothing there that cannot be read.
 * N2  A star is the whole left-most label of at least three, and stands for
 *     one label, unless tls_wildcard_matches_multiple_labels says otherwise.
 * N3  What a stranger wrote into a certificate reaches nobody but as bounded,
 *     printable ASCII.
 */
#include "common/tls/inside.h"

#include <string.h>
#include <strings.h>

#include <openssl/x509v3.h>

#include "common/base/bug.h"
#include "common/mail/chars.h"

enum { PRINTABLE_MAX = 256, DNS_MAX = 255, DNS_NAMES = 1000 };

/* Is one name below the other? ".example" has the dot already. */
static bool
is_below(const char *name, const char *dot_domain)
{
	size_t	len = strlen(name), tail = strlen(dot_domain);

	return len > tail && strcasecmp(name + len - tail, dot_domain) == 0;
}

/* "*.example" stands for "a.example" (and, if wide, for "b.a.example"). */
static bool
star_matches(const char *certified, const char *wanted, bool is_wide)
{
	const char	*parent = strchr(wanted, '.');

	if (strncmp(certified, "*.", 2) != 0 || parent == NULL ||
	    parent == wanted || strchr(certified + 2, '.') == NULL)
		return false;
	return strcasecmp(parent, certified + 1) == 0 ||
	    (is_wide && is_below(wanted, certified + 1));
}

/* Does the certified name stand for the wanted one? */
bool
name_matches(const char *certified, const char *wanted, bool is_wide)
{
	if (*wanted == '\0' || *certified == '\0')
		return false;
	if (*wanted == '.')
		return is_below(certified, wanted);
	return strcasecmp(certified, wanted) == 0 ||
	    star_matches(certified, wanted, is_wide);
}

/* Labels of letters, digits, hyphens and underscores; perhaps a star first;
 * nothing hidden behind a NUL. */
static bool
is_dns_name(const unsigned char *name, int len)
{
	int	i = 0, label = 0;

	if (len <= 0 || len > DNS_MAX)
		return false;
	if (len > 2 && name[0] == '*' && name[1] == '.')
		i = 2;
	for (; i < len; i++) {
		if (name[i] == '.') {
			if (label == 0)
				return false;
			label = 0;
		} else if (is_alnum((char)name[i]) || name[i] == '-' ||
		    name[i] == '_')
			label++;
		else
			return false;
	}
	return label > 0;
}

/* Text as printable ASCII. */
const char *
name_printable(struct pool *pool, const ASN1_STRING *from)
{
	unsigned char	*utf8 = NULL;
	struct str	 to;
	int		 len;

	str_init(&to, pool, PRINTABLE_MAX);
	if ((len = ASN1_STRING_to_UTF8(&utf8, from)) > 0)
		str_add_escaped(&to, (const char *)utf8,
		    len < PRINTABLE_MAX ? (size_t)len : PRINTABLE_MAX);
	OPENSSL_free(utf8);
	return to.data;
}

/* The last entry of a kind in a name, NULL without one. */
static const ASN1_STRING *
entry_of(const X509_NAME *name, int nid)
{
	int	at = -1, last = -1;

	while ((at = X509_NAME_get_index_by_NID(name, nid, at)) >= 0)
		last = at;
	return last < 0 ? NULL :
	    X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, last));
}

/* Whom a name is of, for the log. */
const char *
name_common(struct pool *pool, const X509_NAME *name)
{
	const ASN1_STRING	*text = entry_of(name, NID_commonName);

	if (text == NULL)
		text = entry_of(name, NID_organizationName);
	return text == NULL ? "" : name_printable(pool, text);
}

/* Copy a name of DNS if it is one. */
static void
add_name(struct pool *pool, const char **names, size_t *count,
    const unsigned char *text, int len)
{
	if (*count < DNS_NAMES && is_dns_name(text, len))
		names[(*count)++] = pool_strndup(pool, text, (size_t)len);
}

/* The common name as the only name. */
static void
add_common(struct pool *pool, X509 *x, const char **names, size_t *count)
{
	const ASN1_STRING	*text;
	unsigned char		*utf8 = NULL;
	int			 len;

	text = entry_of(X509_get_subject_name(x), NID_commonName);
	if (text == NULL)
		return;
	if ((len = ASN1_STRING_to_UTF8(&utf8, text)) > 0)
		add_name(pool, names, count, utf8, len);
	OPENSSL_free(utf8);
}

/* All names of a certificate that can be compared. */
const char **
name_list(struct pool *pool, X509 *x, size_t *count)
{
	GENERAL_NAMES	*all;
	GENERAL_NAME	*one;
	const char	**names;
	bool		 has_dns;
	int		 i, n, found;

	*count = 0;
	all = X509_get_ext_d2i(x, NID_subject_alt_name, &found, NULL);
	has_dns = all == NULL && found != -1;	/* damaged, or there twice */
	n = all == NULL ? 0 : sk_GENERAL_NAME_num(all);
	names = pool_array(pool, (size_t)n + 1, sizeof *names);
	for (i = 0; i < n; i++) {
		one = sk_GENERAL_NAME_value(all, i);
		if (one->type != GEN_DNS)
			continue;
		has_dns = true;
		add_name(pool, names, count,
		    ASN1_STRING_get0_data(one->d.dNSName),
		    ASN1_STRING_length(one->d.dNSName));
	}
	GENERAL_NAMES_free(all);
	if (!has_dns)
		add_common(pool, x, names, count);
	return names;
}
