/*
 * recipient.c - may this recipient be accepted, and does it exist?
 *
 * A recipient in virtual_alias_maps exists whatever its class. Else each
 * class has its tables; a class without a table takes every address.
 */
#include <string.h>

#include "common/base/text.h"
#include "common/mail/address.h"
#include "common/mail/dsn.h"
#include "resolve/resolve.h"

struct check {
	struct rules			*rules;
	struct pool			*pool;
	const struct ask_recipient	*ask;
	const char			*address;	/* completed */
	struct target			 target;	/* whom it means */
	struct recipient_answer		*answer;
	char				*why;
};

/* Set result and words. */
static void
answer(struct check *c, enum recipient_result result, const char *words)
{
	c->answer->result = result;
	c->answer->text = reason(c->pool, words);
}

/* One table about the address, and what it says. */
static WAITS enum map_result
find(struct check *c, struct table *table, const char *address, char **value)
{
	char	*extension;
	bool	 is_ours;

	if (table_is_empty(table))
		return MAP_NOT_FOUND;
	if (domain_is_ours(c->rules, c->pool, address_domain(address),
	    &is_ours, &c->why) == -1)
		return MAP_ERROR;
	return table_find_address(table, c->pool, address,
	    c->rules->delimiters, is_ours, value, &extension, &c->why);
}

/* One table about the address. */
static WAITS enum map_result
look(struct check *c, struct table *table, const char *address)
{
	char	*value;

	return find(c, table, address, &value);
}

/* relocated_maps. */
WAITS enum map_result
relocated_find(struct rules *r, struct pool *pool, const char *address,
    char **words, char **why)
{
	struct check	c = { .rules = r, .pool = pool };
	enum map_result	result;
	char		*value;

	result = find(&c, r->relocated, address, &value);
	*why = c.why;
	if (result == MAP_FOUND)
		*words = pool_printf(pool, "User has moved to %.900s", value);
	return result;
}

/* The table that must know addresses of a class, and its name in replies. */
static struct table *
table_of_class(struct rules *r, enum address_class class, const char **name)
{
	switch (class) {
	case CLASS_LOCAL:
		*name = "User unknown in local recipient table";
		return r->local_recipients;
	case CLASS_VIRTUAL_ALIAS:
		*name = "User unknown in virtual alias table";
		return r->virtual_alias;
	case CLASS_VIRTUAL_MAILBOX:
		*name = "User unknown in virtual mailbox table";
		return r->virtual_mailbox;
	case CLASS_RELAY:
		*name = "User unknown in relay recipient table";
		return r->relay_recipients;
	default:
		return NULL;
	}
}

/* An address that is routed to the error transport is not accepted. */
static WAITS void
check_route(struct check *c)
{
	struct ask_route ask = { pool_strdup(c->pool, c->address),
			    c->ask->sender, pool_strdup(c->pool, "") };
	struct route	 route;

	if (table_is_empty(c->rules->transports) &&
	    table_is_empty(c->rules->sender_transports) &&
	    strcmp(c->rules->local.name, "error") != 0 &&
	    strcmp(c->rules->virtual.name, "error") != 0 &&
	    strcmp(c->rules->relay.name, "error") != 0 &&
	    strcmp(c->rules->standard.name, "error") != 0)
		return;
	route_find_way(c->rules, c->pool, &ask, &route);
	if (route.result == ROUTE_TEMPORARY) {
		answer(c, RECIPIENT_TEMPORARY, route.text);
		return;
	}
	if (route.result != ROUTE_OK || strcmp(route.transport, "error") != 0)
		return;
	answer(c, RECIPIENT_UNKNOWN,
	    route.nexthop[dsn_find(route.nexthop, 0)] != '\0' ?
	    route.nexthop : "mail for this recipient is not accepted");
}

