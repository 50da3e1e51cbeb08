/*
 * checks.c - fields and lines as header_checks and its kin want them.
 *
 * Items wait in a batch until it is full; then resolve is asked for all of
 * them in one packet, and once more behind each one that hits. A key is a
 * field without its last line end, with LF for CRLF inside, or a line; at
 * most KEY_MAX bytes of it. Empty lines are not looked up, nor is of a body
 * what lies beyond body_checks_size_limit. A field that is cut is settled
 * alone, for its rest goes the same way.
 *
 * P1  A table that does not answer postpones the message.
 */
#include "cleanup/checks.h"

#include <string.h>

#include "common/base/log.h"
#include "common/ipc/tables.h"

#include "cleanup/lookup.h"

const struct param checks_params[] = {
	PARAM_SIZE("body_checks_size_limit", set.body_checks_size_limit,
	    "51200", 0, 1073741824, "How much of a body, or of each part of "
	    "it, body_checks looks at."),
	PARAM_END
};

enum {
	ITEMS = 2 * KEYS_MAX,
	BATCH = 32 * 1024,		/* bytes, then it is asked for */
	TEXT_MAX = 64 * 1024 * 1024	/* a single field may be long */
};

enum kind { HEAD_FIELD, PART_FIELD, OUR_RECEIVED, HEAD_END, LINE, OTHER };

struct item {
	enum kind		 kind;
	enum table		 table;		/* TABLES: none */
	size_t			 at, len;	/* in the batch, with CRLF */
	bool			 has_end;	/* a field: it is whole */
};

struct checks {
	struct transaction	*t;
	struct item		 items[ITEMS];
	size_t			 count, asked;	/* those with a table */
	struct str		 text;
	size_t			 window;	/* keys in one question */
	int64_t			 body_left;	/* to be looked at */
	bool			 more_is_head;	/* of a field that is cut */
	bool			 drops_more;
};

/* Any of them? */
bool
checks_are_wanted(void)
{
	return table_is_set(TABLE_HEADER_CHECKS) ||
	    table_is_set(TABLE_MIME_HEADER_CHECKS) ||
	    table_is_set(TABLE_NESTED_HEADER_CHECKS) ||
	    table_is_set(TABLE_BODY_CHECKS);
}

/* An empty batch. */
struct checks *
checks_new(struct transaction *t)
{
	struct checks	*c = pool_alloc(t->pool, sizeof(*c));

	c->t = t;
	c->window = KEYS_MAX;
	str_init(&c->text, t->pool, TEXT_MAX);
	checks_begin_body(c);
	return c;
}

/* Another body has its own limit. */
void
checks_begin_body(struct checks *c)
{
	c->body_left = set.body_checks_size_limit;
}

/* Is the message's fate known? */
static bool
is_settled(const struct checks *c)
{
	return c->t->code != 0 || c->t->is_discarded;
}

/* Which table is asked for a field of this class. */
static enum table
table_for(enum mime_class class)
{
	switch (class) {
	case MIME_PRIMARY:
		return TABLE_HEADER_CHECKS;
	case MIME_NESTED:
		return TABLE_NESTED_HEADER_CHECKS;
	default:
		return TABLE_MIME_HEADER_CHECKS;
	}
}

/* --- what a hit does ----------------------------------------------------- */

/* Take a field of the head apart. */
static bool
parse(const struct item *item, const char *text, size_t len,
    struct header_field *field)
{
	return item->has_end ? header_field_parse(field, text, len) :
	    header_field_parse_cut(field, text, len);
}

/* Pass bytes on, as what the item is. */
WAITS static void
pass_text(struct checks *c, const struct item *item, const char *text,
    size_t len)
{
	struct header_field	field;

	if (item->kind == HEAD_END)
		headers_end(c->t);
	else if (item->kind == HEAD_FIELD && parse(item, text, len, &field))
		headers_field(c->t, &field);
	else
		write_content(c->t, text, len);
}

/* Pass an item on as it is. */
WAITS static void
pass(struct checks *c, const struct item *item)
{
	pass_text(c, item, c->text.data + item->at, item->len);
}

