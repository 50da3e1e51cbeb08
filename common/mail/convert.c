/*
 * convert.c - eight bits to seven for a host without 8BITMIME.
 *
 * Both passes see the same reader's events of the same message, so a header's
 * place in their order names it: what the survey decides about header number
 * n, the converter finds under n.
 *
 * P1  Behind the converter no body, and no line between parts, has a byte
 *     above 127.
 * P2  Decoded, every leaf part is what it was, byte for byte.
 * P3  Parts that need nothing are passed on as they are.
 */
#include "common/mail/convert.h"

#include <string.h>

#include "common/mail/chars.h"
#include "common/mail/encode.h"

/* What is done about one header and the body behind it. */
enum verdict {
	KEEP,
	TO_QP, TO_BASE64,
	RELABEL,		/* a container: "7bit" */
	MEND_QP, MEND_BASE64	/* labelled so, but not quite true */
};

enum {
	PARTS_MAX = 1 << 20,
	QP_LINE = 76,
	BASE64_LINE = 57,	/* bytes that make 76 characters */
	TEXT_ROOM = 8 * MIME_PIECE
};

struct survey {
	struct pool	*pool;
	unsigned char	*verdicts;
	size_t		 count, room;
	bool		 has_8bit;
	const char	*refusal;
	int64_t		 growth;

	/* the leaf that is being read */
	struct mime_entity leaf;
	bool		 in_leaf;
	int64_t		 bytes, costly;		/* for =XX */
};

struct converter {
	const struct survey	*survey;
	const struct mime_events *to;
	void			*context;
	size_t			 number;	/* of the header */
	enum verdict		 verdict;	/* on the body */
	bool			 is_labelled;
	bool			 drops_more;	/* of a field, with it */
	bool			 lacks_gap;	/* no empty line: what is
						 * changed might be a field */
	bool			 is_inside;	/* of a line that was told */
	struct str		 text;		/* encoded, not told yet */
	size_t			 column, sticky;
	bool			 owes_end;	/* CRLF, of the part or of
						 * the boundary */
	char			 raw[BASE64_LINE];
	size_t			 raw_len;
};

/* Bytes above 127. */
static size_t
count_8bit(const char *data, size_t len)
{
	size_t	i, n = 0;

	for (i = 0; i < len; i++)
		n += (unsigned char)data[i] >> 7;
	return n;
}

/* --- the survey ---------------------------------------------------------- */

/* A survey of a message. */
struct survey *
survey_new(struct pool *pool)
{
	struct survey	*s = pool_alloc(pool, sizeof(*s));

	s->pool = pool;
	s->room = 64;
	s->verdicts = pool_alloc(pool, s->room);
	return s;
}

/* The label says that there may be eight bits. */
static bool
is_declared(const struct mime_entity *e)
{
	return e->encoding == MIME_8BIT || e->encoding == MIME_BINARY;
}

/* What this leaf becomes. Types of message that are no message in full are
 * lines of text to a person (a status report); so is a multipart that cannot
 * be read as one. */
static enum verdict
verdict_for(const struct mime_entity *e)
{
	if (e->encoding == MIME_QP)
		return MEND_QP;
	if (e->encoding == MIME_BASE64)
		return MEND_BASE64;
	return strcmp(e->type, "text") == 0 ||
	    strcmp(e->type, "message") == 0 ||
	    strcmp(e->type, "multipart") == 0 ? TO_QP : TO_BASE64;
}

/* Note the verdict on the header that came last. */
static void
decide(struct survey *s, enum verdict verdict)
{
	s->has_8bit = true;
	s->verdicts[s->count - 1] = (unsigned char)verdict;
}

/* One more header, for now with nothing to do. */
static void
add_header(struct survey *s)
{
	if (s->count == PARTS_MAX) {
		s->refusal = "it has more than a million parts";
		s->count--;
	}
	s->verdicts = pool_grow(s->pool, s->verdicts, &s->room, s->count + 1,
	    sizeof(*s->verdicts));
	s->verdicts[s->count++] = KEEP;
}

