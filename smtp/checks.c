/*
 * checks.c - fields and lines as smtp_header_checks and its kin want them.
 *
 * Items wait in a batch until it is full; then resolve is asked for all of
 * them in one packet, and once more behind each one that hits. A key is a
 * field without its last line end, with LF for CRLF inside, or a line; at
 * most KEY_MAX bytes of it. Empty lines are not looked up. A field that is cut
 * is settled alone, for its rest goes the same way.
 */
#include "smtp/checks.h"

#include <string.h>

#include "common/base/log.h"
#include "common/ipc/tables.h"
#include "common/mail/check.h"

#include "smtp/tables.h"

enum {
	ITEMS = 2 * KEYS_MAX,
	BATCH = 32 * 1024,		/* bytes, then it is asked for */
	TEXT_MAX = 4 * 1024 * 1024,	/* a single field may be long */
	SHOWN = 60			/* bytes in the log, as in Postfix */
};

struct item {
	enum check_kind		 kind;
	enum content_table	 table;		/* TABLES: none */
	enum mime_class		 class;
	size_t			 at, len;	/* in the batch, with CRLF */
	bool			 has_end;	/* a field: it is whole */
};

struct checks {
	struct pool	*pool;
	const char	*queue_id;
	checks_output	*output;
	void		*context;
	struct item	 items[ITEMS];
	size_t		 count, asked;		/* those with a table */
	struct str	 text;
	size_t		 window;		/* keys in one question */
	bool		 drops_more;		/* of a field that is cut */
	const char	*failure;
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
checks_new(struct pool *pool, const char *queue_id, checks_output *output,
    void *context)
{
	struct checks	*c = pool_alloc(pool, sizeof(*c));

	c->pool = pool;
	c->queue_id = queue_id;
	c->output = output;
	c->context = context;
	c->window = KEYS_MAX;
	str_init(&c->text, pool, TEXT_MAX);
	return c;
}

/* Why not. */
const char *
checks_failure(const struct checks *c)
{
	return c->failure;
}

/* Which table is asked for a field of this class. */
static enum content_table
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

/* Send an item as it is. */
WAITS static void
pass(struct checks *c, const struct item *item)
{
	bool	is_cut = item->kind == CHECKED_FIELD && !item->has_end;

	c->output(c->context, is_cut ? CHECKED_OTHER : item->kind,
	    item->class, c->text.data + item->at, item->len);
}

/* "QID: replace: header Subject: old: Subject: new". */
static void
log_hit(const struct checks *c, const struct item *item,
    const struct check *check)
{
	char	shown[SHOWN + 1], *at;
	size_t	len = item->len < SHOWN ? item->len : SHOWN;

	memcpy(shown, c->text.data + item->at, len);
	shown[len] = '\0';
	for (at = shown; at < shown + len; at++)
		if (*at == '\0' || *at == '\r' || *at == '\n')
			*at = ' ';
	while (at > shown && at[-1] == ' ')
		*--at = '\0';
	log_info("%s: %s: %s %s%s%s", c->queue_id, check_name(check->verb),
	    item->kind == CHECKED_FIELD ? "header" : "body", shown,
	    *check->text != '\0' ? ": " : "", check->text);
}

/* Send a text of the table. Line ends in it (of a folded field that it
 * quotes) are CRLF and, in a header, followed by white space. */
WAITS static void
send_text(struct checks *c, struct pool *pool, const struct item *item,
    const char *text, bool has_end)
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
		if (item->kind == CHECKED_FIELD && *text != ' ' &&
		    *text != '\t')
			str_add_char(&to, ' ');
	}
	if (has_end)
		str_add(&to, "\r\n");
	c->output(c->context, item->kind, item->class, to.data, to.len);
}

/* Do what the table says about an item. */
WAITS static void
act(struct checks *c, struct pool *pool, const struct item *item,
    const char *value)
{
	struct check	 check;
	const char	*why;

	why = check_parse(pool, value, item->kind == CHECKED_FIELD, &check);
	if (why == NULL && check_is_for_input(check.verb))
		why = pool_printf(pool, "%s is for mail that comes in",
		    check_name(check.verb));
	if (why != NULL) {
		log_warning("%s: %s: %s", c->queue_id, table_name(item->table),
		    why);
		pass(c, item);
		return;
	}
	if (check.verb != CHECK_DUNNO && check.verb != CHECK_IGNORE)
		log_hit(c, item, &check);
	if (check.verb == CHECK_PREPEND)
		send_text(c, pool, item, check.text, true);
	c->drops_more = check.verb == CHECK_REPLACE ||
	    check.verb == CHECK_IGNORE || check.verb == CHECK_STRIP;
	if (check.verb == CHECK_REPLACE)
		send_text(c, pool, item, check.text, item->has_end ||
		    item->kind == CHECKED_FIELD);
	else if (!c->drops_more)
		pass(c, item);
}

/* --- asking -------------------------------------------------------------- */

/* The item as a key; NULL bytes would end it. */
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
	enum content_table	table = c->items[first].table;
	size_t			i, n = 0, bytes = 0;

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

/* Ask from item `i` on, send what is settled; where to go on. Where much is
 * found, few keys are asked for at once: those behind a hit go again. */
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
		c->failure = pool_printf(c->pool, "%s: %s",
		    table_name(c->items[i].table), found.text);
	for (; c->failure == NULL && i < hit; i++)
		pass(c, &c->items[i]);
	if (c->failure == NULL && hit < next) {
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

	while (i < c->count && c->failure == NULL) {
		if (is_asked(&c->items[i]))
			i = ask_from(c, i);
		else
			pass(c, &c->items[i++]);
	}
	c->count = c->asked = 0;
	str_clear(&c->text);
}

/* Put an item into the batch, or send it when nothing waits in front of it. */
WAITS static void
add(struct checks *c, struct item *item, const char *data, size_t len,
    bool adds_end)
{
	if (c->failure != NULL)
		return;
	if (item->table != TABLES && !table_is_set(item->table))
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
checks_field(struct checks *c, enum mime_class class,
    const struct header_field *f)
{
	struct item	item = { .kind = CHECKED_FIELD, .class = class,
			    .table = table_for(class),
			    .has_end = !f->is_cut };

	if (f->is_cut)
		settle(c);
	c->drops_more = false;
	add(c, &item, f->raw, f->raw_len, false);
	if (f->is_cut)
		settle(c);
}

/* Its rest: nothing waits in front of it. */
void
checks_more(struct checks *c, const char *data, size_t len)
{
	if (c->failure == NULL && !c->drops_more)
		c->output(c->context, CHECKED_OTHER, MIME_PART, data, len);
}

/* A line. */
void
checks_line(struct checks *c, const char *data, size_t len, bool has_end)
{
	struct item	item = { .kind = CHECKED_LINE, .class = MIME_PART,
			    .table = TABLE_BODY_CHECKS, .has_end = has_end };

	add(c, &item, data, len, has_end);
}

/* The end of a header. */
void
checks_empty_line(struct checks *c)
{
	struct item	item = { .kind = CHECKED_OTHER, .class = MIME_PART,
			    .table = TABLES, .has_end = true };

	add(c, &item, "", 0, true);
}

/* The end of the message. */
void
checks_finish(struct checks *c)
{
	settle(c);
}
