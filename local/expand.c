/*
 * expand.c - what an alias or a .forward says, sorted.
 *
 * Called by alias.c and forward.c with the text. What cannot be done makes the
 * mail wait, with a sentence that names the place: an address is never left
 * out silently. The sentence may reach the sender in the end, and what stands
 * in the file is none of his business: that is for the log alone.
 */
#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/daemon/daemon.h"
#include "common/mail/address.h"
#include "common/mail/chars.h"
#include "common/mail/dsn.h"
#include "common/mail/mapping.h"
#include "common/param/site.h"

#include "local/expand.h"

static struct { char *propagate; int64_t remembered; } set;

const struct param	expand_params[] = {
	PARAM_STRING("propagate_unmatched_extensions", set.propagate,
	    "canonical, virtual", 0, 0, "Tables whose result gets the "
	    "extension that was left out of the key: canonical, virtual, "
	    "alias, forward, include, generic."),
	PARAM_INT("duplicate_filter_limit", set.remembered, "1000", 0,
	    INT32_MAX, "So many of the addresses that an alias or a .forward "
	    "names are remembered, so that each of them gets one message; 0: "
	    "all."),
	PARAM_END
};

/* Does it name this kind of table? */
bool
expand_propagates(const char *kind)
{
	return mapping_lists(set.propagate, kind);
}

/* --- what an item is ----------------------------------------------------- */

/* Say what is wrong with the text. */
WAITS static int
malformed(struct expansion *e, const char *why)
{
	log_warning("%s: %s: %s", e->to->delivery->mail->queue_id, e->source,
	    why);
	return addressee_settle(e->to, OUTCOME_DEFERRED, 0, "4.3.5",
	    "%s is malformed", e->source);
}

/* Is this local part the name that is being expanded? */
static bool
is_own_name(struct expansion *e, const char *address, size_t len)
{
	char	*name = address_unquote_local(e->to->delivery->pool, address,
		    len);

	return text_equal(name, e->to->name) || text_equal(name, e->to->user);
}

/*
 * Does the address, under whichever of our domains, come back to this same
 * recipient? Then it means his mailbox, and not the way round through the
 * queue, which would look like a loop. 1, 0, or -1: settled.
 */
WAITS static int
comes_back(struct expansion *e, char *address)
{
	struct delivery	*d = e->to->delivery;
	static char	 nothing[1];
	struct ask_route ask = { address, d->mail->sender, nothing };
	struct route	 route;
	const char	*local, *domain;
	size_t		 len;

	address_split(address, &local, &len, &domain);
	if (!is_own_name(e, local, len))
		return 0;
	if (domain != NULL && domain_equal(domain, e->to->domain))
		return 1;
	if (link_ask(to_resolve, PACKET_ASK_ROUTE, &ask, PACKET_ROUTE, &route,
	    d->pool, local_deadline(), true) == -1 ||
	    route.result == ROUTE_TEMPORARY)
		return addressee_settle(e->to, OUTCOME_DEFERRED, 0, "4.3.0",
		    "cannot find out where %s goes", address);
	return route.result == ROUTE_OK &&
	    strcmp(route.address_class, "local") == 0 &&
	    strcmp(route.transport, d->mail->transport) == 0;
}

/* --- collecting ---------------------------------------------------------- */

/* Of several, nobody reports success: repost.c does for all (RFC 3461
 * 5.2.7.3 c). */
int64_t
expand_notify(const struct addressee *a, size_t items)
{
	int64_t	notify = a->row->notify;

	if (items > 1 && notify != 0) {
		notify &= ~NOTIFY_SUCCESS;
		if (notify == 0)
			notify = NOTIFY_NEVER;
	}
	return notify;
}

/* The address as ORCPT has it, or "" when it cannot be there. */
char *
expand_as_orcpt(struct pool *pool, const char *address)
{
	enum { ROOM = 490 };			/* RFC 3461 4.2 */
	static char	 nothing[1];
	const char	*at;

	for (at = address; *at != '\0' && !is_8bit(*at); at++)
		;
	if (*at != '\0' || strlen(address) > ROOM)
		return nothing;
	if (strchr(address, '@') == NULL)
		return pool_printf(pool, "rfc822;%s@%s", address,
		    site.myorigin);
	return pool_printf(pool, "rfc822;%s", address);
}

/* The address that the sender knows (RFC 3461 5.2.7). */
char *
expand_orcpt(const struct addressee *a)
{
	const struct deliver_row	*row = a->row;
	const char			*known = row->original;

	if (row->orcpt[0] != '\0')
		return row->orcpt;
	if (*known == '\0' || strchr(known, '@') == NULL)
		known = row->address;
	return expand_as_orcpt(a->delivery->pool, known);
}

/* Add an address to post to, once. */
static void
add_row(struct expansion *e, char *address)
{
	struct pool	*pool = e->to->delivery->pool;

	if (e->seen == NULL)
		e->seen = seen_new(pool, (size_t)set.remembered);
	if (seen_is(e->seen, address))
		return;
	e->rows = pool_grow(pool, e->rows, &e->room,
	    e->count + 1, sizeof(*e->rows));
	e->rows[e->count++].address = address;
}

