/*
 * target.c - whom an address really means.
 *
 * People, and machines of old, write the way to a place into the local part:
 * user%place@here, place!user@here, "user@place"@here. In a domain of our own
 * that is an order to us, and the address means user@place; in any other
 * domain it is an order to somebody else, which strangers may not give
 * through us.
 */
#include <string.h>

#include "common/mail/address.h"
#include "resolve/resolve.h"

enum { PLACES_MAX = 20 };	/* here@there@elsewhere ... */

/* Is it a place that mail can be sent to? */
static bool
is_place(const char *text)
{
	return *text != '\0' && domain_is_valid(text, true);
}

/* user@place; NULL when there is no user or no place. */
static char *
make(struct pool *pool, const char *user, size_t len, const char *place)
{
	if (len == 0 || !is_place(place))
		return NULL;
	return pool_printf(pool, "%s@%s", address_quote_local(pool,
	    pool_strndup(pool, user, len)), place);
}

/* What a local part without quotes means in our own domain, NULL: itself. */
static char *
unroute(const struct rules *r, struct pool *pool, const char *local)
{
	const char	*sign;

	if ((sign = strrchr(local, '@')) != NULL)
		return make(pool, local, (size_t)(sign - local), sign + 1);
	if (r->set.swap_bangpath && (sign = strchr(local, '!')) != NULL)
		return make(pool, sign + 1, strlen(sign + 1),
		    pool_strndup(pool, local, (size_t)(sign - local)));
	if (r->set.allow_percent_hack && (sign = strrchr(local, '%')) != NULL)
		return make(pool, local, (size_t)(sign - local), sign + 1);
	return NULL;
}

/* The local part as it is looked at: quotes hide nothing, unless they may. */
static char *
visible_local(const struct rules *r, struct pool *pool, const char *address)
{
	const char	*local, *domain;
	size_t		 len;

	address_split(address, &local, &len, &domain);
	if (r->set.resolve_dequoted_address)
		return address_unquote_local(pool, local, len);
	return *local == '"' ? pool_strdup(pool, "") :
	    pool_strndup(pool, local, len);
}

/* Does the local part order a way beyond its domain? */
static bool
orders_a_way(const struct rules *r, const char *local)
{
	return strchr(local, '@') != NULL ||
	    (r->set.swap_bangpath && strchr(local, '!') != NULL) ||
	    (r->set.allow_percent_hack && strchr(local, '%') != NULL);
}

/* An IPv4 address without brackets becomes a literal, or is no domain. */
static void
judge_number(const struct rules *r, struct pool *pool, struct target *t)
{
	struct inetaddr	address;

	if (*t->domain == '[' || !inetaddr_parse(&address, t->domain))
		return;
	t->address = !r->set.resolve_numeric_domain ? NULL :
	    pool_printf(pool, "%.*s[%s]", (int)(t->domain - t->address),
	    t->address, t->domain);
	if (t->address != NULL)
		t->domain = address_domain(t->address);
}

/* Complete it and find its class. */
static WAITS int
look(struct rules *r, struct pool *pool, const char *address,
    struct target *t, char **why)
{
	t->address = address_complete(r, pool, address);
	if (t->address == NULL)
		return 0;
	t->domain = address_domain(t->address);
	if (class_of(r, pool, t->domain, &t->class, why) == -1)
		return -1;
	if (t->class != CLASS_DEFAULT)
		return 0;
	judge_number(r, pool, t);
	return t->address == NULL ? 0 : class_of(r, pool, t->domain,
	    &t->class, why);
}

/* Follow the ways that are orders to us. */
WAITS int
target_find(struct rules *r, struct pool *pool, const char *address,
    struct target *t, char **why)
{
	char	*local, *inner;
	int	 places;

	memset(t, 0, sizeof(*t));
	t->class = CLASS_DEFAULT;
	for (places = 0; places < PLACES_MAX; places++) {
		if (look(r, pool, address, t, why) == -1)
			return -1;
		if (t->address == NULL)
			return 0;
		local = visible_local(r, pool, t->address);
		if (t->class != CLASS_LOCAL) {
			t->is_routed = orders_a_way(r, local);
			return 0;
		}
		if ((inner = unroute(r, pool, local)) == NULL)
			return 0;
		address = inner;
	}
	t->address = NULL;
	return 0;
}
