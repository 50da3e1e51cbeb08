/*
 * batch.c - tables are asked about many fields or lines at once.
 *
 * Items wait in a batch until it is full; then resolve is asked for all of
 * them in one packet, and once more behind each one that hits. A key is the
 * item without its last line end, with LF for CRLF inside; at most KEY_MAX
 * bytes of it. Empty items are not looked up.
 *
 * P1  Items are passed on or hit once each, in the order in which they came.
 * P2  Behind a table that does not answer, nothing passes.
 */
#include "common/ipc/batch.h"

#include <string.h>

#include "common/base/str.h"
#include "common/ipc/lookup.h"
#include "common/ipc/tables.h"

enum {
	ITEMS = 2 * KEYS_MAX,
	FULL = 32 * 1024		/* bytes, then it is asked for */
};

/* An item, and where its text is. */
struct entry {
	struct batch_item	 item;
	size_t			 at;
};

struct batch {
	const struct batch_events *events;
	void			*context;
	struct entry		 entries[ITEMS];
	size_t			 count, asked;	/* those with a table */
	struct str		 text;
	size_t			 window;	/* keys in one question */
};

/* An empty batch. */
struct batch *
batch_new(struct pool *pool, size_t text_max,
    const struct batch_events *events, void *context)
{
	struct batch	*b = pool_alloc(pool, sizeof(*b));

	b->events = events;
	b->context = context;
	b->window = KEYS_MAX;
	str_init(&b->text, pool, text_max);
	return b;
}

/* Is the table asked for this item, by what it is? */
static bool
is_asked(const struct batch_item *item)
{
	return item->table != BATCH_NO_TABLE &&
	    item->len > (item->has_end ? 2 : 0);
}

/* The item with its text, which moves while the batch grows. */
static const struct batch_item *
item_at(struct batch *b, size_t i)
{
	b->entries[i].item.text = b->text.data + b->entries[i].at;
	return &b->entries[i].item;
}

/* The item as a key; NUL bytes would end it. */
static char *
make_key(struct pool *pool, const struct batch_item *item)
{
	char	*key, *to;
	size_t	 len = item->len - (item->has_end ? 2 : 0), i;

	if (len > KEY_MAX)
		len = KEY_MAX;
	key = to = pool_alloc(pool, len + 1);
	for (i = 0; i < len; i++)
		if (item->text[i] != '\r' || i + 1 == len ||
		    item->text[i + 1] != '\n')
			*to++ = item->text[i] == '\0' ? ' ' : item->text[i];
	*to = '\0';
	return key;
}

/* The keys of one table from `first` on, as many as one question takes;
 * places[] tells whose they are, *next where the following question begins. */
static size_t
gather(struct batch *b, struct pool *pool, size_t first,
    struct key_row *keys, size_t *places, size_t *next)
{
	int	table = b->entries[first].item.table;
	size_t	i, n = 0, bytes = 0;

	for (i = first; i < b->count && n < b->window; i++) {
		if (!is_asked(&b->entries[i].item))
			continue;
		if (b->entries[i].item.table != table ||
		    (n > 0 && bytes + b->entries[i].item.len > TABLE_ROOM))
			break;
		keys[n].key = make_key(pool, item_at(b, i));
		bytes += strlen(keys[n].key);
		places[n++] = i;
	}
	*next = i;
	return n;
}

/* Pass items on, up to `end`. */
WAITS static size_t
pass(struct batch *b, size_t i, size_t end)
{
	for (; i < end && !b->events->is_over(b->context); i++)
		b->events->pass(b->context, item_at(b, i));
	return i;
}

/* Ask from item `i` on, pass on what is settled; where to go on. Where much
 * is found, few keys are asked for at once: those behind a hit go again. */
WAITS static size_t
ask_from(struct batch *b, size_t i)
{
	struct pool	*pool = pool_new("batch", 0);
	struct key_row	*keys = pool_array(pool, KEYS_MAX, sizeof(*keys));
	size_t		*places = pool_array(pool, KEYS_MAX, sizeof(*places));
	int		 table = b->entries[i].item.table;
	struct found	 found;
	size_t		 n, next, hit;

	n = gather(b, pool, i, keys, places, &next);
	b->events->ask(b->context, pool, table, keys, n, &found);
	hit = next;
	if (found.result == LOOKUP_FOUND)
		hit = places[found.which];
	else if (found.result == LOOKUP_TEMPORARY)
		b->events->failed(b->context, table, found.text);
	i = pass(b, i, hit);
	if (i == hit && hit < next && !b->events->is_over(b->context)) {
		b->events->hit(b->context, pool, item_at(b, hit),
		    found.value);
		i = hit + 1;
		b->window = b->window > 1 ? b->window / 2 : 1;
	} else if (b->window < KEYS_MAX) {
		b->window *= 2;
	}
	pool_free(pool);
	return i;
}

/* Settle the batch. */
WAITS void
batch_settle(struct batch *b)
{
	const struct batch_item	*item;
	size_t			 i = 0;

	while (i < b->count && !b->events->is_over(b->context)) {
		item = &b->entries[i].item;
		if (is_asked(item) &&
		    b->events->is_wanted(b->context, item->table))
			i = ask_from(b, i);
		else
			i = pass(b, i, i + 1);
	}
	b->count = b->asked = 0;
	str_clear(&b->text);
}

/* Put an item into the batch; when it is full, or holds nothing to ask for,
 * settle it. */
WAITS void
batch_add(struct batch *b, const struct batch_item *item, bool adds_end)
{
	struct entry	*e;

	if (b->events->is_over(b->context))
		return;
	e = &b->entries[b->count++];
	e->item = *item;
	if (item->table != BATCH_NO_TABLE &&
	    !b->events->is_wanted(b->context, item->table))
		e->item.table = BATCH_NO_TABLE;
	e->at = b->text.len;
	str_add_mem(&b->text, item->text, item->len);
	if (adds_end)
		str_add(&b->text, "\r\n");
	e->item.len = b->text.len - e->at;
	b->asked += is_asked(&e->item);
	if (b->asked == 0 || b->asked == KEYS_MAX || b->count == ITEMS ||
	    b->text.len >= FULL)
		batch_settle(b);
}
