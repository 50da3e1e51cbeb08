/*
 * mime.c - a message read as a tree of parts while it streams by.
 *
 * The bytes are cut into lines. A line that begins with "--" is compared with
 * the boundaries of all multiparts that are open, the innermost first; if it
 * is none of them it belongs to the header block or to the body that is being
 * read. header.c reads the blocks, one at a time. Nothing recurses: what is
 * open stands on a stack of bounded depth, its boundaries in one string.
 *
 * P1  Memory is bounded by the limits, whatever the message is.
 * P2  What is told does not depend on how the input was cut.
 * P3  Every byte is told once, in order; only the line end of an unfinished
 *     header field at the message's end is added (header.c does that).
 */
#include "common/mail/mime.h"

#include <string.h>

#include "common/base/text.h"
#include "common/mail/chars.h"

const struct mime_limits	mime_limits = {
	.header = 102400, .depth = 100, .boundary = MIME_BOUNDARY_MAX
};

/* What is open: a multipart, or a message in a message. */
struct level {
	bool	 is_multipart, is_digest, is_signed;
	bool	 is_cut;		/* boundary known in part only */
	size_t	 at, len;		/* in reader->boundaries */
};

struct mime_reader {
	struct pool			*pool;
	const struct mime_events	*events;
	void				*context;
	struct mime_limits		 limits;

	struct str	 line;		/* not known to be complete */
	bool		 is_inside;	/* of a line that was read in part */
	bool		 is_telling;	/* of a line that was told in part */
	bool		 is_final;	/* nothing comes any more */

	struct header_reader *head;
	struct mime_entity entity;	/* what the header said so far */
	bool		 in_head, had_empty_line;
	char		*boundary;	/* of the Content-Type */
	size_t		 boundary_len;
	bool		 boundary_is_cut;
	struct str	 spill[2];	/* what header.c gave back */
	int		 spilled;

	struct level	*levels;
	unsigned	 depth;
	size_t		 room;
	struct str	 boundaries;
	bool		 is_outside;
};

/* --- header blocks ------------------------------------------------------- */

/* Is a part of multipart/signed being read? */
static bool
is_signed(const struct mime_reader *r)
{
	return r->depth > 0 && r->levels[r->depth - 1].is_signed;
}

/* A header begins: RFC 2045 5.2, RFC 2046 5.1.5 tell what it means when it
 * says nothing. */
static void
begin_head(struct mime_reader *r, enum mime_class where)
{
	struct mime_entity	*e = &r->entity;
	bool			 is_digest;

	is_digest = r->depth > 0 && r->levels[r->depth - 1].is_digest;
	memset(e, 0, sizeof(*e));
	e->where = where;
	strlcpy(e->type, is_digest ? "message" : "text", sizeof(e->type));
	strlcpy(e->subtype, is_digest ? "rfc822" : "plain",
	    sizeof(e->subtype));
	e->is_signed = is_signed(r);
	r->boundary_len = 0;
	r->in_head = true;
	r->is_outside = false;
}

/* Fields that describe a part. */
bool
mime_is_about_part(const struct header_field *f)
{
	static const char *const	names[] = {
		"Content-Type", "Content-Transfer-Encoding",
		"Content-Disposition", "Content-Description", "Content-ID",
		"MIME-Version"
	};
	size_t				i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (header_is(f, names[i]))
			return true;
	return false;
}

/* The boundary of a Content-Type; one that RFC 2046 5.1.1 forbids so much
 * that no two readers agree is none. */
static void
learn_boundary(struct mime_reader *r, const struct header_field *f)
{
	char	*b = r->boundary;
	size_t	 i, len;

	if (!mime_parameter(f->value, f->value_len, "boundary", b,
	    r->limits.boundary + 1, &r->boundary_is_cut))
		return;
	if (f->is_cut)
		r->boundary_is_cut = true;	/* it may go on */
	len = strlen(b);
	while (!r->boundary_is_cut && len > 0 && is_blank(b[len - 1]))
		len--;
	for (i = 0; i < len; i++)
		if (is_8bit(b[i]) || is_control((unsigned char)b[i]))
			return;
	r->boundary_len = len;
}

