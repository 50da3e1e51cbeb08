/*
 * expand.c - virtual aliases, until nothing is an alias any more.
 *
 * A recipient is the root of a tree that virtual_alias_maps describes; its
 * leaves are the answer. An address below itself ("alice: alice, bob") is a
 * leaf; one that was expanded in another branch is not expanded twice. Depth,
 * width and length of addresses have limits, and whoever passes one is not
 * delivered to a part of his aliases but postponed with the reason.
 */
#include <sys/queue.h>
#include <sys/tree.h>

#include <string.h>

#include "common/base/str.h"
#include "common/base/text.h"
#include "common/mail/address.h"
#include "resolve/resolve.h"

struct node {
	STAILQ_ENTRY(node)	 next;
	const struct node	*parent;
	char			*address;
	int64_t			 depth;
};

struct seen {
	RB_ENTRY(seen)	 entry;
	char		*key;
};

RB_HEAD(seen_tree, seen);

struct expansion {
	struct rules			*rules;
	struct pool			*pool;
	const struct recipient_row	*row;
	STAILQ_HEAD(, node)		 open;
	int64_t				 nodes;		/* of this row */
	struct seen_tree		 expanded;	/* of this row */
	struct seen_tree		 leaves;	/* of all rows */
	struct expanded			*answer;
	size_t				 room;
	char				*why;
};

/* The order of keys. */
static int
by_key(const struct seen *a, const struct seen *b)
{
	return strcmp(a->key, b->key);
}

/* RB_GENERATE_STATIC wants a macro that libbsd does not have. */
RB_GENERATE_INTERNAL(seen_tree, seen, entry, by_key,
    __attribute__((unused)) static)

/* Note a key; true when it was there before. */
static bool
was_seen(struct expansion *e, struct seen_tree *tree, char *key)
{
	struct seen	*s = pool_alloc(e->pool, sizeof(*s));

	s->key = key;
	return RB_INSERT(seen_tree, tree, s) != NULL;
}

/* One more address to look at. 0, or -1 with why. */
static int
add_node(struct expansion *e, const struct node *parent, const char *address)
{
	const struct settings	*s = &e->rules->set;
	struct node		*n = pool_alloc(e->pool, sizeof(*n));

	n->parent = parent;
	n->depth = parent == NULL ? 0 : parent->depth + 1;
	n->address = address_complete(e->rules, e->pool, address);
	if (n->address == NULL && parent == NULL)
		n->address = pool_strdup(e->pool, address);
	if (n->address == NULL || (parent != NULL &&
	    (int64_t)strlen(n->address) >
	    s->virtual_alias_address_length_limit))
		e->why = "an alias of this recipient is too long or "
		    "has no valid domain";
	else if (n->depth > s->virtual_alias_recursion_limit)
		e->why = "the aliases of this recipient lead too deep";
	else if (++e->nodes > s->virtual_alias_expansion_limit)
		e->why = "the aliases of this recipient are too many";
	if (e->why != NULL)
		return -1;
	STAILQ_INSERT_TAIL(&e->open, n, next);
	return 0;
}

/* Is the address one of those that lead to this node? */
static bool
is_below_itself(const struct node *n)
{
	const struct node	*up;

	for (up = n->parent; up != NULL; up = up->parent)
		if (text_equal(up->address, n->address))
			return true;
	return false;
}

/* The local part is the receiver's business, even its case. */
static char *
leaf_key(struct expansion *e, const char *address, const char *original)
{
	char	*copy = pool_strdup(e->pool, address);
	char	*at = strrchr(copy, '@');

	if (at != NULL)
		text_lower(at);
	return pool_printf(e->pool, "%s %s", copy, original);
}

/* Nothing more is known about this address: it is an answer. */
static void
add_leaf(struct expansion *e, const struct node *n)
{
	struct expanded		*a = e->answer;
	struct recipient_row	*row;
	char			*original = e->row->original;

	if (*original == '\0' && strcmp(n->address, e->row->address) != 0)
		original = e->row->address;
	if (was_seen(e, &e->leaves, leaf_key(e, n->address,
	    *original != '\0' ? original : e->row->address)))
		return;
	a->rows = pool_grow(e->pool, a->rows, &e->room, a->count + 1,
	    sizeof(*row));
	row = &a->rows[a->count++];
	*row = *e->row;
	row->address = n->address;
	row->original = original;
}

/* "@other.example": the same local part there. */
static char *
other_domain(struct expansion *e, const struct node *n, const char *value)
{
	const char	*local, *domain;
	size_t		 len;

	address_split(n->address, &local, &len, &domain);
	return pool_printf(e->pool, "%.*s%s", (int)len, local, value);
}