/* A text of the table. Line ends in it (of a folded field that it quotes) are
 * CRLF and, in a header, followed by white space. */
static struct str
make_text(struct pool *pool, const struct item *item, const char *text,
    bool has_end)
{
	struct str	to;
	size_t		len;

	str_init(&to, pool, 0);
	while (*text != '\0') {
		len = strcspn(text, "\r\n");
		str_add_mem(&to, text, len);
		text += len;
		if (*text == '\0')
			break;
		text += strspn(text, "\r\n");
		str_add(&to, "\r\n");
		if (item->kind != LINE && *text != ' ' && *text != '\t')
			str_add_char(&to, ' ');
	}
	if (has_end)
		str_add(&to, "\r\n");
	return to;
}

/* A text of the table in the item's place; what stands for a field that is
 * cut is whole. */
WAITS static void
replace(struct checks *c, struct pool *pool, const struct item *item,
    const char *value)
{
	struct item	whole = *item;
	struct str	text;

	whole.has_end = item->has_end || item->kind != LINE;
	text = make_text(pool, &whole, value, whole.has_end);
	pass_text(c, &whole, text.data, text.len);
}

/* Do what the table says about an item. */
WAITS static void
act(struct checks *c, struct pool *pool, const struct item *item,
    const char *value)
{
	struct place	place = {
		.table = table_name(item->table),
		.context = item->kind == LINE ? "body" : "header",
		.text = c->text.data + item->at,
		.len = item->len - (item->has_end ? 2 : 0)
	};
	struct check	check;
	struct str	text;

	switch (action_take(c->t, pool, &place, value, &check)) {
	case ACTION_DROP:
		c->drops_more = true;
		return;
	case ACTION_REPLACE:
		c->drops_more = true;
		replace(c, pool, item, check.text);
		return;
	case ACTION_PREPEND:
		text = make_text(pool, item, check.text, true);
		write_content(c->t, text.data, text.len);
		break;
	default:
		break;
	}
	pass(c, item);
}

/* --- asking -------------------------------------------------------------- */

/* The item as a key; NUL bytes would end it. */
static char *
make_key(struct checks *c, struct pool *pool, const struct item *item)
{
	const char	*from = c->text.data + item->at;
	char		*key, *to;
	size_t		 len = item->len, i;

	if (item->has_end)
		len -= 2;
	if (len > KEY_MAX)
		len = KEY_MAX;
	key = to = pool_alloc(pool, len + 1);
	for (i = 0; i < len; i++)
		if (from[i] != '\r' || i + 1 == len || from[i + 1] != '\n')
			*to++ = from[i] == '\0' ? ' ' : from[i];
	*to = '\0';
	return key;
}

/* Is the table asked for this item? */
static bool
is_asked(const struct item *item)
{
	return item->table != TABLES && item->len > (item->has_end ? 2 : 0);
}

/* The keys of one table from `first` on, as many as one question takes;
 * places[] tells whose they are, *next where the following question begins. */
static size_t
gather(struct checks *c, struct pool *pool, size_t first,
    struct key_row *keys, size_t *places, size_t *next)
{
	enum table	table = c->items[first].table;
	size_t		i, n = 0, bytes = 0;

	for (i = first; i < c->count && n < c->window; i++) {
		if (!is_asked(&c->items[i]))
			continue;
		if (c->items[i].table != table ||
		    (n > 0 && bytes + c->items[i].len > TABLE_ROOM))
			break;
		keys[n].key = make_key(c, pool, &c->items[i]);
		bytes += strlen(keys[n].key);
		places[n++] = i;
	}
	*next = i;
	return n;
}

/* The table does not answer. */
static void
postpone(struct checks *c, enum table table, const char *why)
{
	log_warning("%s: %s: %s", c->t->queue_id, table_name(table), why);
	transaction_refuse(c->t, 451,
	    "451 4.3.0 Error: temporary lookup failure");
}

/* Ask from item `i` on, pass on what is settled; where to go on. Where much
 * is found, few keys are asked for at once: those behind a hit go again. */
