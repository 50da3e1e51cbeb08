/*
 * spans.c - where the addresses of a header's value stand.
 *
 * The value is read token by token, once. An element of the list is what
 * stands between commas: an address in angle brackets, or else all its words
 * together if they are an address. A colon behind words begins a group, whose
 * name is no address (RFC 5322 3.4).
 */
#include "common/mail/spans.h"

#include <string.h>

#include "common/mail/address.h"
#include "common/mail/chars.h"

struct scan {
	struct pool	*pool;
	const char	*value;
	size_t		 len, at;
	struct span	*spans;
	size_t		 count, room;

	/* the element: its words without white space and comments */
	struct str	 bare, comments;
	size_t		 start, end;	/* of the words, in the value */
	size_t		 known;		/* comments before `end` */
	bool		 had_word;	/* and no sign behind it */
	bool		 is_broken;	/* two words side by side */
	bool		 has_angle;
};

/* Begin another element. */
static void
reset(struct scan *s)
{
	str_clear(&s->bare);
	str_clear(&s->comments);
	s->start = s->end = s->known = 0;
	s->had_word = s->is_broken = s->has_angle = false;
}

/* Note an address if it is one. */
static void
add_span(struct scan *s, size_t at, size_t end, const char *text,
    const char *comments, size_t comments_len)
{
	struct span	*span;
	char		*address;

	if (*text == '\0' || address_parse(s->pool, text,
	    PATH_ALLOW_BARE_LOCAL | PATH_ALLOW_UTF8, &address) != NULL)
		return;
	s->spans = pool_grow(s->pool, s->spans, &s->room, s->count + 1,
	    sizeof(*span));
	span = &s->spans[s->count++];
	span->at = at;
	span->len = end - at;
	span->address = address;
	span->comments = comments_len == 0 ? NULL :
	    pool_strndup(s->pool, comments, comments_len);
}

/* The element is over: its words may be an address. */
static void
end_element(struct scan *s)
{
	if (!s->has_angle && !s->is_broken && s->bare.len > 0)
		add_span(s, s->start, s->end, s->bare.data, s->comments.data,
		    s->known);
	reset(s);
}

/* The length of what begins with `open` and ends with `close`, to the end of
 * the value if it does not end. Comments nest. */
static size_t
enclosed(const struct scan *s, size_t at, char open, char close)
{
	size_t	start = at, depth = 0;

	for (; at < s->len; at++) {
		if (s->value[at] == '\\')
			at++;
		else if (s->value[at] == close && (depth == 1 ||
		    open == close) && at > start)
			return at + 1 - start;
		else if (s->value[at] == open && (open == '(' || at == start))
			depth++;
		else if (s->value[at] == close && depth > 0)
			depth--;
	}
	return s->len - start;
}

/* A word of a local part, a domain or a phrase: its length. */
static size_t
word_length(const struct scan *s)
{
	size_t	at = s->at;

	if (s->value[at] == '"')
		return enclosed(s, at, '"', '"');
	if (s->value[at] == '[')
		return enclosed(s, at, '[', ']');
	while (at < s->len && (is_atext(s->value[at]) ||
	    is_8bit(s->value[at])))
		at++;
	return at - s->at;
}

/* Add what stands there to the element; line ends are folding. */
static void
add_bare(struct scan *s, size_t len)
{
	size_t	i;

	if (s->bare.len == 0)
		s->start = s->at;
	for (i = 0; i < len; i++)
		if (s->value[s->at + i] != '\r' && s->value[s->at + i] != '\n')
			str_add_char(&s->bare, s->value[s->at + i]);
	s->at += len;
	s->end = s->at;
	s->known = s->comments.len;
}

/* A word, or a byte that belongs nowhere. */
static void
read_word(struct scan *s)
{
	size_t	len = word_length(s);

	if (len == 0 || s->had_word)
		s->is_broken = true;
	s->had_word = true;
	add_bare(s, len > 0 ? len : 1);
}

/* A comment; in front of the first word it is not among the words. */
static void
read_comment(struct scan *s)
{
	size_t	len = enclosed(s, s->at, '(', ')');

	if (s->bare.len > 0) {
		str_add_char(&s->comments, ' ');
		str_add_mem(&s->comments, s->value + s->at, len);
	}
	s->at += len;
}

/* A blank, a comment, a sign or a word of an address. */
static void
read_part(struct scan *s)
{
	switch (s->value[s->at]) {
	case ' ': case '\t': case '\r': case '\n':
		s->at++;
		break;
	case '(':
		read_comment(s);
		break;
	case '.': case '@':
		s->had_word = false;
		add_bare(s, 1);
		break;
	default:
		read_word(s);
	}
}

/* "<@relay:user@domain>", the place on the bracket: an address, if it is
 * one. */
static void
read_angle(struct scan *s)
{
	size_t	start;

	reset(s);
	s->has_angle = true;
	start = ++s->at;
	while (s->at < s->len && s->value[s->at] != '>') {
		/* RFC 5322 4.4: a route is skipped. */
		if ((s->value[s->at] == ':' || s->value[s->at] == ',') &&
		    s->bare.data[0] == '@') {
			if (s->value[s->at++] == ':') {
				str_clear(&s->bare);
				s->had_word = false;
			}
			continue;
		}
		read_part(s);
	}
	if (s->at == s->len)
		return;
	if (!s->is_broken)
		add_span(s, start, s->at, s->bare.data, s->comments.data,
		    s->comments.len);
	s->at++;
}

/* All addresses. */
void
spans_find(struct pool *pool, const char *value, size_t len,
    struct span **spans, size_t *count)
{
	struct scan	s = { .pool = pool, .value = value, .len = len,
			    .room = 8 };

	s.spans = pool_array(pool, s.room, sizeof(*s.spans));
	str_init(&s.bare, pool, 0);
	str_init(&s.comments, pool, 0);
	while (s.at < s.len)
		switch (s.value[s.at]) {
		case ',': case ';':
			end_element(&s);
			s.at++;
			break;
		case ':':
			reset(&s);
			s.at++;
			break;
		case '<':
			read_angle(&s);
			break;
		default:
			read_part(&s);
		}
	end_element(&s);
	*spans = s.spans;
	*count = s.count;
}