/* The leaf is over: what does its new form cost? */
static void
end_leaf(struct survey *s)
{
	if (s->in_leaf && s->verdicts[s->count - 1] == TO_QP)
		s->growth += 2 * s->costly +
		    3 * ((s->bytes + 2 * s->costly) / (QP_LINE - 3)) + 128;
	else if (s->in_leaf && s->verdicts[s->count - 1] == TO_BASE64)
		s->growth += (s->bytes + 2) / 3 + s->bytes / 27 + 128;
	s->in_leaf = false;
	s->bytes = s->costly = 0;
}

/* A header is over. */
static void
survey_head_end(void *context, const struct mime_entity *e,
    bool had_empty_line)
{
	struct survey	*s = context;

	(void)had_empty_line;
	end_leaf(s);
	add_header(s);
	s->leaf = *e;
	s->in_leaf = e->kind == MIME_LEAF;
	if (!is_declared(e) || e->is_signed || e->is_too_deep)
		return;
	decide(s, e->kind == MIME_LEAF ? verdict_for(e) : RELABEL);
}

/* A line has eight bits where nothing may be changed. */
static const char *
refusal_of(const struct survey *s, const struct mime_line *l)
{
	if (l->is_signed)
		return "parts of it with 8-bit text are signed and must not "
		    "be converted";
	if (s->in_leaf && s->leaf.is_too_deep)
		return "parts of it with 8-bit text are nested too deep to "
		    "be converted";
	return NULL;
}

/* A line of a body. */
static void
survey_line(void *context, const struct mime_line *l)
{
	struct survey	*s = context;
	size_t		 n = count_8bit(l->data, l->len), i;

	s->bytes += (int64_t)l->len + 2;
	s->costly += (int64_t)n;
	for (i = 0; s->in_leaf && i < l->len; i++)
		s->costly += l->data[i] == '=';
	if (n == 0)
		return;
	s->has_8bit = true;
	if (s->refusal == NULL)
		s->refusal = refusal_of(s, l);
	if (s->in_leaf && s->refusal == NULL)
		decide(s, verdict_for(&s->leaf));
}

/* A boundary ends a leaf. */
static void
survey_boundary(void *context, const char *line, size_t len, bool has_end)
{
	(void)line;
	(void)len;
	(void)has_end;
	end_leaf(context);
}

const struct mime_events	survey_events = {
	.head_end = survey_head_end,
	.line = survey_line,
	.boundary = survey_boundary
};

/* All was read. */
void
survey_finish(struct survey *s)
{
	end_leaf(s);
}

/* Is there anything to do? */
bool
survey_has_8bit(const struct survey *s)
{
	return s->has_8bit;
}

/* May it be done? */
const char *
survey_refusal(const struct survey *s)
{
	return s->refusal;
}

/* What does it cost? */
int64_t
survey_growth(const struct survey *s)
{
	return s->growth;
}

/* --- telling ------------------------------------------------------------- */

/* Tell of a line, or of a piece. */
static void
tell(struct converter *c, const char *data, size_t len, bool is_end)
{
	struct mime_line	line = {
		.data = data, .len = len,
		.is_start = !c->is_inside, .is_end = is_end
	};

	if (len == 0 && !is_end)
		return;
	c->is_inside = !is_end;
	c->to->line(c->context, &line);
}

/* Tell of the lines in the text; what has no end yet stays. */
static void
tell_text(struct converter *c)
{
	const char	*at = c->text.data, *end = at + c->text.len, *crlf;

	while ((crlf = memmem(at, (size_t)(end - at), "\r\n", 2)) != NULL) {
		tell(c, at, (size_t)(crlf - at), true);
		at = crlf + 2;
	}
	memmove(c->text.data, at, (size_t)(end - at));
	str_cut(&c->text, (size_t)(end - at));
}

/* Tell of a field that we add: "NAME: VALUE" without CRLF, a literal. */
static void
tell_field(struct converter *c, const char *text)
{
	struct header_field	f = { .is_cut = false };
	char			raw[128];
	const char		*colon = strchr(text, ':');

	f.raw_len = strlcpy(raw, text, sizeof(raw) - 2) + 2;
	memcpy(raw + f.raw_len - 2, "\r\n", 2);
	f.raw = f.name = raw;
	f.name_len = (size_t)(colon - text);
	f.value = raw + f.name_len + 1;
	f.value_len = f.raw_len - f.name_len - 3;
	c->to->field(c->context, MIME_PART, &f);
}

