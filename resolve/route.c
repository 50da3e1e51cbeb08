/*
 * route.c - transport, next hop and site of an address.
 *
 * The class of the domain proposes, the sender may change that for mail that
 * leaves, transport_maps disposes. A transport entry without a next hop means
 * the recipient's own domain, whatever relayhost says; one with neither part
 * changes nothing. What an agent has passed on goes where he says.
 */
#include <string.h>

#include "common/base/text.h"
#include "common/mail/address.h"
#include "common/mail/idn.h"
#include "resolve/resolve.h"

/* What is being found out. */
struct search {
	struct rules		*rules;
	struct pool		*pool;
	const char		*sender;
	struct target		 target;
	struct transport	 to;
	char			*why;
};

/* A copy for the answer. */
static char *
text(struct search *s, const char *what)
{
	return pool_strdup(s->pool, what);
}

/* --- what the class and the sender say ----------------------------------- */

/* A table about senders: MAP_FOUND with a value that is not DUNNO. */
static WAITS enum map_result
find_sender(struct search *s, struct table *table, const char *empty_key,
    char **value)
{
	const char	*key = *s->sender != '\0' ? s->sender : empty_key;
	char		*extension;
	enum map_result	 result;

	if (table_is_empty(table))
		return MAP_NOT_FOUND;
	if (*s->sender == '\0')
		result = table_find(table, s->pool, key, value, &s->why);
	else
		result = table_find_address(table, s->pool, key,
		    s->rules->delimiters, false, value, &extension, &s->why);
	if (result != MAP_FOUND)
		return result;
	*value = text_trim(*value);
	return **value == '\0' || text_equal(*value, "DUNNO") ?
	    MAP_NOT_FOUND : MAP_FOUND;
}

/* The default class's transport may depend on the sender. 0 or -1. */
static WAITS int
propose_standard(struct search *s)
{
	struct rules		*r = s->rules;
	struct transport	 entry;
	char			*value;

	s->to = r->standard;
	switch (find_sender(s, r->sender_transports,
	    r->set.empty_sender_transport, &value)) {
	case MAP_ERROR:
		return -1;
	case MAP_NOT_FOUND:
		return 0;
	default:
		entry = transport_parse(s->pool, value);
		if (*entry.name != '\0')
			s->to = entry;
		else if (*entry.nexthop != '\0')
			s->to.nexthop = entry.nexthop;
		return 0;
	}
}

/* Where mail that leaves is handed on, "" for nowhere special. 0 or -1. */
static WAITS int
propose_relay(struct search *s)
{
	struct rules	*r = s->rules;
	char		*value;

	s->to.nexthop = r->set.relayhost;
	switch (find_sender(s, r->sender_relayhosts,
	    r->set.empty_sender_relayhost, &value)) {
	case MAP_ERROR:
		return -1;
	case MAP_FOUND:
		s->to.nexthop = value;
		return 0;
	default:
		return 0;
	}
}

/* The class's own transport and next hop. 0, or -1 with why. */
static WAITS int
propose(struct search *s)
{
	struct rules	*r = s->rules;

	switch (s->target.class) {
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
		if (propose_standard(s) == -1)
			return -1;
		break;
	}
	if (*s->to.nexthop == '\0' && s->target.class >= CLASS_RELAY &&
	    propose_relay(s) == -1)
		return -1;
	if (*s->to.nexthop == '\0')
		s->to.nexthop = s->target.domain;
	return 0;
}

/* --- what transport_maps says -------------------------------------------- */

/* The keys that a domain stands for: itself, .parent ... */
static WAITS enum map_result
ask_spelling(struct search *s, const char *name, char **value)
{
	struct table	*t = s->rules->transports;
	const char	*dot;
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
	return result;
}

