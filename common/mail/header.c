/*
 * header.c - a message's header block, read as it streams by.
 *
 * One buffer holds the field that is not known to be complete yet and behind
 * it the line that is being read: only the next line tells whether a field
 * goes on (RFC 5322 2.2.3). A line is judged when its CRLF has come; a bare
 * CR or LF is a byte of its line.
 */
#include "common/mail/header.h"

#include <string.h>

#include "common/base/text.h"
#include "common/mail/chars.h"

struct header_reader {
	const struct header_events *events;
	void		*context;
	size_t		 left;		/* bytes until it is too long */
	struct str	 raw;
	size_t		 line;		/* where the line starts in raw */
	bool		 is_body;
};

/* A reader; the limit is on the whole block. */
struct header_reader *
header_reader_new(struct pool *pool, size_t limit,
    const struct header_events *events, void *context)
{
	struct header_reader	*r = pool_alloc(pool, sizeof(*r));

	r->events = events;
	r->context = context;
	r->left = limit;
	str_init(&r->raw, pool, limit + 2);	/* and a missing CRLF */
	return r;
}

/* RFC 5322 3.6.8: printable ASCII but the colon; 4.5 allows blanks before
 * that. The length of the name, *colon is where the colon stands; or 0. */
static size_t
name_length(const char *line, size_t len, size_t *colon)
{
	size_t	n = 0, c;

	while (n < len && line[n] > ' ' && line[n] < 0x7f && line[n] != ':')
		n++;
	for (c = n; c < len && is_blank(line[c]); c++)
		;
	*colon = c;
	return c < len && line[c] == ':' ? n : 0;
}

/* Name and value of a field. */
bool
header_field_parse(struct header_field *field, const char *raw, size_t len)
{
	size_t	colon;

	field->raw = field->name = raw;
	field->raw_len = len;
	field->name_len = name_length(raw, len, &colon);
	if (field->name_len == 0 || colon + 3 > len)
		return false;
	field->value = raw + colon + 1;
	field->value_len = len - colon - 3;		/* ":" and CRLF */
	return true;
}

/* Report the field in front of the line, and move the line to the front. */
static void
report_field(struct header_reader *r)
{
	struct header_field	field;

	if (r->line == 0)
		return;
	(void)header_field_parse(&field, r->raw.data, r->line);
	if (r->events->field != NULL)
		r->events->field(r->context, &field);

	memmove(r->raw.data, r->raw.data + r->line, r->raw.len - r->line);
	str_cut(&r->raw, r->raw.len - r->line);
	r->line = 0;
}

/* Pass bytes of the body on. */
static void
report_body(struct header_reader *r, const char *data, size_t len)
{
	if (len > 0 && r->events->body != NULL)
		r->events->body(r->context, data, len);
}

/* The header is over; a line that is none of its own begins the body. */
static void
report_end(struct header_reader *r, bool had_empty_line)
{
	report_field(r);
	r->is_body = true;
	if (r->events->end != NULL)
		r->events->end(r->context, had_empty_line);
	if (!had_empty_line)
		report_body(r, r->raw.data, r->raw.len);
	str_clear(&r->raw);
}

/* Judge the complete line at the end of the buffer. */
static void
judge_line(struct header_reader *r)
{
	const char	*line = r->raw.data + r->line;
	size_t		 len = r->raw.len - r->line, colon;

	if (len == 2) {
		report_end(r, true);
	} else if (is_blank(*line) && r->line > 0) {
		r->line = r->raw.len;
	} else if (name_length(line, len, &colon) > 0) {
		report_field(r);
		r->line = r->raw.len;
	} else {
		report_end(r, false);
	}
}

/* Does the buffer end with a whole line? */
static bool
has_line(const struct header_reader *r)
{
	size_t	len = r->raw.len - r->line;

	return len >= 2 && memcmp(r->raw.data + r->raw.len - 2, "\r\n", 2) == 0;
}

/* Take bytes up to the next LF into the buffer; how many were taken. */
static size_t
take_line(struct header_reader *r, const char *data, size_t len)
{
	const char	*lf = memchr(data, '\n', len);
	size_t		 n = lf != NULL ? (size_t)(lf + 1 - data) : len;

	if (n > r->left)
		n = r->left;
	r->left -= n;
	str_add_mem(&r->raw, data, n);
	return n;
}

/* Read a run of the message. */
void
header_reader_feed(struct header_reader *r, const char *data, size_t len)
{
	size_t	n;

	while (len > 0 && !r->is_body) {
		if (r->left == 0) {
			report_field(r);
			if (r->events->too_long != NULL)
				r->events->too_long(r->context);
			report_end(r, false);
			break;
		}
		n = take_line(r, data, len);
		data += n;
		len -= n;
		if (has_line(r))
			judge_line(r);
	}
	if (len > 0)
		report_body(r, data, len);
}

/* The message ends; its last line may lack a CRLF, or half of one. */
void
header_reader_finish(struct header_reader *r)
{
	if (r->is_body)
		return;
	if (r->raw.len > r->line) {
		str_add(&r->raw, r->raw.data[r->raw.len - 1] == '\r' ? "\n" :
		    "\r\n");
		judge_line(r);
	}
	if (!r->is_body)
		report_end(r, false);
}

/* The next block, in the same memory. */
void
header_reader_again(struct header_reader *r, size_t limit)
{
	r->left = limit;
	str_clear(&r->raw);
	r->line = 0;
	r->is_body = false;
}

/* Is the block over? */
bool
header_reader_is_over(const struct header_reader *r)
{
	return r->is_body;
}

/* Has the field this name? */
bool
header_is(const struct header_field *field, const char *name)
{
	return text_equal_mem(name, field->name, field->name_len);
}

/* On one line; a control byte becomes a space, so that none is smuggled. */
char *
header_unfold(struct pool *pool, const char *value, size_t len)
{
	char	*copy = pool_alloc(pool, len + 1), *to = copy;
	size_t	 i;

	for (i = 0; i < len; i++) {
		if (value[i] == '\r' && i + 2 < len && value[i + 1] == '\n' &&
		    is_blank(value[i + 2]))
			i++;
		else
			*to++ = is_control((unsigned char)value[i]) &&
			    value[i] != '\t' ? ' ' : value[i];
	}
	*to = '\0';
	return text_trim(copy);
}