/* The first Content-Type and the first encoding count, as for most readers. */
static void
learn(struct mime_reader *r, const struct header_field *f)
{
	struct mime_entity	*e = &r->entity;

	if (header_is(f, "Content-Type") && !e->has_type) {
		e->has_type = true;
		if (mime_parse_type(f->value, f->value_len, e))
			learn_boundary(r, f);
	} else if (header_is(f, "Content-Transfer-Encoding") &&
	    !e->has_encoding) {
		e->has_encoding = true;
		e->encoding = mime_parse_encoding(f->value, f->value_len);
	} else if (header_is(f, "MIME-Version")) {
		e->has_version = true;
	}
}

/* header.c: a field. */
static void
on_field(void *context, const struct header_field *f)
{
	struct mime_reader	*r = context;
	enum mime_class		 class = r->entity.where;

	if (mime_is_about_part(f)) {
		class = MIME_PART;
		learn(r, f);
	}
	if (r->events->field != NULL)
		r->events->field(r->context, class, f);
}

/* header.c: the rest of one that is cut. */
static void
on_more(void *context, const char *data, size_t len)
{
	struct mime_reader	*r = context;

	if (r->events->more != NULL)
		r->events->more(r->context, data, len);
}

/* header.c: the end. */
static void
on_end(void *context, bool had_empty_line)
{
	((struct mime_reader *)context)->had_empty_line = had_empty_line;
}

/* header.c: what is not header any more; it waits until the head is over. */
static void
on_body(void *context, const char *data, size_t len)
{
	struct mime_reader	*r = context;

	str_add_mem(&r->spill[r->spilled], data, len);
}

static const struct header_events	head_events = {
	.field = on_field,
	.more = on_more,
	.end = on_end,
	.body = on_body
};

/* How the body behind this header is read. */
static enum mime_kind
kind_of(const struct mime_reader *r)
{
	const struct mime_entity	*e = &r->entity;

	if (strcmp(e->type, "multipart") == 0 && r->boundary_len > 0)
		return MIME_MULTIPART;
	/* RFC 2046 5.2.1 forbids encodings here; who uses one all the same
	 * has made a leaf of it. */
	if (strcmp(e->type, "message") == 0 && e->encoding != MIME_QP &&
	    e->encoding != MIME_BASE64 &&
	    (strcmp(e->subtype, "rfc822") == 0 ||
	    strcmp(e->subtype, "global") == 0))
		return MIME_MESSAGE;
	return MIME_LEAF;
}

/* Open a multipart or a message. */
static void
push(struct mime_reader *r)
{
	struct level	*level;

	r->levels = pool_grow(r->pool, r->levels, &r->room, r->depth + 1,
	    sizeof(*level));
	level = &r->levels[r->depth];
	memset(level, 0, sizeof(*level));
	level->is_signed = is_signed(r);
	if (r->entity.kind == MIME_MULTIPART) {
		level->is_multipart = true;
		level->is_digest = strcmp(r->entity.subtype, "digest") == 0;
		if (strcmp(r->entity.subtype, "signed") == 0)
			level->is_signed = true;
		level->is_cut = r->boundary_is_cut;
		level->at = r->boundaries.len;
		level->len = r->boundary_len;
		str_add_mem(&r->boundaries, r->boundary, r->boundary_len);
	}
	r->depth++;
}

/* The header is over: tell, and see what begins behind it. */
static void
end_head(struct mime_reader *r)
{
	struct mime_entity	*e = &r->entity;

	e->depth = r->depth;
	e->kind = kind_of(r);
	if (e->kind != MIME_LEAF && r->depth >= r->limits.depth) {
		e->kind = MIME_LEAF;
		e->is_too_deep = true;
	}
	r->in_head = r->is_telling = false;
	if (r->events->head_end != NULL)
		r->events->head_end(r->context, e, r->had_empty_line);
	header_reader_again(r->head);
	r->is_outside = e->kind == MIME_MULTIPART;
	if (e->kind != MIME_LEAF)
		push(r);
	if (e->kind == MIME_MESSAGE)
		begin_head(r, MIME_NESTED);
}

