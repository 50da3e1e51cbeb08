/*
 * header.c - a message's header block, read as it streams by.
 *
 * One buffer holds the field that is not known to be complete yet and behind
 * it the line that is being read. The first byte of a line tells whether a
 * field goes on (RFC 5322 2.2.3); whether it is a field of its own is judged
 * when its CRLF has come. A bare CR or LF is a byte of its line.
 *
 * P1  Memory is bounded by the limit, however long fields and block are.
 * P2  What is told does not depend on how the input was cut, but for where
 *     the pieces end that more() and body() get.
 */
#include "common/mail/header.h"

#include <string.h>

#include "common/base/text.h"
#include "common/mail/chars.h"

struct header_reader {
	const struct header_events *events;
	void		*context;
	size_t		 limit;
	struct str	 raw;
	size_t		 line;		/* where the line starts in raw */
	bool		 is_passing;	/* the rest of a field that is cut */
	char		 last[2];	/* bytes of it that were passed */
	bool		 is_body;
};

/* A reader; the limit is on each field. */
struct header_reader *
header_reader_new(struct pool *pool, size_t limit,
    const struct header_events *events, void *context)
{
	struct header_reader	*r = pool_alloc(pool, sizeof(*r));

	r->events = events;
	r->context = context;
	r->limit = limit;
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

/* Name and value of a field, which ends with so many bytes of CRLF. */
static bool
parse(struct header_field *field, const char *raw, size_t len, size_t end)
{
	size_t	colon;

	field->raw = field->name = raw;
	field->raw_len = len;
	field->is_cut = end == 0;
	field->name_len = name_length(raw, len, &colon);
	if (field->name_len == 0 || colon + 1 + end > len)
		return false;
	field->value = raw + colon + 1;
	field->value_len = len - colon - 1 - end;
	return true;
}

/* A whole one. */
bool
header_field_parse(struct header_field *field, const char *raw, size_t len)
{
	return parse(field, raw, len, 2);
}

/* The beginning of one. */
bool
header_field_parse_cut(struct header_field *field, const char *raw,
    size_t len)
{
	return parse(field, raw, len, 0);
}

/* Report a field, and forget it. */
static void
report(struct header_reader *r, const struct header_field *field)
{
	if (r->events->field != NULL)
		r->events->field(r->context, field);
	str_clear(&r->raw);
	r->line = 0;
}

/* Report the field in the buffer, if there is one: it is whole. */
static void
report_field(struct header_reader *r)
{
	struct header_field	field;

	if (r->line == 0)
		return;
	(void)header_field_parse(&field, r->raw.data, r->line);
	report(r, &field);
}

/* Pass on what follows of a field that is cut. */
static void
report_more(struct header_reader *r, const char *data, size_t len)
{
	if (len > 0 && r->events->more != NULL)
		r->events->more(r->context, data, len);
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

/* Judge the complete line at the end of the buffer. Behind a field it is a
 * continuation. */
static void
judge_line(struct header_reader *r)
{
	size_t	colon;

	if (r->line > 0 ||
	    name_length(r->raw.data, r->raw.len, &colon) > 0)
		r->line = r->raw.len;
	else
		report_end(r, r->raw.len == 2);
}

/* The buffer is full: a field is cut, a line that is none ends the header. */
static void
judge_full(struct header_reader *r)
{
	struct header_field	field;

	if (!header_field_parse_cut(&field, r->raw.data, r->raw.len)) {
		report_end(r, false);
		return;
	}
	memcpy(r->last, r->raw.data + r->raw.len - 2, 2);
	r->is_passing = true;
	report(r, &field);
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

	if (r->line == r->raw.len && !is_blank(*data))
		report_field(r);
	if (r->raw.len == r->limit) {
		judge_full(r);
		return 0;
	}
	if (n > r->limit - r->raw.len)
		n = r->limit - r->raw.len;
	str_add_mem(&r->raw, data, n);
	if (has_line(r))
		judge_line(r);
	return n;
}

/* Has a whole line been passed? */
static bool
has_passed_line(const struct header_reader *r)
{
	return memcmp(r->last, "\r\n", 2) == 0;
}

/* Pass bytes on as long as they belong to the field that is cut; how many
 * did. */
static size_t
pass_more(struct header_reader *r, const char *data, size_t len)
{
	size_t	n;

	for (n = 0; n < len; n++) {
		if (has_passed_line(r) && !is_blank(data[n])) {
			r->is_passing = false;
			break;
		}
		r->last[0] = r->last[1];
		r->last[1] = data[n];
	}
	report_more(r, data, n);
	return n;
}

/* Read a run of the message. */
void
header_reader_feed(struct header_reader *r, const char *data, size_t len)
{
	size_t	n;

	while (len > 0 && !r->is_body) {
		n = r->is_passing ? pass_more(r, data, len) :
		    take_line(r, data, len);
		data += n;
		len -= n;
	}
	if (len > 0)
		report_body(r, data, len);
}

/* What a line lacks that ends with this byte. */
static const char *
missing_end(char last)
{
	return last == '\r' ? "\n" : "\r\n";
}

/* The message ends; its last line may lack a CRLF, or half of one. */
void
header_reader_finish(struct header_reader *r)
{
	const char	*end;

	if (r->is_body)
		return;
	if (r->is_passing && !has_passed_line(r)) {
		end = missing_end(r->last[1]);
		report_more(r, end, strlen(end));
	} else if (r->raw.len > r->line) {
		str_add(&r->raw, missing_end(r->raw.data[r->raw.len - 1]));
		judge_line(r);
	}
	if (!r->is_body)
		report_end(r, false);
}

/* The next block, in the same memory. */
void
header_reader_again(struct header_reader *r)
{
	str_clear(&r->raw);
	r->line = 0;
	r->is_passing = r->is_body = false;
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
