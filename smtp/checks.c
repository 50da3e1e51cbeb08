/*
 * checks.c - fields and lines as smtp_header_checks and its kin want them.
 *
 * Items wait in a batch (common/ipc/batch.h), in which resolve is asked for
 * many of them at once. A field that is cut is settled alone, for its rest
 * goes the same way.
 */
#include "smtp/checks.h"

#include <string.h>

#include "common/base/log.h"
#include "common/ipc/batch.h"
#include "common/mail/check.h"

#include "smtp/tables.h"

enum {
	TEXT_MAX = 4 * 1024 * 1024,	/* a single field may be long */
	SHOWN = 60			/* bytes in the log, as in Postfix */
};

struct checks {
	struct pool	*pool;
	struct batch	*batch;
	const char	*queue_id;
	checks_output	*output;
	void		*context;
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
pass(void *context, const struct batch_item *item)
{
	struct checks	*c = context;
	bool		 is_cut = item->kind == CHECKED_FIELD &&
			    !item->has_end;

	c->output(c->context, is_cut ? CHECKED_OTHER :
	    (enum check_kind)item->kind, (enum mime_class)item->class,
	    item->text, item->len);
}

/* "QID: replace: header Subject: old: Subject: new". */
static void
log_hit(const struct checks *c, const struct batch_item *item,
    const struct check *check)
{
	char	shown[SHOWN + 1], *at;
	size_t	len = item->len < SHOWN ? item->len : SHOWN;

	memcpy(shown, item->text, len);
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

/* Send a text of the table. */
WAITS static void
send_text(struct checks *c, struct pool *pool, const struct batch_item *item,
    const char *text, bool has_end)
{
	struct str	to = check_content(pool, text,
			    item->kind == CHECKED_FIELD, has_end);

	c->output(c->context, (enum check_kind)item->kind,
	    (enum mime_class)item->class, to.data, to.len);
}

/* Do what the table says about an item. */
WAITS static void
act(void *context, struct pool *pool, const struct batch_item *item,
    const char *value)
{
	struct checks	*c = context;
	struct check	 check;
	const char	*why;

	why = check_parse(pool, value, item->kind == CHECKED_FIELD, &check);
	if (why == NULL && check_is_for_input(check.verb))
		why = pool_printf(pool, "%s is for mail that comes in",
		    check_name(check.verb));
	if (why != NULL) {
		log_warning("%s: %s: %s", c->queue_id,
		    table_name((enum content_table)item->table), why);
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

/* Has a table not answered? */
static bool
has_failed(void *context)
{
	const struct checks	*c = context;

	return c->failure != NULL;
}

/* Is there such a table? */
static bool
is_wanted(void *context, int table)
{
	(void)context;
	return table_is_set((enum content_table)table);
}

/* Ask. */
WAITS static void
ask(void *context, struct pool *pool, int table, struct key_row *keys,
    size_t count, struct found *found)
{
	(void)context;
	table_ask(pool, (enum content_table)table, LOOKUP_KEYS, keys, count,
	    found);
}

/* The table does not answer. */
static void
fail(void *context, int table, const char *why)
{
	struct checks	*c = context;

	c->failure = pool_printf(c->pool, "%s: %s",
	    table_name((enum content_table)table), why);
}

static const struct batch_events	events = {
	.is_over = has_failed,
	.is_wanted = is_wanted,
	.ask = ask,
	.pass = pass,
	.hit = act,
	.failed = fail
};

/* Nothing has come yet. */
struct checks *
checks_new(struct pool *pool, const char *queue_id, checks_output *output,
    void *context)
{
	struct checks	*c = pool_alloc(pool, sizeof(*c));

	c->pool = pool;
	c->queue_id = queue_id;
	c->output = output;
	c->context = context;
	c->batch = batch_new(pool, TEXT_MAX, &events, c);
	return c;
}

/* A field. */
void
checks_field(struct checks *c, enum mime_class class,
    const struct header_field *f)
{
	struct batch_item	item = {
		.kind = CHECKED_FIELD, .class = (int)class,
		.table = (int)table_for(class), .has_end = !f->is_cut,
		.text = f->raw, .len = f->raw_len
	};

	if (f->is_cut)
		batch_settle(c->batch);
	c->drops_more = false;
	batch_add(c->batch, &item, false);
	if (f->is_cut)
		batch_settle(c->batch);
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
	struct batch_item	item = {
		.kind = CHECKED_LINE, .class = MIME_PART,
		.table = TABLE_BODY_CHECKS, .has_end = has_end,
		.text = data, .len = len
	};

	batch_add(c->batch, &item, has_end);
}

/* The end of a header. */
void
checks_empty_line(struct checks *c)
{
	struct batch_item	item = {
		.kind = CHECKED_OTHER, .class = MIME_PART,
		.table = BATCH_NO_TABLE, .has_end = true, .text = ""
	};

	batch_add(c->batch, &item, true);
}

/* The end of the message. */
void
checks_finish(struct checks *c)
{
	batch_settle(c->batch);
}