/* --- lines --------------------------------------------------------------- */

/* Tell of a body line, in pieces if it is long; its CRLF is counted in `len`
 * if it has one. */
static void
tell_line(struct mime_reader *r, const char *data, size_t len, bool has_end)
{
	struct mime_line	line = {
		.data = data, .is_start = !r->is_telling,
		.is_outside = r->is_outside, .is_signed = is_signed(r)
	};

	if (has_end)
		len -= 2;
	if (r->events->line == NULL)
		return;
	for (; len > MIME_PIECE; len -= MIME_PIECE) {
		line.len = MIME_PIECE;
		r->events->line(r->context, &line);
		line.data += MIME_PIECE;
		line.is_start = false;
	}
	line.len = len;
	line.is_end = has_end;
	r->is_telling = !has_end;
	if (len > 0 || has_end)
		r->events->line(r->context, &line);
}

static void	leave_head(struct mime_reader *, bool has_end);

/* A line of a header or of a body. */
static void
take_line(struct mime_reader *r, const char *data, size_t len, bool has_end)
{
	if (!r->in_head) {
		tell_line(r, data, len, has_end);
		return;
	}
	header_reader_feed(r->head, data, len);
	if (header_reader_is_over(r->head))
		leave_head(r, has_end);
}

static void	sort_line(struct mime_reader *, const char *data, size_t len,
		    bool has_end);

/* The header is over; what of its last line was none of it comes behind. */
static void
leave_head(struct mime_reader *r, bool has_end)
{
	/* A line that is no field may end two heads, of a part and of the
	 * message in it: one buffer for each. */
	struct str	*spill = &r->spill[r->spilled];

	r->spilled = !r->spilled;
	end_head(r);
	/* It may be the boundary that this header is the first to tell. */
	if (spill->len > 0 && r->in_head)
		take_line(r, spill->data, spill->len, has_end);
	else if (spill->len > 0)
		sort_line(r, spill->data, spill->len, has_end);
	str_clear(spill);
}

/* Is the line this level's boundary, or its last one? Behind it may stand
 * white space (RFC 2046 5.1.1). */
static bool
is_boundary(const struct mime_reader *r, const struct level *level,
    const char *line, size_t len, bool *is_close)
{
	*is_close = false;
	if (!level->is_multipart || len < level->len ||
	    memcmp(line, r->boundaries.data + level->at, level->len) != 0)
		return false;
	if (level->is_cut) {
		*is_close = len >= 2 && memcmp(line + len - 2, "--", 2) == 0;
		return true;
	}
	line += level->len;
	len -= level->len;
	while (len > 0 && is_blank(line[len - 1]))
		len--;
	*is_close = len == 2 && memcmp(line, "--", 2) == 0;
	return len == 0 || *is_close;
}

/* The level whose boundary the line is, or -1. */
static int
find_boundary(const struct mime_reader *r, const char *line, size_t len,
    bool *is_close)
{
	int	i;

	if (len < 2 || memcmp(line, "--", 2) != 0)
		return -1;
	for (i = (int)r->depth - 1; i >= 0; i--)
		if (is_boundary(r, &r->levels[i], line + 2, len - 2,
		    is_close))
			return i;
	return -1;
}

/* Headers that end without a body. A last line that is no field has got its
 * line end from header.c. */
static void
end_heads(struct mime_reader *r)
{
	while (r->in_head) {
		header_reader_finish(r->head);
		leave_head(r, true);
	}
}

/* A boundary: whatever is open inside is over. */
static void
take_boundary(struct mime_reader *r, unsigned level, bool is_close,
    const char *line, size_t len, bool has_end)
{
	end_heads(r);
	r->depth = is_close ? level : level + 1;
	str_cut(&r->boundaries, r->levels[level].at +
	    (is_close ? 0 : r->levels[level].len));
	if (r->events->boundary != NULL)
		r->events->boundary(r->context, line, len, has_end);
	r->is_outside = true;
	r->is_telling = false;
	if (!is_close)
		begin_head(r, MIME_PART);
}

