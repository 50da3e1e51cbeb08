/*
 * map_message.c - a message as a list of keys: -h and -b of postrider map.
 *
 * A header is one key, its folding kept as LF (so much of a very long one as
 * header_checks looks at); a line of a body is one.
 */
#include "resolve/map_message.h"

#include <string.h>

#include "common/base/str.h"
#include "common/mail/mime.h"

/* A message being read. */
struct reading {
	struct pool			*pool;
	const struct map_message	*wanted;
	struct str			 line;	/* so far */
};

/* Ask for these bytes, without the CRs that end lines. */
static void
ask(struct reading *r, const char *data, size_t len)
{
	struct str	key;
	size_t		i;

	str_init(&key, r->pool, len + 1);
	while (len > 0 && (data[len - 1] == '\n' || data[len - 1] == '\r'))
		len--;
	for (i = 0; i < len; i++)
		if (data[i] != '\0' && (data[i] != '\r' ||
		    i + 1 == len || data[i + 1] != '\n'))
			str_add_char(&key, data[i]);
	if (key.len > 0)
		r->wanted->each(r->wanted->context, key.data);
}

/* A field of any header. */
static void
on_field(void *context, enum mime_class class,
    const struct header_field *field)
{
	struct reading	*r = context;

	(void)class;
	if (r->wanted->headers)
		ask(r, field->raw, field->raw_len);
}

/* A line of a body, or a piece of one. */
static void
on_line(void *context, const struct mime_line *line)
{
	struct reading	*r = context;

	if (!r->wanted->body)
		return;
	str_add_mem(&r->line, line->data, line->len);
	if (!line->is_end)
		return;
	ask(r, r->line.data, r->line.len);
	str_clear(&r->line);
}

/* Nothing to do for these. */
static void
on_head_end(void *context, const struct mime_entity *entity,
    bool had_empty_line)
{
	(void)context;
	(void)entity;
	(void)had_empty_line;
}

/* A line between two parts is a line of the body, too. */
static void
on_boundary(void *context, const char *line, size_t len, bool has_end)
{
	struct reading	*r = context;

	(void)has_end;
	if (r->wanted->body)
		ask(r, line, len);
}

/* A message without parts: fields, then lines. */
static void
read_plain(struct reading *r, const char *text, size_t len)
{
	const char		*at = text, *stop = text + len, *end;
	struct header_field	 field;

	while (at < stop && *at != '\n' && *at != '\r') {
		for (end = at; end < stop; ) {
			end = memchr(end, '\n', (size_t)(stop - end));
			end = end == NULL ? stop : end + 1;
			if (end == stop || (*end != ' ' && *end != '\t'))
				break;
		}
		if (!header_field_parse(&field, at, (size_t)(end - at)))
			break;
		if (r->wanted->headers)
			ask(r, at, (size_t)(end - at));
		at = end;
	}
	for (; r->wanted->body && at < stop; at = end) {
		end = memchr(at, '\n', (size_t)(stop - at));
		end = end == NULL ? stop : end + 1;
		ask(r, at, (size_t)(end - at));
	}
}

/* Lines end with CRLF in a message, and with LF in a file that has one. */
static void
feed(struct mime_reader *reader, const char *text, size_t len)
{
	const char	*at = text, *end;

	for (; len > 0; len -= (size_t)(end - at), at = end) {
		if ((end = memchr(at, '\n', len)) == NULL) {
			mime_reader_feed(reader, at, len);
			return;
		}
		if (end > at && end[-1] == '\r')
			mime_reader_feed(reader, at, (size_t)(end - at - 1));
		else
			mime_reader_feed(reader, at, (size_t)(end - at));
		mime_reader_feed(reader, "\r\n", 2);
		end++;
	}
}

/* Ask for every key. */
void
map_message_keys(struct pool *pool, const struct map_message *wanted,
    const char *text, size_t len)
{
	static const struct mime_events	 events = {
		.field = on_field,
		.head_end = on_head_end,
		.line = on_line,
		.boundary = on_boundary
	};
	struct reading			 r = { pool, wanted, { 0 } };
	struct mime_reader		*reader;

	str_init(&r.line, pool, 0);
	if (!wanted->mime) {
		read_plain(&r, text, len);
		return;
	}
	reader = mime_reader_new(pool, &mime_limits, &events, &r);
	feed(reader, text, len);
	mime_reader_finish(reader);
	ask(&r, r.line.data, r.line.len);
}
