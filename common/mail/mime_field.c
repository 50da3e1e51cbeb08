/*
 * mime_field.c - what Content-Type and Content-Transfer-Encoding say.
 *
 * The grammar of RFC 2045 5.1 with comments and folding; an unquoted value
 * may hold what should have been quoted ("boundary=----=_Part_1"), since that
 * is written by many and understood by all.
 */
#include "common/mail/mime.h"

#include <string.h>

#include "common/base/text.h"
#include "common/mail/chars.h"

enum { SECTIONS = 64 };		/* of one parameter (RFC 2231 3) */

struct cursor {
	const char	*at, *end;
};

/* One parameter as it stands there. */
struct parameter {
	const char	*name, *value;
	size_t		 name_len, value_len;
	bool		 is_quoted;
};

/* The parameter's text as it is put together. */
struct target {
	char	*to;
	size_t	 len, size;
	bool	 is_cut;
};

/* Step over a comment; comments nest. */
static void
skip_comment(struct cursor *c)
{
	size_t	depth = 0;

	for (; c->at < c->end; c->at++) {
		if (*c->at == '\\' && c->at + 1 < c->end)
			c->at++;
		else if (*c->at == '(')
			depth++;
		else if (*c->at == ')' && --depth == 0) {
			c->at++;
			return;
		}
	}
}

/* Step over white space, line ends and comments. */
static void
skip_space(struct cursor *c)
{
	while (c->at < c->end) {
		if (*c->at == '(')
			skip_comment(c);
		else if (is_blank(*c->at) || *c->at == '\r' || *c->at == '\n')
			c->at++;
		else
			return;
	}
}

/* Step over a quoted string, the cursor on its first quotation mark; what is
 * inside. */
static void
skip_quoted(struct cursor *c, const char **text, size_t *len)
{
	*text = ++c->at;
	while (c->at < c->end && *c->at != '"')
		c->at += *c->at == '\\' && c->at + 1 < c->end ? 2 : 1;
	*len = (size_t)(c->at - *text);
	if (c->at < c->end)
		c->at++;
}

/* Step over bytes that are none of these, nor white space or controls. */
static size_t
skip_word(struct cursor *c, const char *ends)
{
	const char	*start = c->at;

	while (c->at < c->end && *c->at != ' ' &&
	    !is_control((unsigned char)*c->at) &&
	    strchr(ends, *c->at) == NULL)
		c->at++;
	return (size_t)(c->at - start);
}

/* A word in lower case, up to `size` - 1 bytes of it; was there one? */
static bool
copy_word(struct cursor *c, char *to, size_t size)
{
	const char	*start = c->at;
	size_t		 len = skip_word(c, "()<>@,;:\\\"/[]?=");

	if (len == 0)
		return false;
	if (len > size - 1)
		len = size - 1;
	memcpy(to, start, len);
	to[len] = '\0';
	text_lower(to);
	return true;
}

/* RFC 2045 5.1: type "/" subtype. */
bool
mime_parse_type(const char *value, size_t len, struct mime_entity *e)
{
	struct cursor	c = { value, value + len };
	char		type[MIME_WORD], subtype[MIME_WORD];

	skip_space(&c);
	if (!copy_word(&c, type, sizeof(type)))
		return false;
	skip_space(&c);
	if (c.at == c.end || *c.at++ != '/')
		return false;
	skip_space(&c);
	if (!copy_word(&c, subtype, sizeof(subtype)))
		return false;
	memcpy(e->type, type, sizeof(type));
	memcpy(e->subtype, subtype, sizeof(subtype));
	return true;
}

/* RFC 2045 6.1. */
enum mime_encoding
mime_parse_encoding(const char *value, size_t len)
{
	static const char *const	 names[] = {
		[MIME_7BIT] = "7bit", [MIME_8BIT] = "8bit",
		[MIME_BINARY] = "binary", [MIME_QP] = "quoted-printable",
		[MIME_BASE64] = "base64"
	};
	struct cursor			 c = { value, value + len };
	const char			*word;
	size_t				 i, n;

	skip_space(&c);
	word = c.at;
	n = skip_word(&c, ";(");
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (text_equal_mem(names[i], word, n))
			return (enum mime_encoding)i;
	return MIME_UNKNOWN;
}

