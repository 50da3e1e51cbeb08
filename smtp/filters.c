/*
 * filters.c - what hosts say and what becomes of deliveries, as the
 * administrator would rather have it.
 */
#include <string.h>

#include "common/base/log.h"
#include "common/ipc/status.h"
#include "common/ipc/tables.h"

#include "smtp/content.h"
#include "smtp/delivery.h"
#include "smtp/tables.h"

/* A copy that can be a key. */
static char *
key_copy(struct pool *pool, const char *text, size_t len)
{
	return pool_strndup(pool, text, len < KEY_MAX ? len : KEY_MAX);
}

/* The table does not answer. A "yes" stands, because who doubts it sends the
 * message twice; a "no" for good is one for now. */
static char *
doubt(struct pool *pool, char *line, const char *why)
{
	if (*line != '5')
		return line;
	return pool_printf(pool, "450%c4.3.0 %s: %s; the host said: %s",
	    strlen(line) > 3 && line[3] == '-' ? '-' : ' ',
	    table_name(TABLE_REPLY_FILTER), why, line);
}

/* One line of a reply. */
WAITS static const char *
filter_line(struct delivery *d, const char *text, size_t len)
{
	struct key_row	 key = { key_copy(d->pool, text, len) };
	struct found	 found;

	if (*key.key == '\0')
		return key.key;
	table_ask(d->pool, TABLE_REPLY_FILTER, LOOKUP_KEYS, &key, 1, &found);
	if (found.result == LOOKUP_FOUND) {
		log_info("%s: replacing server reply \"%s\" with \"%s\"",
		    d->mail->queue_id, key.key, found.value);
		return found.value;
	}
	if (found.result == LOOKUP_NOT_FOUND)
		return key.key;
	log_warning("%s: %s: lookup of \"%s\": %s", d->mail->queue_id,
	    table_name(TABLE_REPLY_FILTER), key.key, found.text);
	return doubt(d->pool, key.key, found.text);
}

/* A reply, line by line. */
const char *
content_reply(struct delivery *d, const char *reply)
{
	struct str	to;
	size_t		len;

	if (!table_is_set(TABLE_REPLY_FILTER))
		return reply;
	str_init(&to, d->pool, 0);
	for (; *reply != '\0'; reply += reply[len] == '\n' ? len + 1 : len) {
		len = strcspn(reply, "\n");
		str_add(&to, filter_line(d, reply, len));
		if (reply[len] == '\n')
			str_add_char(&to, '\n');
	}
	return to.data;
}

/* The outcome of a delivery. */
const char *
content_status(struct delivery *d, const char *status)
{
	struct key_row	 key;
	struct found	 found;

	if (!table_is_set(TABLE_STATUS_FILTER))
		return status;
	key.key = key_copy(d->pool, status, strlen(status));
	table_ask(d->pool, TABLE_STATUS_FILTER, LOOKUP_KEYS, &key, 1, &found);
	return status_answer(d->pool, d->mail->queue_id,
	    table_name(TABLE_STATUS_FILTER), status, &found);
}