WAITS static size_t
ask_from(struct checks *c, size_t i)
{
	struct pool	*pool = pool_new("checks", 0);
	struct key_row	*keys = pool_array(pool, KEYS_MAX, sizeof(*keys));
	size_t		*places = pool_array(pool, KEYS_MAX, sizeof(*places));
	struct found	 found;
	size_t		 n, next, hit;

	n = gather(c, pool, i, keys, places, &next);
	table_ask(pool, c->items[i].table, LOOKUP_KEYS, keys, n, &found);
	hit = next;
	if (found.result == LOOKUP_FOUND)
		hit = places[found.which];
	else if (found.result == LOOKUP_TEMPORARY)
		postpone(c, c->items[i].table, found.text);
	for (; !is_settled(c) && i < hit; i++)
		pass(c, &c->items[i]);
	if (!is_settled(c) && hit < next) {
		act(c, pool, &c->items[hit], found.value);
		i = hit + 1;
		c->window = c->window > 1 ? c->window / 2 : 1;
	} else if (c->window < KEYS_MAX) {
		c->window *= 2;
	}
	pool_free(pool);
	return i;
}

/* Settle the batch. */
WAITS static void
settle(struct checks *c)
{
	size_t	i = 0;

	while (i < c->count && !is_settled(c)) {
		if (is_asked(&c->items[i]) && !c->t->is_passed)
			i = ask_from(c, i);
		else
			pass(c, &c->items[i++]);
	}
	c->count = c->asked = 0;
	str_clear(&c->text);
}

/* Put an item into the batch, or pass it on when nothing waits in front of
 * it. */
WAITS static void
add(struct checks *c, struct item *item, const char *data, size_t len,
    bool adds_end)
{
	if (is_settled(c))
		return;
	if (item->table != TABLES && (c->t->is_passed ||
	    !table_is_set(item->table)))
		item->table = TABLES;
	item->at = c->text.len;
	str_add_mem(&c->text, data, len);
	if (adds_end)
		str_add(&c->text, "\r\n");
	item->len = c->text.len - item->at;
	c->items[c->count++] = *item;
	c->asked += is_asked(item);
	if (c->asked == 0 || c->asked == KEYS_MAX || c->count == ITEMS ||
	    c->text.len >= BATCH)
		settle(c);
}

/* A field. */
void
checks_field(struct checks *c, enum mime_class class, bool is_head,
    const struct header_field *f)
{
	struct item	item = { .kind = is_head ? HEAD_FIELD : PART_FIELD,
			    .table = table_for(class),
			    .has_end = !f->is_cut };

	if (f->is_cut)
		settle(c);
	c->more_is_head = is_head;
	c->drops_more = false;
	add(c, &item, f->raw, f->raw_len, false);
	if (f->is_cut)
		settle(c);
}

/* Its rest: nothing waits in front of it. */
void
checks_more(struct checks *c, const char *data, size_t len)
{
	if (is_settled(c) || c->drops_more)
		return;
	if (c->more_is_head)
		headers_more(c->t, data, len);
	else
		write_content(c->t, data, len);
}

/* Our own: it can be looked at like any other, but counts as no hop. */
void
checks_received(struct checks *c, const char *text, size_t len)
{
	struct item	item = { .kind = OUR_RECEIVED,
			    .table = TABLE_HEADER_CHECKS, .has_end = true };

	add(c, &item, text, len, false);
}

/* The end of the head. */
void
checks_end_head(struct checks *c)
{
	struct item	item = { .kind = HEAD_END, .table = TABLES };

	add(c, &item, "", 0, false);
}

/* The end of another header. */
void
checks_empty_line(struct checks *c)
{
	struct item	item = { .kind = OTHER, .table = TABLES,
			    .has_end = true };

	add(c, &item, "", 0, true);
}

/* A line. */
void
checks_line(struct checks *c, const char *data, size_t len, bool has_end)
{
	struct item	item = { .kind = LINE, .table = TABLES,
			    .has_end = has_end };

	if (c->body_left > 0)
		item.table = TABLE_BODY_CHECKS;
	c->body_left -= (int64_t)len + (has_end ? 2 : 0);
	add(c, &item, data, len, has_end);
}

/* The end of the message. */
void
checks_finish(struct checks *c)
{
	settle(c);
}