/* Tell the new encoding. */
static void
tell_encoding(struct converter *c, enum verdict verdict)
{
	c->is_labelled = true;
	tell_field(c, verdict == TO_QP ?
	    "Content-Transfer-Encoding: quoted-printable" :
	    verdict == TO_BASE64 ? "Content-Transfer-Encoding: base64" :
	    "Content-Transfer-Encoding: 7bit");
}

/* --- headers ------------------------------------------------------------- */

/* Does the body get another encoding? */
static bool
is_encoded(enum verdict v)
{
	return v == TO_QP || v == TO_BASE64;
}

/* Is the header's encoding another one now? */
static bool
is_relabelled(enum verdict v)
{
	return is_encoded(v) || v == RELABEL;
}

/* What the survey said about the header that is being read. */
static enum verdict
current(const struct converter *c)
{
	return c->number < c->survey->count ?
	    (enum verdict)c->survey->verdicts[c->number] : KEEP;
}

/* A field: another encoding stands where the old one stood. */
static void
on_field(void *context, enum mime_class class, const struct header_field *f)
{
	struct converter	*c = context;

	c->drops_more = is_relabelled(current(c)) &&
	    header_is(f, "Content-Transfer-Encoding");
	if (!c->drops_more)
		c->to->field(c->context, class, f);
	else if (!c->is_labelled)
		tell_encoding(c, current(c));
}

/* What follows of it. */
static void
on_more(void *context, const char *data, size_t len)
{
	struct converter	*c = context;

	if (!c->drops_more)
		c->to->more(c->context, data, len);
}

/* The header is over: add what is missing. RFC 1428 has the name of a
 * character set that nobody told. */
static void
on_head_end(void *context, const struct mime_entity *e, bool had_empty_line)
{
	struct converter	*c = context;
	enum verdict		 v = current(c);

	c->number++;
	c->verdict = e->kind == MIME_LEAF ? v : KEEP;
	/* A message whose header is missing gets one: not behind this one. */
	if (e->kind == MIME_MESSAGE && is_encoded(current(c)))
		had_empty_line = true;
	if (is_encoded(v)) {
		if (e->where != MIME_PART && !e->has_version)
			tell_field(c, "MIME-Version: 1.0");
		if (!e->has_type && strcmp(e->type, "text") == 0)
			tell_field(c, "Content-Type: text/plain; "
			    "charset=unknown-8bit");
		if (!c->is_labelled)
			tell_encoding(c, v);
		had_empty_line = true;
	}
	c->is_labelled = false;
	c->column = c->sticky = c->raw_len = 0;
	c->owes_end = c->is_inside = false;
	c->lacks_gap = !had_empty_line;
	c->to->head_end(c->context, e, had_empty_line);
}

/* --- bodies -------------------------------------------------------------- */

/* Text to quoted-printable. */
static void
to_qp(struct converter *c, const struct mime_line *l)
{
	qp_encode_more(&c->text, &c->column, l->data, l->len);
	if (l->is_end) {
		str_add(&c->text, "\r\n");
		c->column = 0;
	}
	tell_text(c);
}

/* The bytes that have gathered, as a line. */
static void
tell_base64(struct converter *c)
{
	if (c->raw_len == 0)
		return;
	base64_encode(&c->text, c->raw, c->raw_len);
	str_add(&c->text, "\r\n");
	c->raw_len = 0;
	tell_text(c);
}

/* Gather bytes. */
static void
add_base64(struct converter *c, const char *data, size_t len)
{
	size_t	n;

	for (; len > 0; data += n, len -= n) {
		n = sizeof(c->raw) - c->raw_len;
		if (n > len)
			n = len;
		memcpy(c->raw + c->raw_len, data, n);
		c->raw_len += n;
		if (c->raw_len == sizeof(c->raw))
			tell_base64(c);
	}
}

