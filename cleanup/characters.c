/*
 * characters.c - sets of bytes that no message shall have.
 */
#include "cleanup/characters.h"

#include <string.h>

/* Up to three octal digits: the number, *text behind it. */
static unsigned
octal(const char **text)
{
	unsigned	n = 0, digits;

	for (digits = 0; digits < 3 && **text >= '0' && **text <= '7';
	    digits++)
		n = n * 8 + (unsigned)(*(*text)++ - '0');
	return n;
}

/* What stands behind a backslash: its number, or -1. */
static int
escape(const char **text)
{
	static const char	letters[] = "abfnrtv\\", meant[] =
				    "\a\b\f\n\r\t\v\\";
	const char		*letter;
	unsigned		 n;

	if (**text >= '0' && **text <= '7') {
		n = octal(text);
		return n < 256 ? (int)n : -1;
	}
	if (**text == '\0' || (letter = strchr(letters, **text)) == NULL)
		return -1;
	(*text)++;
	return (unsigned char)meant[letter - letters];
}

/* The set. */
const char *
characters_parse(struct characters *c, const char *text)
{
	int	n;

	memset(c, 0, sizeof(*c));
	while (*text != '\0') {
		if (*text != '\\') {
			n = (unsigned char)*text++;
		} else {
			text++;
			if ((n = escape(&text)) == -1)
				return "expected \\ddd (octal), \\\\ or one "
				    "of \\a \\b \\f \\n \\r \\t \\v behind a "
				    "backslash";
		}
		c->has[n] = c->is_any = true;
	}
	return NULL;
}

/* An empty one? */
bool
characters_are_none(const struct characters *c)
{
	return !c->is_any;
}

/* Is it one of them? */
bool
characters_have(const struct characters *c, char one)
{
	return c->has[(unsigned char)one];
}

/* Close the gaps. */
size_t
characters_strip(const struct characters *c, char *data, size_t len)
{
	size_t	i, kept = 0;

	if (!c->is_any)
		return len;
	for (i = 0; i < len; i++)
		if (!characters_have(c, data[i]))
			data[kept++] = data[i];
	return kept;
}

/* Any of them? */
bool
characters_find(const struct characters *c, const char *data, size_t len)
{
	size_t	i;

	for (i = 0; c->is_any && i < len; i++)
		if (characters_have(c, data[i]))
			return true;
	return false;
}
