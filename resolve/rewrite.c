/*
 * rewrite.c - addresses made whole: a domain where there is none, the rest of
 * a short one, somebody for the null address; and no source route in front.
 */
#include <string.h>

#include "common/base/text.h"
#include "common/mail/address.h"
#include "resolve/resolve.h"

/* A copy in lower case. */
char *
lower(struct pool *pool, const char *text)
{
	char	*copy = pool_strdup(pool, text);

	text_lower(copy);
	return copy;
}

/* A copy that fits into an answer. */
char *
reason(struct pool *pool, const char *text)
{
	return pool_printf(pool, "%.*s", REPLY_MAX, text);
}

/* Behind the last @. */
const char *
address_domain(const char *address)
{
	const char	*local, *domain;
	size_t		 len;

	address_split(address, &local, &len, &domain);
	return domain != NULL ? domain : "";
}

/* local@domain, NULL if it is too long for any packet. */
static char *
join(struct pool *pool, const char *local, size_t len, const char *domain)
{
	if (len + strlen(domain) + 1 > ADDRESS_MAX)
		return NULL;
	return pool_printf(pool, "%.*s@%s", (int)len, local, domain);
}

/* Behind "@a,@b:" (RFC 5321 4.1.1.3: such a route is ignored). */
static const char *
skip_source_route(const char *address)
{
	const char	*colon = *address == '@' ? strchr(address, ':') : NULL;

	return colon != NULL && colon[1] != '\0' ? colon + 1 : address;
}

/* site!user and user%site, which need no domain behind; NULL for others. */
static char *
swap_old_style(const struct rules *r, struct pool *pool, const char *local)
{
	const char	*sign;
	char		*host;

	if (*local == '"')
		return NULL;
	if (r->set.swap_bangpath && (sign = strchr(local, '!')) != NULL) {
		host = pool_strndup(pool, local, (size_t)(sign - local));
		return sign[1] != '\0' && domain_is_valid(host, true) ?
		    join(pool, sign + 1, strlen(sign + 1), host) : NULL;
	}
	if (r->set.allow_percent_hack && (sign = strrchr(local, '%')) != NULL)
		return sign > local && domain_is_valid(sign + 1, true) ?
		    join(pool, local, (size_t)(sign - local), sign + 1) : NULL;
	return NULL;
}

/* An address that has no domain. */
static char *
give_domain(const struct rules *r, struct pool *pool, const char *local)
{
	char	*swapped = swap_old_style(r, pool, local);

	return swapped != NULL ? address_complete(r, pool, swapped) :
	    join(pool, local, strlen(local), r->set.append_at_myorigin ?
	    r->myorigin : r->myhostname);
}

/* Make it whole. */
char *
address_complete(const struct rules *r, struct pool *pool,
    const char *address)
{
	const char	*local, *domain;
	size_t		 len, domain_len;

	if (*address == '\0')
		address = r->set.empty_address_recipient;
	address = skip_source_route(address);
	address_split(address, &local, &len, &domain);
	if (domain == NULL)
		return give_domain(r, pool, address);
	if (*domain == '\0')
		return r->set.resolve_null_domain ?
		    join(pool, local, len, r->myhostname) : NULL;
	domain_len = strlen(domain);
	if (*domain != '[' && domain[domain_len - 1] == '.')
		return join(pool, local, len,
		    pool_strndup(pool, domain, domain_len - 1));
	if (*domain != '[' && r->set.append_dot_mydomain &&
	    strchr(domain, '.') == NULL && !text_equal(domain, "localhost"))
		return join(pool, local, len,
		    pool_printf(pool, "%s.%s", domain, r->mydomain));
	return strlen(address) > ADDRESS_MAX ? NULL :
	    pool_strdup(pool, address);
}
