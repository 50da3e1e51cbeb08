/*
 * dictionary.c - keys and values in memory: added, sorted once, then asked.
 *
 * Of several values for one key the first counts.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"
#include "common/map/inside.h"

struct entry {
	const char	*key, *value;
	size_t		 number;
};

struct dictionary {
	struct pool	*pool;
	struct entry	*entries;
	size_t		 count, room;
	bool		 is_sorted;
};

/* An empty one. */
struct dictionary *
dictionary_new(struct pool *pool)
{
	struct dictionary	*d = pool_alloc(pool, sizeof(*d));

	d->pool = pool;
	return d;
}

/* Keep a copy, the key in lower case. */
void
dictionary_add(struct dictionary *d, const char *key, const char *value)
{
	char	*copy = pool_strdup(d->pool, key);

	d->entries = pool_grow(d->pool, d->entries, &d->room, d->count + 1,
	    sizeof(*d->entries));
	text_lower(copy);
	d->entries[d->count].key = copy;
	d->entries[d->count].value = pool_strdup(d->pool, value);
	d->entries[d->count].number = d->count;
	d->count++;
	d->is_sorted = false;
}

/* By key, then in the order they came. */
static int
by_key(const void *a, const void *b)
{
	const struct entry	*x = a, *y = b;
	int			 order = strcmp(x->key, y->key);

	if (order != 0)
		return order;
	return x->number < y->number ? -1 : x->number > y->number;
}

/* Make ready to be asked. */
static void
sort(struct dictionary *d)
{
	if (!d->is_sorted && d->count > 1)
		qsort(d->entries, d->count, sizeof(*d->entries), by_key);
	d->is_sorted = true;
}

/* The value, NULL when there is none. */
const char *
dictionary_find(struct dictionary *d, const char *key)
{
	size_t	low = 0, high = d->count, middle;

	sort(d);
	while (low < high) {
		middle = low + (high - low) / 2;
		if (strcmp(d->entries[middle].key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == d->count || strcmp(d->entries[low].key, key) != 0)
		return NULL;
	return d->entries[low].value;
}

/* Each key once, with the value that counts. */
void
dictionary_walk(struct dictionary *d, void (*each)(void *, const char *,
    const char *), void *context)
{
	size_t	i;

	sort(d);
	for (i = 0; i < d->count; i++)
		if (i == 0 || strcmp(d->entries[i].key,
		    d->entries[i - 1].key) != 0)
			each(context, d->entries[i].key, d->entries[i].value);
}