/* The keys of all spellings, and * at last. */
static WAITS enum map_result
ask_domain(struct search *s, const char *name, char **value)
{
	enum map_result	 result = ask_spelling(s, name, value);
	char		*others[IDN_OTHERS + 1];
	size_t		 i;

	idn_others(s->pool, name, others);
	for (i = 0; others[i] != NULL && result == MAP_NOT_FOUND; i++)
		result = ask_spelling(s, others[i], value);
	if (result == MAP_NOT_FOUND)
		result = table_find_part(s->rules->transports, s->pool, "*",
		    value, &s->why);
	return result;
}

/* The same from memory, if it is there. */
static WAITS enum map_result
find_domain(struct search *s, char **value)
{
	const char		*name = lower(s->pool, s->target.domain);
	bool			 remembers = rules_remember(s->rules,
				    FACT_TRANSPORT);
	int64_t			 generation = rules_generation();
	const struct fact	*fact;
	enum map_result		 result;

	if (remembers && (fact = memory_recall(name, FACT_TRANSPORT)) !=
	    NULL) {
		*value = pool_strdup(s->pool, fact->text);
		return *value != NULL ? MAP_FOUND : MAP_NOT_FOUND;
	}
	result = ask_domain(s, name, value);
	if (remembers && result != MAP_ERROR)
		memory_keep(name, FACT_TRANSPORT, generation, 0,
		    result == MAP_FOUND ? *value : NULL);
	return result;
}

/* The address with and without its extension. */
static WAITS enum map_result
ask_address(struct search *s, const char *address, char **value)
{
	const char	*local, *domain;
	char		*bare;
	size_t		 len, user_len;
	enum map_result	 result;

	result = table_find(s->rules->transports, s->pool, address, value,
	    &s->why);
	address_split(address, &local, &len, &domain);
	if (result != MAP_NOT_FOUND || !address_split_extension(local, len,
	    s->rules->delimiters, &user_len))
		return result;
	bare = pool_printf(s->pool, "%.*s@%s", (int)user_len, local, domain);
	return table_find_part(s->rules->transports, s->pool, bare, value,
	    &s->why);
}

/* The address in all spellings of its domain. */
static WAITS enum map_result
find_address(struct search *s, char **value)
{
	enum map_result	 result = ask_address(s, s->target.address, value);
	char		*others[IDN_OTHERS + 1];
	size_t		 i;

	idn_other_addresses(s->pool, s->target.address, others);
	for (i = 0; others[i] != NULL && result == MAP_NOT_FOUND; i++)
		result = ask_address(s, others[i], value);
	return result;
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
		s->to.nexthop = s->target.domain;
	}
	if (*entry.nexthop != '\0')
		s->to.nexthop = entry.nexthop;
	return 0;
}

/* --- the answer ---------------------------------------------------------- */

/* The mailbox, as a site. */
static char *
mailbox_site(struct search *s)
{
	const char	*local, *domain;
	size_t		 len, user_len;

	address_split(s->target.address, &local, &len, &domain);
	if (address_split_extension(local, len, s->rules->delimiters,
	    &user_len))
		len = user_len;
	return lower(s->pool, pool_printf(s->pool, "%.*s@%s", (int)len,
	    local, domain));
}