/* Add a user whose mailbox it goes to at once, once. */
static void
add_direct(struct expansion *e, char *user)
{
	size_t	i;

	text_lower(user);
	for (i = 0; i < e->direct_count; i++)
		if (strcmp(e->direct[i], user) == 0)
			return;
	e->direct = pool_grow(e->to->delivery->pool, e->direct,
	    &e->direct_room, e->direct_count + 1, sizeof(*e->direct));
	e->direct[e->direct_count++] = user;
}

/* Are these the same rights? */
static bool
is_same_user(const struct become *a, const struct become *b)
{
	return a->kind == b->kind && a->uid == b->uid && a->gid == b->gid &&
	    strcmp(a->user, b->user) == 0;
}

/* Add a command or a file. */
static void
add_errand(struct expansion *e, const struct list_item *item)
{
	size_t	i;

	for (i = 0; i < e->errand_count; i++)
		if (e->errands[i].kind == item->kind &&
		    is_same_user(&e->errands[i].as, &e->as) &&
		    strcmp(e->errands[i].value, item->value) == 0)
			return;
	e->errands = pool_grow(e->to->delivery->pool, e->errands,
	    &e->errand_room, e->errand_count + 1, sizeof(*e->errands));
	e->errands[e->errand_count++] = (struct errand){
		.kind = item->kind, .value = item->value,
		.context = e->context, .as = e->as
	};
}

/* Is it the one whose mail this is? 1, 0, or -1: settled. What another alias
 * names is a circle when it is the alias again; in a .forward it is the user
 * all the same. */
WAITS static int
is_self(struct expansion *e, char *address)
{
	if (e->chain_count > 1 && !e->is_forward)
		return 0;
	if (strchr(address, '@') == NULL)
		return is_own_name(e, address, strlen(address));
	return comes_back(e, address);
}

/* Add an address, or what it stands for. 0, or -1: settled. */
WAITS static int
add_other(struct expansion *e, char *address)
{
	struct pool	*pool = e->to->delivery->pool;
	int		 result = nested_add(e, address);

	if (result != 0)
		return result == 1 ? 0 : -1;
	add_row(e, e->extension == NULL ? address :
	    mapping_extend(pool, address, e->extension));
	return 0;
}

/* Sort an address in. */
int
expand_address(struct expansion *e, char *address)
{
	struct pool	*pool = e->to->delivery->pool;
	bool		 is_bare = strchr(address, '@') == NULL;
	int		 self;

	if (*address == '\\') {
		address++;
		if (is_bare) {
			add_direct(e, address_unquote_local(pool, address,
			    strlen(address)));
			return 0;
		}
	}
	if (strlen(address) > ADDRESS_MAX)
		return malformed(e, pool_printf(pool,
		    "an address is too long: %.100s...", address));
	if ((self = is_self(e, address)) == 0)
		return add_other(e, address);
	e->has_self |= self == 1;
	return self == 1 ? 0 : -1;
}

/* Sort one item in. 0, or -1: settled. */
WAITS static int
add_item(struct expansion *e, const struct list_item *item)
{
	if (item->kind == LIST_INCLUDE)
		return include_add(e, item->value);
	e->items++;
	if (item->kind == LIST_ADDRESS)
		return expand_address(e, item->value);
	add_errand(e, item);
	return 0;
}

/* Read the text and sort what it names. */
int
expand_text(struct expansion *e, const char *text)
{
	struct list_item	*items;
	const char		*why;
	size_t			 count, i;

	if ((why = address_list_parse(e->to->delivery->pool, text,
	    LIST_IS_ALIAS, &items, &count)) != NULL)
		return malformed(e, why);
	for (i = 0; i < count; i++)
		if (add_item(e, &items[i]) == -1)
			return -1;
	if (e->items == 0 && e->depth == 0)
		return addressee_settle(e->to, OUTCOME_DEFERRED, 0, "4.3.5",
		    "%s names nobody", e->source);
	return 0;
}

/* --- delivering ---------------------------------------------------------- */

/* What the rows have in common. */
static void
complete_rows(struct expansion *e)
{
	struct deliver_row	*row = e->to->row;
	char			*orcpt = expand_orcpt(e->to);
	int64_t			 notify = expand_notify(e->to, e->items);
	size_t			 i;

	e->is_single = e->items == 1;
	for (i = 0; i < e->count; i++)
		e->rows[i] = (struct recipient_row){
			.address = e->rows[i].address,
			.original = row->original[0] != '\0' ?
			    row->original : row->address,
			.orcpt = orcpt, .notify = notify
		};
}

/* Deliver: if one has to wait, nothing more is done, so that the next attempt
 * gives fewer a second copy. */
void
expand_deliver(struct expansion *e, const char *self, bool asks_forward)
{
	struct addressee	*a = e->to;
	char			*sender = a->sender;
	size_t			 i;

	complete_rows(e);
	a->sender = e->sender;
	if (e->has_self)
		(void)recipient_to_user(a, self, asks_forward);
	for (i = 0; i < e->direct_count && !addressee_is_deferred(a); i++)
		if (!e->has_self || asks_forward ||
		    strcmp(e->direct[i], self) != 0)
			(void)recipient_to_user(a, e->direct[i], false);
	for (i = 0; i < e->errand_count && !addressee_is_deferred(a); i++)
		errand_do(a, &e->errands[i]);
	a->sender = sender;
	if (e->count > 0 && !addressee_is_deferred(a))
		(void)repost(e);
}