/* A whole line, or a piece of a long one: a boundary, or not. */
static void
sort_line(struct mime_reader *r, const char *data, size_t len, bool has_end)
{
	size_t	text = has_end ? len - 2 : len;
	bool	is_close;
	int	level = -1;

	if (!r->is_inside && (has_end || r->is_final))
		level = find_boundary(r, data, text, &is_close);
	if (level >= 0)
		take_boundary(r, (unsigned)level, is_close, data, text,
		    has_end);
	else
		take_line(r, data, len, has_end);
}

/* The next line, or piece of one, of the message. */
static void
judge_line(struct mime_reader *r, const char *data, size_t len, bool has_end)
{
	sort_line(r, data, len, has_end);
	if (!r->is_final)
		r->is_inside = !has_end;
}

/* The length of the line in front, with its CRLF; 0 when its end is not in
 * sight. Bytes before `from` have been looked at, but the last of them may be
 * the CR. */
static size_t
line_length(const char *data, size_t from, size_t len)
{
	const char	*lf, *at = data + from;

	while ((lf = memchr(at, '\n', (size_t)(data + len - at))) != NULL) {
		if (lf > data && lf[-1] == '\r')
			return (size_t)(lf + 1 - data);
		at = lf + 1;
	}
	return 0;
}

/* Go on with the line in the buffer; how many bytes were taken. */
static size_t
fill_line(struct mime_reader *r, const char *data, size_t len)
{
	struct str	*line = &r->line;
	size_t		 had = line->len, whole;

	if (len > line->limit - had)
		len = line->limit - had;
	str_add_mem(line, data, len);
	if ((whole = line_length(line->data, had, line->len)) > 0) {
		judge_line(r, line->data, whole, true);
		str_clear(line);
		return whole - had;
	}
	if (line->len == line->limit) {
		judge_line(r, line->data, MIME_PIECE, false);
		memmove(line->data, line->data + MIME_PIECE,
		    line->len - MIME_PIECE);
		str_cut(line, line->len - MIME_PIECE);
	}
	return len;
}

/* Read a run of the message. Lines that are whole are not copied. */
void
mime_reader_feed(struct mime_reader *r, const char *data, size_t len)
{
	size_t	n, room = r->line.limit;

	while (len > 0) {
		n = 0;
		if (r->line.len > 0)
			n = fill_line(r, data, len);
		else if ((n = line_length(data, 0, len < room ? len :
		    room)) > 0)
			judge_line(r, data, n, true);
		else if (len >= room)
			judge_line(r, data, n = MIME_PIECE, false);
		else
			n = fill_line(r, data, len);
		data += n;
		len -= n;
	}
}

/* The message ends. */
void
mime_reader_finish(struct mime_reader *r)
{
	r->is_final = true;
	if (r->line.len > 0)
		judge_line(r, r->line.data, r->line.len, false);
	end_heads(r);
}

/* A reader, in front of the first byte. */
struct mime_reader *
mime_reader_new(struct pool *pool, const struct mime_limits *limits,
    const struct mime_events *events, void *context)
{
	struct mime_reader	*r = pool_alloc(pool, sizeof(*r));

	r->pool = pool;
	r->events = events;
	r->context = context;
	r->limits = *limits;
	if (r->limits.boundary > MIME_BOUNDARY_MAX)
		r->limits.boundary = MIME_BOUNDARY_MAX;
	r->boundary = pool_alloc(pool, r->limits.boundary + 1);
	r->room = 8;
	r->levels = pool_array(pool, r->room, sizeof(*r->levels));
	str_init(&r->line, pool, MIME_PIECE + 2);
	str_init(&r->boundaries, pool, 0);
	str_init(&r->spill[0], pool, limits->header + 2 * MIME_PIECE);
	str_init(&r->spill[1], pool, limits->header + 2 * MIME_PIECE);
	r->head = header_reader_new(pool, limits->header, &head_events, r);
	begin_head(r, MIME_PRIMARY);
	return r;
}
