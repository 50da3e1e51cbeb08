/*
 * mapping.c - what tables of addresses say, as an address.
 */
#include "common/mail/mapping.h"

#include <string.h>

#include "common/base/text.h"
#include "common/mail/address.h"

/* Made whole. "localhost" is a whole name. */
char *
mapping_whole(struct pool *pool, char *address, const struct naming *naming)
{
	const char	*local, *domain;
	size_t		 len;

	if (*address == '\0')
		return address;
	address_split(address, &local, &len, &domain);
	if (domain == NULL)
		return naming->origin == NULL ? address :
		    pool_printf(pool, "%s@%s", address, naming->origin);
	if (naming->domain != NULL && *domain != '[' && *domain != '\0' &&
	    strchr(domain, '.') == NULL && !text_equal(domain, "localhost"))
		return pool_printf(pool, "%s.%s", address, naming->domain);
	return address;
}

/* With the extension behind the local part. */
char *
mapping_extend(struct pool *pool, const char *address, const char *extension)
{
	const char	*local, *domain;
	char		*plain;
	size_t		 len;

	address_split(address, &local, &len, &domain);
	plain = address_unquote_local(pool, local, len);
	plain = address_quote_local(pool, pool_printf(pool, "%s%s", plain,
	    extension));
	return domain == NULL ? plain : pool_printf(pool, "%s@%s", plain,
	    domain);
}

/* "@other.example": the same local part there. */
static char *
other_domain(struct pool *pool, const char *address, const char *value,
    const struct naming *naming)
{
	const char	*local, *domain;
	char		*result;
	size_t		 len;

	address_split(address, &local, &len, &domain);
	result = pool_printf(pool, "%.*s%s", (int)len, local, value);
	return address_parse(pool, result, PATH_ALLOW_UTF8, &result) != NULL ?
	    NULL : mapping_whole(pool, result, naming);
}

/* What the table says. */
char *
mapping_result(struct pool *pool, const char *address, const char *value,
    const char *extension, const struct naming *naming)
{
	struct list_item	*items;
	char			*result;
	size_t			 count;

	value += strspn(value, " \t");
	if (*value == '@')
		return other_domain(pool, address, value, naming);
	if (address_list_parse(pool, value, LIST_IS_HEADER, &items, &count) !=
	    NULL || count == 0)
		return NULL;
	result = items[0].value;
	if (*extension != '\0')
		result = mapping_extend(pool, result, extension);
	return mapping_whole(pool, result, naming);
}

/* The next word of a list and its length; NULL at the end. */
static const char *
next_word(const char *at, size_t *len)
{
	at += strspn(at, ", \t\r\n");
	*len = strcspn(at, ", \t\r\n");
	return *len > 0 ? at : NULL;
}

/* Is it there? */
bool
mapping_lists(const char *list, const char *word)
{
	size_t	len;

	for (; (list = next_word(list, &len)) != NULL; list += len)
		if (text_equal_mem(word, list, len))
			return true;
	return false;
}

/* Is the domain `parent`, or below it? Then the place where that begins. */
static const char *
find_parent(const char *domain, const char *parent, size_t len)
{
	size_t	domain_len = strlen(domain);

	if (len == 0 || len > domain_len)
		return NULL;
	domain += domain_len - len;
	if (!text_equal_mem(domain, parent, len))
		return NULL;
	return len == domain_len || domain[-1] == '.' ? domain : NULL;
}

/* What is shown. */
const char *
masquerade_domain(const char *list, const char *domain)
{
	const char	*shown;
	size_t		 len;
	bool		 keeps;

	for (; (list = next_word(list, &len)) != NULL; list += len) {
		keeps = *list == '!';
		shown = find_parent(domain, list + keeps, len - keeps);
		if (shown != NULL)
			return keeps || shown == domain ? NULL : shown;
	}
	return NULL;
}
