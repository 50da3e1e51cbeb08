/*
 * checks.c - fields and lines as header_checks and its kin want them.
 *
 * Items wait in a batch (common/ipc/batch.h), in which resolve is asked for
 * many of them at once. Of a body, what lies beyond body_checks_size_limit is
 * not looked up. A field that is cut is settled alone, for its rest goes the
 * same way.
 *
 * P1  A table that does not answer postpones the message.
 */
#include "cleanup/checks.h"

#include "common/base/log.h"
#include "common/ipc/batch.h"

#include "cleanup/lookup.h"
#include "cleanup/unicode.h"

const struct param checks_params[] = {
	PARAM_SIZE("body_checks_size_limit", set.body_checks_size_limit,
	    "51200", 0, 1073741824, "How much of a body, or of each part of "
	    "it, body_checks looks at."),
	PARAM_END
};

enum { TEXT_MAX = 64 * 1024 * 1024 };	/* a single field may be long */

enum kind { HEAD_FIELD, PART_FIELD, OUR_RECEIVED, HEAD_END, LINE, OTHER };

struct checks {
	struct transaction	*t;
	struct batch		*batch;
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

/* Another body has its own limit. */
void
checks_begin_body(struct checks *c)
{
	c->body_left = set.body_checks_size_limit;
}

/* Is the message's fate known? */
static bool
is_settled(void *context)
{
	const struct checks	*c = context;

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
parse(const struct batch_item *item, const char *text, size_t len,
    struct header_field *field)
{
	return item->has_end ? header_field_parse(field, text, len) :
	    header_field_parse_cut(field, text, len);
}

/* Pass an item on, as what it is. */
WAITS static void
pass(void *context, const struct batch_item *item)
{
	struct checks		*c = context;
	struct header_field	 field;

	if (item->kind == HEAD_END)
		headers_end(c->t);
	else if (item->kind == HEAD_FIELD &&
	    parse(item, item->text, item->len, &field))
		headers_field(c->t, &field);
	else
		write_content(c->t, item->text, item->len);
}

/* A text of the table in the item's place; what stands for a field that is
 * cut is whole. */
WAITS static void
replace(struct checks *c, struct pool *pool, const struct batch_item *item,
    const char *value)
{
	struct batch_item	whole = *item;
	struct str		text;

	whole.has_end = item->has_end || item->kind != LINE;
	text = check_content(pool, value, item->kind != LINE, whole.has_end);
	whole.text = text.data;
	whole.len = text.len;
	pass(c, &whole);
}

/* Do what the table says about an item. */
WAITS static void
act(void *context, struct pool *pool, const struct batch_item *item,
    const char *value)
{
	struct checks	*c = context;
	struct place	 place = {
		.table = table_name((enum table)item->table),
		.context = item->kind == LINE ? "body" : "header",
		.text = item->text,
		.len = item->len - (item->has_end ? 2 : 0)
	};
	struct check	 check;
	struct str	 text;

	switch (action_take(c->t, pool, &place, value, &check)) {
	case ACTION_DROP:
		c->drops_more = true;
		return;
	case ACTION_REPLACE:
		c->drops_more = true;
		replace(c, pool, item, check.text);
		return;
	case ACTION_PREPEND:
		text = check_content(pool, check.text, item->kind != LINE,
		    true);
		if (item->kind == HEAD_FIELD)
			unicode_note(c->t, text.data, text.len);
		write_content(c->t, text.data, text.len);
		break;
	default:
		break;
	}
	pass(c, item);
}

/* --- asking -------------------------------------------------------------- */

/* Is the table set, and the message still looked at? */
static bool
is_wanted(void *context, int table)
{
	const struct checks	*c = context;

	return !c->t->is_passed && table_is_set((enum table)table);
}

/* Ask. */
WAITS static void
ask(void *context, struct pool *pool, int table, struct key_row *keys,
    size_t count, struct found *found)
{
	(void)context;
	table_ask(pool, (enum table)table, LOOKUP_KEYS, keys, count, found);
}

/* The table does not answer (P1). */
static void
postpone(void *context, int table, const char *why)
{
	struct checks	*c = context;

	log_warning("%s: %s: %s", c->t->queue_id,
	    table_name((enum table)table), why);
	transaction_refuse(c->t, 451,
	    "451 4.3.0 Error: temporary lookup failure");
}

static const struct batch_events	events = {
	.is_over = is_settled,
	.is_wanted = is_wanted,
	.ask = ask,
	.pass = pass,
	.hit = act,
	.failed = postpone
};

/* Nothing has come yet. */
struct checks *
checks_new(struct transaction *t)
{
	struct checks	*c = pool_alloc(t->pool, sizeof(*c));

	c->t = t;
	c->batch = batch_new(t->pool, TEXT_MAX, &events, c);
	checks_begin_body(c);
	return c;
}

/* A field. */
void
checks_field(struct checks *c, enum mime_class class, bool is_head,
    const struct header_field *f)
{
	struct batch_item	item = {
		.kind = is_head ? HEAD_FIELD : PART_FIELD,
		.table = (int)table_for(class), .has_end = !f->is_cut,
		.text = f->raw, .len = f->raw_len
	};

	if (f->is_cut)
		batch_settle(c->batch);
	c->more_is_head = is_head;
	c->drops_more = false;
	batch_add(c->batch, &item, false);
	if (f->is_cut)
		batch_settle(c->batch);
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
	struct batch_item	item = {
		.kind = OUR_RECEIVED, .table = TABLE_HEADER_CHECKS,
		.has_end = true, .text = text, .len = len
	};

	batch_add(c->batch, &item, false);
}

/* The end of the head. */
void
checks_end_head(struct checks *c)
{
	struct batch_item	item = { .kind = HEAD_END,
				    .table = BATCH_NO_TABLE, .text = "" };

	batch_add(c->batch, &item, false);
}

/* The end of another header. */
void
checks_empty_line(struct checks *c)
{
	struct batch_item	item = { .kind = OTHER,
				    .table = BATCH_NO_TABLE, .has_end = true,
				    .text = "" };

	batch_add(c->batch, &item, true);
}

/* A line. */
void
checks_line(struct checks *c, const char *data, size_t len, bool has_end)
{
	struct batch_item	item = {
		.kind = LINE, .table = BATCH_NO_TABLE, .has_end = has_end,
		.text = data, .len = len
	};

	if (c->body_left > 0)
		item.table = TABLE_BODY_CHECKS;
	c->body_left -= (int64_t)len + (has_end ? 2 : 0);
	batch_add(c->batch, &item, has_end);
}

/* The end of the message. */
void
checks_finish(struct checks *c)
{
	batch_settle(c->batch);
}