/* The address with the extension that its alias did not have. */
static char *
extended(struct expansion *e, const char *address, const char *extension)
{
	const char	*local, *domain;
	char		*plain;
	size_t		 len;

	if (extension == NULL || !e->rules->propagates_virtual)
		return pool_strdup(e->pool, address);
	address_split(address, &local, &len, &domain);
	plain = address_unquote_local(e->pool, local, len);
	plain = address_quote_local(e->pool,
	    pool_printf(e->pool, "%s%s", plain, extension));
	return domain == NULL ? plain :
	    pool_printf(e->pool, "%s@%s", plain, domain);
}

/* One piece of a table's value: "@domain", or addresses. */
static int
add_piece(struct expansion *e, const struct node *n, char *piece,
    const char *extension)
{
	struct list_item	*items;
	const char		*problem;
	size_t			 i, count;

	piece = text_trim(piece);
	if (*piece == '@')
		return add_node(e, n, other_domain(e, n, piece));
	problem = address_list_parse(e->pool, piece, LIST_IS_HEADER, &items,
	    &count);
	if (problem != NULL) {
		e->why = pool_printf(e->pool, "virtual_alias_maps: the "
		    "value for %.200s: %.200s", n->address, problem);
		return -1;
	}
	for (i = 0; i < count; i++)
		if (add_node(e, n, extended(e, items[i].value,
		    extension)) == -1)
			return -1;
	return 0;
}

/* The end of a piece: a comma outside quotes, brackets and comments. */
static char *
piece_end(char *at)
{
	bool	is_quoted = false;
	int	depth = 0;

	for (; *at != '\0'; at++) {
		if (*at == '\\' && at[1] != '\0')
			at++;
		else if (*at == '"')
			is_quoted = !is_quoted;
		else if (!is_quoted && (*at == '(' || *at == '<'))
			depth++;
		else if (!is_quoted && (*at == ')' || *at == '>'))
			depth--;
		else if (!is_quoted && depth <= 0 && *at == ',')
			break;
	}
	return at;
}

/* All addresses of a table's value. */
static int
add_value(struct expansion *e, const struct node *n, char *value,
    const char *extension)
{
	char	*end;
	bool	 is_last;

	do {
		end = piece_end(value);
		is_last = *end == '\0';
		*end = '\0';
		if (add_piece(e, n, value, extension) == -1)
			return -1;
		value = end + 1;
	} while (!is_last);
	return 0;
}

/* Look one address up; it becomes its aliases, or a leaf. */
static WAITS int
expand_node(struct expansion *e, const struct node *n)
{
	const char	*domain = address_domain(n->address);
	char		*value, *extension;
	bool		 is_ours;

	if (is_below_itself(n)) {
		add_leaf(e, n);
		return 0;
	}
	if (was_seen(e, &e->expanded, lower(e->pool, n->address)))
		return 0;
	if (domain_is_ours(e->rules, e->pool, domain, &is_ours,
	    &e->why) == -1)
		return -1;
	switch (table_find_address(e->rules->virtual_alias, e->pool,
	    n->address, e->rules->delimiters, is_ours, &value, &extension,
	    &e->why)) {
	case MAP_FOUND:
		e->why = NULL;
		return add_value(e, n, value, extension);
	case MAP_NOT_FOUND:
		e->why = NULL;
		add_leaf(e, n);
		return 0;
	default:
		return -1;
	}
}

/* One recipient. 0, or -1 with why. */
static WAITS int
expand_row(struct expansion *e, const struct recipient_row *row)
{
	struct node	*n;

	e->row = row;
	e->nodes = 0;
	STAILQ_INIT(&e->open);
	RB_INIT(&e->expanded);
	if (add_node(e, NULL, row->address) == -1)
		return -1;
	while ((n = STAILQ_FIRST(&e->open)) != NULL) {
		STAILQ_REMOVE_HEAD(&e->open, next);
		if (expand_node(e, n) == -1)
			return -1;
	}
	return 0;
}

/* All recipients of the question. */
WAITS void
expand_rows(struct rules *r, struct pool *pool, const struct ask_expand *ask,
    struct expanded *to)
{
	struct expansion	e = { .rules = r, .pool = pool, .answer = to,
				    .room = 16 };
	size_t			i;

	memset(to, 0, sizeof(*to));
	to->text = pool_strdup(pool, "");
	to->rows = pool_array(pool, e.room, sizeof(*to->rows));
	RB_INIT(&e.leaves);
	for (i = 0; i < ask->count; i++)
		if (expand_row(&e, &ask->rows[i]) == -1) {
			to->result = ROUTE_TEMPORARY;
			to->text = reason(pool, e.why);
			to->count = 0;
			return;
		}
}