/* By class. */
static WAITS void
check_class(struct check *c, enum address_class class)
{
	const char	*unknown = "User unknown";
	struct table	*table = table_of_class(c->rules, class, &unknown);
	enum map_result	 result;

	/* Only aliases can make an address of an alias domain exist. */
	if (table == NULL || (table_is_empty(table) &&
	    class != CLASS_VIRTUAL_ALIAS))
		return;
	result = look(c, table, c->target.address);
	if (result == MAP_ERROR)
		answer(c, RECIPIENT_TEMPORARY, c->why);
	else if (result == MAP_NOT_FOUND)
		answer(c, RECIPIENT_UNKNOWN,
		    c->rules->set.show_user_unknown_table_name ? unknown :
		    "User unknown");
}

/* Is there a virtual alias for it, as it is written or as it is meant? */
static WAITS enum map_result
find_alias(struct check *c)
{
	struct table	*table = c->rules->virtual_alias;
	enum map_result	 result = look(c, table, c->address);

	return result != MAP_NOT_FOUND ||
	    strcmp(c->address, c->target.address) == 0 ? result :
	    look(c, table, c->target.address);
}

/* Will cleanup write this address in another way? */
static WAITS enum map_result
find_canonical(struct check *c)
{
	enum map_result	result = look(c, c->rules->recipient_canonical,
			    c->address);

	return result != MAP_NOT_FOUND ? result :
	    look(c, c->rules->canonical, c->address);
}

/* Who has moved is not here. 0, or -1. */
static WAITS int
check_moved(struct check *c)
{
	char	*words;

	switch (relocated_find(c->rules, c->pool, c->target.address, &words,
	    &c->why)) {
	case MAP_ERROR:
		return -1;
	case MAP_FOUND:
		answer(c, RECIPIENT_UNKNOWN, pool_printf(c->pool, "5.1.6 %s",
		    words));
		return 0;
	default:
		return 0;
	}
}

/* Fill in class and existence of a complete address. */
static WAITS int
check(struct check *c)
{
	struct target	*t = &c->target;
	enum map_result	 result;

	if (target_find(c->rules, c->pool, c->address, t, &c->why) == -1)
		return -1;
	if (t->address == NULL) {
		answer(c, RECIPIENT_UNKNOWN, "Bad recipient address syntax");
		return 0;
	}
	c->answer->address_class = pool_strdup(c->pool,
	    class_name(t->class));
	/* Who is told to send it on by somebody else's words is no
	 * destination of ours. */
	c->answer->is_final = t->class != CLASS_DEFAULT && !t->is_routed;
	if ((result = find_alias(c)) == MAP_NOT_FOUND)
		result = find_canonical(c);
	if (result != MAP_NOT_FOUND)
		return result == MAP_FOUND ? 0 : -1;
	if (check_moved(c) == -1)
		return -1;
	if (c->answer->result == RECIPIENT_EXISTS)
		check_route(c);
	if (c->answer->result == RECIPIENT_EXISTS)
		check_class(c, t->class);
	return 0;
}

/* Answer smtpd. */
WAITS void
recipient_check(struct rules *r, struct pool *pool,
    const struct ask_recipient *ask, struct recipient_answer *to)
{
	struct check	 c = { .rules = r, .pool = pool, .ask = ask,
			    .answer = to };
	int64_t		 generation = rules_generation();
	const char	*unused;

	memset(to, 0, sizeof(*to));
	to->text = pool_strdup(pool, "");
	to->address = pool_strdup(pool, ask->address);
	to->address_class = pool_strdup(pool, class_name(CLASS_DEFAULT));
	if ((c.address = address_complete(r, pool, ask->address)) == NULL) {
		answer(&c, RECIPIENT_UNKNOWN, "Bad recipient address syntax");
		return;
	}
	to->address = pool_strdup(pool, c.address);
	if (check(&c) == -1)
		answer(&c, RECIPIENT_TEMPORARY, c.why);
	to->lease = lease_recipient(r, generation, table_of_class(r,
	    c.target.class, &unused), ask, to);
}
