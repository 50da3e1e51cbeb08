/*
 * route.c - transport, next hop and site of an address.
 *
 * The class of the domain proposes, transport_maps disposes. A transport
 * entry without a next hop means the recipient's own domain, whatever
 * relayhost says; one with neither part changes nothing.
 */
#include <string.h>

#include "common/base/text.h"
#include "common/mail/address.h"
#include "resolve/resolve.h"

/* What is being found out. */
struct search {
	struct rules		*rules;
	struct pool		*pool;
	const char		*address, *domain;
	enum address_class	 class;
	struct transport	 to;
	char			*why;
};

/* A copy for the answer. */
static char *
text(struct search *s, const char *what)
{
	return pool_strdup(s->pool, what);
}

/* The class's own transport and next hop. */
static void
propose(struct search *s)
{
	struct rules	*r = s->rules;

	switch (s->class) {
	case CLASS_LOCAL:
		s->to = r->local;
		break;
	case CLASS_VIRTUAL_MAILBOX:
		s->to = r->virtual;
		break;
	case CLASS_RELAY:
		s->to = r->relay;
		break;
	default:
		s->to = r->standard;
		break;
	}
	if (*s->to.nexthop == '\0' && s->class >= CLASS_RELAY)
		s->to.nexthop = r->set.relayhost;
	if (*s->to.nexthop == '\0')
		s->to.nexthop = s->domain;
}

/* The keys that a domain stands for: itself, .parent ..., and *. */
static WAITS enum map_result
find_domain(struct search *s, char **value)
{
	struct table	*t = s->rules->transports;
	const char	*name = lower(s->pool, s->domain), *dot;
	bool		 has_dots;
	enum map_result	 result;

	result = table_find_part(t, s->pool, name, value, &s->why);
	has_dots = strcasestr(s->rules->set.parent_domain_matches_subdomains,
	    "transport_maps") == NULL;
	if (*name != '[')
		for (dot = strchr(name, '.'); dot != NULL &&
		    result == MAP_NOT_FOUND; dot = strchr(dot + 1, '.'))
			result = table_find_part(t, s->pool,
			    has_dots ? dot : dot + 1, value, &s->why);
	if (result == MAP_NOT_FOUND)
		result = table_find_part(t, s->pool, "*", value, &s->why);
	return result;
}

/* The address with and without its extension. */
static WAITS enum map_result
find_address(struct search *s, char **value)
{
	const char	*local, *domain;
	char		*bare;
	size_t		 len, user_len;
	enum map_result	 result;

	result = table_find(s->rules->transports, s->pool, s->address, value,
	    &s->why);
	address_split(s->address, &local, &len, &domain);
	if (result != MAP_NOT_FOUND || !address_split_extension(local, len,
	    s->rules->delimiters, &user_len))
		return result;
	bare = pool_printf(s->pool, "%.*s@%s", (int)user_len, local, domain);
	return table_find_part(s->rules->transports, s->pool, bare, value,
	    &s->why);
}

/* Let transport_maps have its way. 0, or -1 with why. */
static WAITS int
dispose(struct search *s)
{
	struct transport	 entry;
	enum map_result		 result;
	char			*value;

	if (table_is_empty(s->rules->transports))
		return 0;
	if ((result = find_address(s, &value)) == MAP_NOT_FOUND)
		result = find_domain(s, &value);
	if (result == MAP_ERROR)
		return -1;
	if (result == MAP_NOT_FOUND)
		return 0;
	entry = transport_parse(s->pool, value);
	if (*entry.name != '\0') {
		s->to.name = entry.name;
		s->to.nexthop = s->domain;
	}
	if (*entry.nexthop != '\0')
		s->to.nexthop = entry.nexthop;
	return 0;
}

/* Who shares concurrency: a mailbox, a set of hosts, or the next hop. */
static WAITS char *
choose_site(struct search *s)
{
	const char	*local, *domain;
	size_t		 len, user_len;

	switch (transport_kind(s->to.name)) {
	case TRANSPORT_SMTP:
		return site_of(s->pool, s->to.nexthop);
	case TRANSPORT_MAILBOX:
		address_split(s->address, &local, &len, &domain);
		if (address_split_extension(local, len, s->rules->delimiters,
		    &user_len))
			len = user_len;
		return lower(s->pool, pool_printf(s->pool, "%.*s@%s",
		    (int)len, local, domain));
	default:
		return lower(s->pool, s->to.nexthop);
	}
}

/* An answer that is no route. */
static void
refuse(struct search *s, struct route *to, enum route_result result,
    const char *dsn, const char *why)
{
	to->result = result;
	to->dsn = text(s, dsn);
	to->text = reason(s->pool, why);
	to->transport = text(s, "error");
	to->nexthop = to->site = text(s, "");
}

/* A next hop longer than a packet's field is a mistake in a table. */
static bool
fits(const struct search *s)
{
	return strlen(s->to.name) <= 255 && *s->to.name != '\0' &&
	    strlen(s->to.nexthop) <= ADDRESS_MAX;
}

/* Fill in the route of a class and address that are known. */
static WAITS void
find(struct search *s, struct route *to)
{
	if (s->class == CLASS_VIRTUAL_ALIAS) {
		refuse(s, to, ROUTE_IMPOSSIBLE, "5.1.1",
		    s->rules->set.show_user_unknown_table_name ?
		    "User unknown in virtual alias table" : "User unknown");
		return;
	}
	propose(s);
	if (dispose(s) == -1) {
		refuse(s, to, ROUTE_TEMPORARY, "4.3.0", s->why);
		return;
	}
	if (!fits(s)) {
		refuse(s, to, ROUTE_TEMPORARY, "4.3.5", "Server configuration "
		    "error: transport or next hop of this address is empty "
		    "or too long");
		return;
	}
	to->result = ROUTE_OK;
	to->transport = text(s, s->to.name);
	to->nexthop = text(s, s->to.nexthop);
	to->site = choose_site(s);
}

/* Where does it go? */
WAITS void
route_find(struct rules *r, struct pool *pool, const char *address,
    struct route *to)
{
	struct search	s = { .rules = r, .pool = pool };

	memset(to, 0, sizeof(*to));
	to->dsn = to->text = text(&s, "");
	to->recipient = pool_strdup(pool, address);
	to->address_class = text(&s, class_name(CLASS_DEFAULT));
	to->generation = rules_generation();
	if ((s.address = address_complete(r, pool, address)) == NULL) {
		refuse(&s, to, ROUTE_IMPOSSIBLE, "5.1.3",
		    "Bad recipient address syntax");
		return;
	}
	to->recipient = pool_strdup(pool, s.address);
	s.domain = address_domain(s.address);
	if (class_of(r, pool, s.domain, &s.class, &s.why) == -1) {
		refuse(&s, to, ROUTE_TEMPORARY, "4.3.0", s.why);
		return;
	}
	to->address_class = text(&s, class_name(s.class));
	find(&s, to);
}
