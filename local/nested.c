/*
 * nested.c - aliases that an alias or a .forward names, taken for what they
 * stand for.
 *
 * Called by expand.c for each address. Whoever is named by two of them gets
 * one message so, and a chain of aliases is one message more and not one for
 * each link. An alias that is no plain list of addresses, that names itself,
 * or that has an owner is posted as the address that it is: it is expanded
 * when it is delivered to, with its own Delivered-To:, rights and sender, and
 * what is wrong with it stops nobody else.
 *
 * X1  Nothing is taken for an alias that another transport would get.
 * X2  A circle is left where it closes: that address is posted, and the
 *     message is returned once, because its Delivered-To: is there already.
 * X3  An alias is expanded once, however often and on however many ways it is
 *     named; after LOOKUPS_MAX addresses the rest is posted as it is. The
 *     work for one message is bounded so, whoever wrote the list.
 */
#include <string.h>

#include "common/base/text.h"
#include "common/mail/address.h"

#include "local/expand.h"

enum { LOOKUPS_MAX = 10000 };

static struct { bool frozen_delivered_to, reset_owner_alias; } set;

const struct param	nested_params[] = {
	PARAM_BOOL("frozen_delivered_to", set.frozen_delivered_to, "yes",
	    "What an alias or a .forward names by way of other aliases gets "
	    "one message, whose Delivered-To: is the address that it came "
	    "for. No: one for each alias, with its own Delivered-To:."),
	PARAM_BOOL("reset_owner_alias", set.reset_owner_alias, "no",
	    "An alias that a list with an owner names, and that has no owner "
	    "itself, is no part of that list: it is posted as an address."),
	PARAM_END
};

/* An alias that might be taken for what it stands for. */
struct candidate {
	char			*name, *user;
	const char		*key;		/* that the table has */
	struct list_item	*items;
	size_t			 count;
};

/* Its name, if the address can be one of ours: bare, or in the recipient's
 * domain. */
static bool
read_name(struct expansion *e, const char *address, struct candidate *c)
{
	struct pool	*pool = e->to->delivery->pool;
	const char	*local, *domain;
	size_t		 len;

	address_split(address, &local, &len, &domain);
	if (domain != NULL && !domain_equal(domain, e->to->domain))
		return false;
	c->name = address_unquote_local(pool, local, len);
	text_lower(c->name);
	c->user = pool_strndup(pool, c->name, addressee_user_length(c->name));
	return *c->name != '\0';
}

/* Is it one of those that are being expanded (X2)? */
static bool
is_in_chain(const struct expansion *e, const char *key)
{
	size_t	i;

	for (i = 0; i < e->chain_count; i++)
		if (strcmp(e->chain[i], key) == 0)
			return true;
	return false;
}

/* Is it a list of addresses, and not of itself? */
static bool
is_plain(struct pool *pool, const char *value, struct candidate *c)
{
	const char	*local, *domain;
	char		*name;
	size_t		 i, len;

	if (address_list_parse(pool, value, LIST_IS_ALIAS, &c->items,
	    &c->count) != NULL || c->count == 0)
		return false;
	for (i = 0; i < c->count; i++) {
		if (c->items[i].kind != LIST_ADDRESS ||
		    c->items[i].value[0] == '\\' ||
		    strlen(c->items[i].value) > ADDRESS_MAX)
			return false;
		address_split(c->items[i].value, &local, &len, &domain);
		name = address_unquote_local(pool, local, len);
		if (text_equal(name, c->name) || text_equal(name, c->user))
			return false;
	}
	return true;
}

/* Does its mail come to this transport (X1)? As nested_add(). */
WAITS static int
is_ours(struct expansion *e, char *address)
{
	struct delivery	*d = e->to->delivery;
	static char	 nothing[1];
	struct ask_route ask = { address, d->mail->sender, nothing };
	struct route	 route;

	if (link_ask(to_resolve, PACKET_ASK_ROUTE, &ask, PACKET_ROUTE, &route,
	    d->pool, local_deadline(), true) == -1)
		return 0;
	return route.result == ROUTE_OK &&
	    strcmp(route.address_class, "local") == 0 &&
	    strcmp(route.transport, d->mail->transport) == 0;
}

/* Look for the alias: 1 if it can be taken for its list, 0, or -1: settled. */
WAITS static int
find(struct expansion *e, char *address, struct candidate *c)
{
	struct key_row	keys[2];
	struct found	found;
	int		result;

	if (!read_name(e, address, c))
		return 0;
	keys[0].key = c->name;
	keys[1].key = c->user;
	result = alias_find(e->to, keys, strcmp(c->name, c->user) == 0 ? 1 : 2,
	    &found);
	if (result != 1)
		return result;
	c->key = keys[found.which == 1].key;
	if (found.which == 1 || found.owner < -1 || is_in_chain(e, c->key) ||
	    !is_plain(e->to->delivery->pool, found.value, c))
		return 0;
	if ((result = alias_has_owner(e, c->key)) != 0)
		return result == 1 ? 0 : -1;
	return is_ours(e, address);
}

/* Sort in what the address stands for. */
int
nested_add(struct expansion *e, char *address)
{
	struct candidate	c;
	size_t			i;
	int			result;

	if (!set.frozen_delivered_to || e->extension != NULL ||
	    e->chain_count == NESTED_MAX || e->lookups == LOOKUPS_MAX ||
	    (e->is_list && set.reset_owner_alias))
		return 0;
	e->lookups++;
	if ((result = find(e, address, &c)) != 1)
		return result;
	e->items--;			/* it counts for what it names */
	if (e->expanded == NULL)
		e->expanded = seen_new(e->to->delivery->pool, 0);
	if (seen_is(e->expanded, c.key))
		return 1;		/* X3 */
	e->chain[e->chain_count++] = c.key;
	for (i = 0; i < c.count; i++) {
		e->items++;
		if (expand_address(e, c.items[i].value) == -1)
			return -1;
	}
	e->chain_count--;
	return 1;
}