/* The next parameter behind a semicolon. */
static bool
next_parameter(struct cursor *c, struct parameter *p)
{
	const char	*text;
	size_t		 len;

	while (c->at < c->end && *c->at != ';') {
		skip_space(c);
		if (c->at < c->end && *c->at == '"')
			skip_quoted(c, &text, &len);
		else if (c->at < c->end && *c->at != ';')
			c->at++;
	}
	if (c->at == c->end)
		return false;
	c->at++;
	skip_space(c);
	memset(p, 0, sizeof(*p));
	p->name = c->at;
	p->name_len = skip_word(c, "=;(\"");
	skip_space(c);
	if (c->at == c->end || *c->at != '=')
		return true;
	c->at++;
	skip_space(c);
	p->value = c->at;
	p->is_quoted = c->at < c->end && *c->at == '"';
	if (p->is_quoted)
		skip_quoted(c, &p->value, &p->value_len);
	else
		p->value_len = skip_word(c, ";(\"");
	return true;
}

/* Find "NAME", "NAME*", "NAME*0" or "NAME*0*": `tail` stands behind it. */
static bool
find_parameter(const char *value, size_t len, const char *name,
    const char *tail, struct parameter *p)
{
	struct cursor	c = { value, value + len };
	size_t		n = strlen(name);

	while (next_parameter(&c, p))
		if (p->value != NULL && p->name_len == n + strlen(tail) &&
		    text_equal_mem(name, p->name, n) &&
		    memcmp(p->name + n, tail, p->name_len - n) == 0)
			return true;
	return false;
}

/* Add a byte. */
static void
add_byte(struct target *t, char c)
{
	if (t->len + 1 < t->size)
		t->to[t->len++] = c;
	else
		t->is_cut = true;
}

/* RFC 2231 4: behind "charset'language'" of the first section. */
static void
skip_charset(struct parameter *p)
{
	const char	*end = p->value + p->value_len, *mark;
	int		 i;

	for (i = 0; i < 2; i++) {
		mark = memchr(p->value, '\'', (size_t)(end - p->value));
		if (mark == NULL)
			return;
		p->value = mark + 1;
		p->value_len = (size_t)(end - p->value);
	}
}

/* Add a parameter's value, without quotes, line ends and %XX. */
static void
add_value(struct target *t, const struct parameter *p, bool is_extended)
{
	const char	*at = p->value, *end = at + p->value_len;

	for (; at < end; at++) {
		if (p->is_quoted && (*at == '\r' || *at == '\n'))
			continue;
		if (p->is_quoted && *at == '\\' && at + 1 < end)
			at++;
		if (is_extended && *at == '%' && end - at > 2 &&
		    hex_value(at[1]) != -1 && hex_value(at[2]) != -1) {
			add_byte(t, (char)(hex_value(at[1]) << 4 |
			    hex_value(at[2])));
			at += 2;
		} else {
			add_byte(t, *at);
		}
	}
}

/* RFC 2231 3: "NAME*0", "NAME*1*", ... up to the first that is missing. */
static bool
add_sections(struct target *t, const char *value, size_t len,
    const char *name)
{
	struct parameter	p;
	char			tail[8] = "*";
	size_t			i, n;
	bool			is_extended;

	for (i = 0; i < SECTIONS; i++) {
		n = 1;
		if (i >= 10)
			tail[n++] = (char)('0' + i / 10);
		tail[n++] = (char)('0' + i % 10);
		tail[n] = '\0';
		is_extended = false;
		if (!find_parameter(value, len, name, tail, &p)) {
			is_extended = true;
			tail[n] = '*';
			tail[n + 1] = '\0';
			if (!find_parameter(value, len, name, tail, &p))
				break;
		}
		if (is_extended && i == 0)
			skip_charset(&p);
		add_value(t, &p, is_extended);
	}
	return i > 0;
}

/* The parameter in whatever form it has. */
bool
mime_parameter(const char *value, size_t len, const char *name, char *to,
    size_t size, bool *is_cut)
{
	struct target		t = { to, 0, size, false };
	struct parameter	p;
	bool			found = true;

	if (find_parameter(value, len, name, "", &p)) {
		add_value(&t, &p, false);
	} else if (find_parameter(value, len, name, "*", &p)) {
		skip_charset(&p);
		add_value(&t, &p, true);
	} else {
		found = add_sections(&t, value, len, name);
	}
	to[t.len] = '\0';
	if (is_cut != NULL)
		*is_cut = t.is_cut;
	return found;
}
