/*
 * idn.c - domains that are not ASCII, in both of their spellings.
 *
 * The rules are those of UTS 46 for look-ups without its transitional part,
 * or with it by enable_idna2003_compatibility; libidn2 knows them. Without
 * that library no such name has another spelling, and who needs one is told.
 *
 * I1  An A-label comes only from a name that domain_is_valid() takes, and a
 *     U-label only if its way back leads to the same A-label: two names never
 *     become one by being looked at in the other spelling.
 */
#include "common/mail/idn.h"

#include <string.h>

#ifdef HAVE_IDN2
#include <idn2.h>
#endif

#include "common/base/text.h"
#include "common/mail/address.h"
#include "common/mail/chars.h"

bool	idn_is_transitional;

/* Is there an A-label in it? */
static bool
has_a_label(const char *domain)
{
	for (;;) {
		if (text_starts(domain, "xn--"))
			return true;
		if ((domain = strchr(domain, '.')) == NULL)
			return false;
		domain++;
	}
}

/* More than ASCII? */
static bool
is_wide(const char *text)
{
	return has_8bit(text, strlen(text));
}

#ifdef HAVE_IDN2

bool
idn_is_built_in(void)
{
	return true;
}

/* The library's way to A-labels; NULL, or what is wrong. */
static const char *
convert(struct pool *pool, const char *domain, char **ascii)
{
	uint8_t	*found = NULL;
	int	 result;

	result = idn2_lookup_u8((const uint8_t *)domain, &found,
	    IDN2_NFC_INPUT | (idn_is_transitional ? IDN2_TRANSITIONAL :
	    IDN2_NONTRANSITIONAL));
	if (result != IDN2_OK)
		return pool_printf(pool, "the domain is not valid: %s",
		    idn2_strerror(result));
	*ascii = pool_strdup(pool, (const char *)found);
	idn2_free(found);
	if (!domain_is_valid(*ascii, false))
		return "the domain is not valid";
	return NULL;
}

/* The library's way back; NULL when there is none. */
static char *
revert(struct pool *pool, const char *domain)
{
	char	*found = NULL, *copy;

	if (idn2_to_unicode_8z8z(domain, &found, 0) != IDN2_OK)
		return NULL;
	copy = pool_strdup(pool, found);
	idn2_free(found);
	return copy;
}

#else

bool
idn_is_built_in(void)
{
	return false;
}

/* There is no way. */
static const char *
convert(struct pool *pool, const char *domain, char **ascii)
{
	(void)pool;
	(void)domain;
	(void)ascii;
	return "the domain is not ASCII, and this mail system was built "
	    "without libidn2";
}

/* Nor back. */
static char *
revert(struct pool *pool, const char *domain)
{
	(void)pool;
	(void)domain;
	return NULL;
}

#endif

const char *
idn_to_ascii(struct pool *pool, const char *domain, char **ascii)
{
	if (*domain == '[' || !is_wide(domain)) {
		*ascii = pool_strdup(pool, domain);
		return NULL;
	}
	if (!domain_is_valid(domain, true))
		return "the domain is not valid";
	return convert(pool, domain, ascii);
}

/* I1. NULL when it is in the form that people write already. */
static char *
find_unicode(struct pool *pool, const char *domain)
{
	char	*small, *unicode, *back;

	if (*domain == '[' || is_wide(domain) || !has_a_label(domain))
		return NULL;
	small = pool_strdup(pool, domain);
	text_lower(small);
	if ((unicode = revert(pool, small)) == NULL || !is_wide(unicode) ||
	    idn_to_ascii(pool, unicode, &back) != NULL)
		return NULL;
	return text_equal(back, domain) ? unicode : NULL;
}

char *
idn_to_unicode(struct pool *pool, const char *domain)
{
	char	*unicode = find_unicode(pool, domain);

	return unicode != NULL ? unicode : pool_strdup(pool, domain);
}

/* A-labels, then U-labels as they come back from them: in small letters. */
void
idn_others(struct pool *pool, const char *domain, char *others[IDN_OTHERS + 1])
{
	char	*ascii;

	others[0] = others[1] = others[2] = NULL;
	if (!is_wide(domain)) {
		others[0] = find_unicode(pool, domain);
		return;
	}
	if (idn_to_ascii(pool, domain, &ascii) != NULL)
		return;
	others[0] = ascii;
	others[1] = find_unicode(pool, ascii);
	if (others[1] != NULL && strcmp(others[1], domain) == 0)
		others[1] = NULL;
}

/* user@domain with another domain. */
static char *
move(struct pool *pool, const char *address, const char *to)
{
	const char	*local, *domain;
	size_t		 len;

	address_split(address, &local, &len, &domain);
	return pool_printf(pool, "%.*s@%s", (int)len, local, to);
}

void
idn_other_addresses(struct pool *pool, const char *address,
    char *others[IDN_OTHERS + 1])
{
	const char	*local, *domain;
	size_t		 len, i;

	others[0] = NULL;
	address_split(address, &local, &len, &domain);
	if (domain == NULL)
		return;
	idn_others(pool, domain, others);
	for (i = 0; others[i] != NULL; i++)
		others[i] = move(pool, address, others[i]);
}

const char *
idn_address(struct pool *pool, const char *address, char **ascii)
{
	const char	*local, *domain, *why;
	char		*name;
	size_t		 len;

	address_split(address, &local, &len, &domain);
	if (domain == NULL || !is_wide(domain)) {
		*ascii = pool_strdup(pool, address);
		return NULL;
	}
	if ((why = idn_to_ascii(pool, domain, &name)) != NULL)
		return why;
	*ascii = move(pool, address, name);
	return NULL;
}

/* The same domain, however it is spelled? */
bool
domain_equal(const char *a, const char *b)
{
	struct pool	*pool;
	char		*x, *y;
	bool		 is_same;

	if (text_equal(a, b))
		return true;
	if (!is_wide(a) && !is_wide(b))
		return false;
	pool = pool_new("names", 0);
	is_same = idn_to_ascii(pool, a, &x) == NULL &&
	    idn_to_ascii(pool, b, &y) == NULL && text_equal(x, y);
	pool_free(pool);
	return is_same;
}