/* Who shares concurrency: a mailbox, a set of hosts, or the next hop. */
static WAITS void
choose_site(struct search *s, struct route *to, bool may_change)
{
	enum transport_kind	kind = transport_kind(s->to.name);
	struct site_answer	site;

	switch (kind) {
	case TRANSPORT_MAILBOX:
		to->site = mailbox_site(s);
		return;
	case TRANSPORT_OTHER:
		to->site = lower(s->pool, s->to.nexthop);
		return;
	default:
		break;
	}
	site_find(s->rules, s->pool, s->to.nexthop, kind, &site);
	to->site = site.name;
	if (!site.is_us || !may_change || *s->rules->best_mx.name == '\0')
		return;
	/* Nobody is better than we are, so it must be for us. */
	s->to.name = s->rules->best_mx.name;
	if (*s->rules->best_mx.nexthop != '\0')
		s->to.nexthop = s->rules->best_mx.nexthop;
	to->transport = text(s, s->to.name);
	to->nexthop = text(s, s->to.nexthop);
	choose_site(s, to, false);
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

/* Take what was found, if it is any good. */
static void
accept_route(struct search *s, struct route *to)
{
	if (!fits(s)) {
		refuse(s, to, ROUTE_TEMPORARY, "4.3.5", "Server configuration "
		    "error: transport or next hop of this address is empty "
		    "or too long");
		return;
	}
	to->result = ROUTE_OK;
	to->transport = text(s, s->to.name);
	to->nexthop = text(s, s->to.nexthop);
	to->site = text(s, "");
}

/* Who has moved gets nothing here any more. 0, or -1: it is refused. */
static WAITS int
check_moved(struct search *s, struct route *to)
{
	char	*words;

	switch (relocated_find(s->rules, s->pool, s->target.address, &words,
	    &s->why)) {
	case MAP_ERROR:
		refuse(s, to, ROUTE_TEMPORARY, "4.3.0", s->why);
		return -1;
	case MAP_FOUND:
		refuse(s, to, ROUTE_IMPOSSIBLE, "5.1.6", words);
		return -1;
	default:
		return 0;
	}
}

/* Fill in the way of a class and address that are known. */
static WAITS void
find(struct search *s, struct route *to)
{
	if (check_moved(s, to) == -1)
		return;
	if (s->target.class == CLASS_VIRTUAL_ALIAS)
		refuse(s, to, ROUTE_IMPOSSIBLE, "5.1.1",
		    s->rules->set.show_user_unknown_table_name ?
		    "User unknown in virtual alias table" : "User unknown");
	else if (propose(s) == -1 || dispose(s) == -1)
		refuse(s, to, ROUTE_TEMPORARY, "4.3.0", s->why);
	else
		accept_route(s, to);
}

/* The way that an agent chose. */
static void
follow(struct search *s, const char *via, struct route *to)
{
	s->to = transport_parse(s->pool, via);
	if (*s->to.nexthop == '\0')
		s->to.nexthop = s->target.domain;
	accept_route(s, to);
}

/* Everything but the site. */
static WAITS void
find_way(struct search *s, const struct ask_route *ask, struct route *to)
{
	memset(to, 0, sizeof(*to));
	s->sender = ask->sender;
	to->dsn = to->text = text(s, "");
	to->recipient = text(s, ask->address);
	to->address_class = text(s, class_name(CLASS_DEFAULT));
	to->generation = rules_generation();
	if (target_find(s->rules, s->pool, ask->address, &s->target,
	    &s->why) == -1) {
		refuse(s, to, ROUTE_TEMPORARY, "4.3.0", s->why);
		return;
	}
	if (s->target.address == NULL) {
		refuse(s, to, ROUTE_IMPOSSIBLE, "5.1.3",
		    "Bad recipient address syntax");
		return;
	}
	to->recipient = text(s, s->target.address);
	to->address_class = text(s, class_name(s->target.class));
	if (*ask->via != '\0')
		follow(s, ask->via, to);
	else
		find(s, to);
}

/* The way without the site. */
WAITS void
route_find_way(struct rules *r, struct pool *pool,
    const struct ask_route *ask, struct route *to)
{
	struct search	s = { .rules = r, .pool = pool };

	find_way(&s, ask, to);
}

/* Where does it go? */
WAITS void
route_find(struct rules *r, struct pool *pool, const struct ask_route *ask,
    struct route *to)
{
	struct search	s = { .rules = r, .pool = pool };
	int64_t		generation = rules_generation();

	find_way(&s, ask, to);
	if (to->result == ROUTE_OK)
		choose_site(&s, to, *ask->via == '\0' &&
		    s.target.class >= CLASS_RELAY);
	to->lease = lease_route(r, generation, ask, to);
}
