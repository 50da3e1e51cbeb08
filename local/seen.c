/*
 * seen.c - addresses that have been named already.
 *
 * Called by expand.c, so that nobody gets a message twice whom two aliases
 * name.
 */
#include "local/seen.h"

#include <sys/tree.h>

#include <strings.h>

struct name {
	const char	*address;
	RB_ENTRY(name)	 entry;
};

RB_HEAD(names, name);

struct seen {
	struct pool	*pool;
	struct names	 names;
	size_t		 count, limit;
};

/* Their order, without their case. */
static int
compare(struct name *a, struct name *b)
{
	return strcasecmp(a->address, b->address);
}

/* RB_GENERATE_STATIC wants a macro that libbsd does not have. */
RB_GENERATE_INTERNAL(names, name, entry, compare,
    __attribute__((__unused__)) static)

/* None yet. */
struct seen *
seen_new(struct pool *pool, size_t limit)
{
	struct seen	*s = pool_alloc(pool, sizeof(*s));

	RB_INIT(&s->names);
	s->pool = pool;
	s->limit = limit;
	return s;
}

/* Look, and remember. */
bool
seen_is(struct seen *s, const char *address)
{
	struct name	 key = { .address = address }, *n;

	if (RB_FIND(names, &s->names, &key) != NULL)
		return true;
	if (s->limit != 0 && s->count >= s->limit)
		return false;
	n = pool_alloc(s->pool, sizeof(*n));
	n->address = address;
	RB_INSERT(names, &s->names, n);
	s->count++;
	return false;
}