/* Bytes to base64. A line end waits: the last one is the boundary's. */
static void
to_base64(struct converter *c, const struct mime_line *l)
{
	if (c->owes_end)
		add_base64(c, "\r\n", 2);
	add_base64(c, l->data, l->len);
	c->owes_end = l->is_end;
}

/* The empty line that the header did not have. */
static void
close_gap(struct converter *c)
{
	if (c->lacks_gap)
		tell(c, "", 0, true);
	c->lacks_gap = false;
}

/* One byte of such text. A soft line end must not make a boundary of what
 * stands behind it, and "=XX" is not torn apart. */
static void
mend_byte(struct converter *c, unsigned char b, bool mends)
{
	size_t	width = b >= 128 || b == '=' ? 3 : 1;
	bool	is_hidden = b >= 128;

	if (mends && c->sticky == 0 && c->column + width > QP_LINE - 1) {
		str_add(&c->text, "=\r\n");
		c->column = 0;
		is_hidden = is_hidden || b == '-';
	}
	if (is_hidden)
		str_addf(&c->text, "=%02X", b);
	else
		str_add_char(&c->text, (char)b);
	c->column += is_hidden ? 3 : 1;
	if (b == '=')
		c->sticky = 2;
	else if (c->sticky > 0)
		c->sticky--;
}

/* Quoted-printable with bytes that it should not have. */
static void
mend_qp(struct converter *c, const struct mime_line *l)
{
	bool	mends = count_8bit(l->data, l->len) > 0 || c->column > 0;
	size_t	i;

	if (mends)
		close_gap(c);
	for (i = 0; i < l->len; i++)
		mend_byte(c, (unsigned char)l->data[i], mends);
	if (l->is_end) {
		str_add(&c->text, "\r\n");
		c->column = c->sticky = 0;
	}
	tell_text(c);
}

/* The same with "?" for bytes above 127: nobody reads them. */
static void
mask(struct converter *c, const struct mime_line *l)
{
	size_t	i;

	close_gap(c);
	str_clear(&c->text);
	for (i = 0; i < l->len; i++)
		str_add_char(&c->text, is_8bit(l->data[i]) ? '?' :
		    l->data[i]);
	tell(c, c->text.data, c->text.len, l->is_end);
	str_clear(&c->text);
}

/* A line of a body. */
static void
on_line(void *context, const struct mime_line *l)
{
	struct converter	*c = context;

	switch (l->is_outside ? KEEP : c->verdict) {
	case TO_QP:
		to_qp(c, l);
		break;
	case TO_BASE64:
		to_base64(c, l);
		break;
	case MEND_QP:
		mend_qp(c, l);
		break;
	case MEND_BASE64:
		mask(c, l);
		break;
	default:
		if (l->is_outside && count_8bit(l->data, l->len) > 0)
			mask(c, l);
		else
			tell(c, l->data, l->len, l->is_end);
	}
	c->lacks_gap = false;
}

/* The part is over. */
static void
end_part(struct converter *c)
{
	if (c->verdict == TO_BASE64)
		tell_base64(c);
	tell(c, c->text.data, c->text.len, false);
	str_clear(&c->text);
	c->verdict = KEEP;
	c->is_inside = c->owes_end = false;
}

/* A boundary. */
static void
on_boundary(void *context, const char *line, size_t len, bool has_end)
{
	struct converter	*c = context;

	end_part(c);
	c->to->boundary(c->context, line, len, has_end);
}

const struct mime_events	convert_events = {
	.field = on_field,
	.more = on_more,
	.head_end = on_head_end,
	.line = on_line,
	.boundary = on_boundary
};

/* The message is over: here the last line end is the part's own. */
void
converter_finish(struct converter *c)
{
	if (c->verdict == TO_BASE64 && c->owes_end)
		add_base64(c, "\r\n", 2);
	end_part(c);
}

/* A converter, in front of the first byte. */
struct converter *
converter_new(struct pool *pool, const struct survey *survey,
    const struct mime_events *to, void *context)
{
	struct converter	*c = pool_alloc(pool, sizeof(*c));

	c->survey = survey;
	c->to = to;
	c->context = context;
	str_init(&c->text, pool, TEXT_ROOM);
	return c;
}
