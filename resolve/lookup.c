/*
 * lookup.c - what does this parameter's table say? Only for those whose work
 * it is: an smtpd that fell into wrong hands learns no passwords here.
 */
#include <stddef.h>
#include <string.h>

#include "common/base/log.h"
#include "resolve/resolve.h"

/* Who may ask for which parameter. */
static const struct {
	const char	*service, *parameter;
	size_t		 table;		/* offset in struct rules */
} allowed[] = {
	{ "local",	"alias_maps",	offsetof(struct rules, aliases) },
	{ NULL,		NULL,		0 }
};

/* The table, NULL when it is none of the asker's business. */
static struct table *
find_table(struct rules *r, const char *service, const char *parameter)
{
	size_t	i;

	for (i = 0; allowed[i].service != NULL; i++)
		if (strcmp(allowed[i].service, service) == 0 &&
		    strcmp(allowed[i].parameter, parameter) == 0)
			return *(struct table **)(void *)
			    ((char *)r + allowed[i].table);
	return NULL;
}

/* No answer for now. */
static void
fail(struct found *to, struct pool *pool, const char *why)
{
	to->result = LOOKUP_TEMPORARY;
	to->text = reason(pool, why);
}

/* The first key that hits. */
WAITS void
lookup(struct rules *r, struct pool *pool, const char *service,
    const struct ask_lookup *ask, struct found *to)
{
	struct table	*table;
	char		*value, *why;
	size_t		 i;

	memset(to, 0, sizeof(*to));
	to->result = LOOKUP_NOT_FOUND;
	to->value = to->extension = to->text = pool_strdup(pool, "");
	if ((table = find_table(r, service, ask->parameter)) == NULL) {
		log_warning("%s may not ask for %s", service, ask->parameter);
		fail(to, pool, "this parameter is not yours to ask for");
		return;
	}
	for (i = 0; i < ask->count; i++)
		switch (table_find(table, pool, ask->keys[i].key, &value,
		    &why)) {
		case MAP_FOUND:
			to->result = LOOKUP_FOUND;
			to->which = (int64_t)i;
			to->value = value;
			return;
		case MAP_ERROR:
			fail(to, pool, why);
			return;
		default:
			break;
		}
}
