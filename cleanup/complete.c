/*
 * complete.c - addresses in the headers of mail written here.
 *
 * "From: root (Cron Daemon)" means root@myorigin. Only what is plain is
 * completed: a word that stands alone, or alone between angle brackets. A
 * value with groups, or anything else unexpected, is left as it was written.
 */
#include "cleanup/transaction.h"

#include <ctype.h>
#include <string.h>

/* A value and the element of its list that is being read. */
struct scan {
	const char	*value;
	size_t		 len, at;
	size_t		 words;		/* outside of brackets */
	size_t		 word_end;	/* of the last atom */
	size_t		 insert_at;	/* inside of brackets; 0: nowhere */
	bool		 has_at, has_angle, has_quotes;
};

/* RFC 5322 3.2.3: a byte of a dot-atom; RFC 6532 adds the upper half. */
static bool
is_atom(char c)
{
	unsigned char	byte = (unsigned char)c;

	return byte >= 128 || isalnum(byte) ||
	    (byte != '\0' && strchr("!#$%&'*+-/=?^_`{|}~.", byte) != NULL);
}

/* Step over what ends with `close`; false when it does not end. */
static bool
skip_until(struct scan *s, char close)
{
	for (s->at++; s->at < s->len; s->at++) {
		if (s->value[s->at] == '\\')
			s->at++;
		else if (s->value[s->at] == close) {
			s->at++;
			return true;
		}
	}
	return false;
}

/* Step over a comment, which may hold others. */
static bool
skip_comment(struct scan *s)
{
	int	depth = 0;

	for (; s->at < s->len; s->at++) {
		if (s->value[s->at] == '\\')
			s->at++;
		else if (s->value[s->at] == '(')
			depth++;
		else if (s->value[s->at] == ')' && --depth == 0) {
			s->at++;
			return true;
		}
	}
	return false;
}

/* "<root>": the place before the bracket if nothing but atoms is inside. */
static bool
read_angle(struct scan *s)
{
	size_t	start = s->at + 1, i;

	if (s->has_angle || !skip_until(s, '>'))
		return false;
	s->has_angle = true;
	for (i = start; i < s->at - 1; i++)
		if (!is_atom(s->value[i]))
			return true;
	if (i > start)
		s->insert_at = i;
	return true;
}

/* One word, sign or bracket of an element; false when it is not simple. */
static bool
read_token(struct scan *s)
{
	char	c = s->value[s->at];

	switch (c) {
	case '"':
		s->has_quotes = true;
		return skip_until(s, '"');
	case '(':
		return skip_comment(s);
	case '<':
		return read_angle(s);
	case '@':
		s->has_at = true;
		s->at++;
		return true;
	case ' ': case '\t': case '\r': case '\n':
		s->at++;
		return true;
	default:
		break;
	}
	if (!is_atom(c))
		return false;
	while (s->at < s->len && is_atom(s->value[s->at]))
		s->at++;
	s->words++;
	s->word_end = s->at;
	return true;
}

/* Read up to a comma or the end: true, with the place where the origin is
 * missing or 0; false when it is not simple. */
static bool
read_element(struct scan *s, size_t *insert_at)
{
	s->words = s->word_end = s->insert_at = 0;
	s->has_at = s->has_angle = s->has_quotes = false;
	while (s->at < s->len && s->value[s->at] != ',')
		if (!read_token(s))
			return false;
	*insert_at = s->insert_at;
	if (!s->has_angle && !s->has_at && !s->has_quotes && s->words == 1)
		*insert_at = s->word_end;
	return true;
}

/* Complete a whole value. */
char *
complete_header(struct pool *pool, const char *value, size_t len,
    const char *origin)
{
	struct scan	s = { .value = value, .len = len };
	struct str	to;
	size_t		place, copied = 0;

	str_init(&to, pool, 0);
	for (; s.at < s.len; s.at++) {
		if (!read_element(&s, &place))
			return NULL;
		if (place == 0)
			continue;
		str_add_mem(&to, value + copied, place - copied);
		str_addf(&to, "@%s", origin);
		copied = place;
	}
	if (copied == 0)
		return NULL;
	str_add_mem(&to, value + copied, len - copied);
	return to.data;
}
