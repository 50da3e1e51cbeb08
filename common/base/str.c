/*
 * str.c - the one growing string.
 *
 * The buffer doubles inside its pool, up to the limit. size <= limit + 1
 * always holds, so whatever fits the buffer also fits the limit.
 */
#include "common/base/str.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/base/bug.h"
#include "common/base/text.h"

enum {
	FIRST_SIZE	= 64,
	DEFAULT_LIMIT	= 16 * 1024 * 1024
};

/* An empty string. */
void
str_init(struct str *s, struct pool *pool, size_t limit)
{
	s->limit = limit > 0 ? limit : DEFAULT_LIMIT;
	CLAIM(s->limit < SIZE_MAX);
	s->size = FIRST_SIZE;
	if (s->size > s->limit + 1)
		s->size = s->limit + 1;
	s->pool = pool;
	s->data = pool_room(pool, s->size);
	s->data[0] = '\0';
	s->len = 0;
	s->is_cut = false;
}

/* Empty again; the buffer stays. */
void
str_clear(struct str *s)
{
	s->len = 0;
	s->data[0] = '\0';
	s->is_cut = false;
}

/* A longer buffer for up to `len` more bytes; how many may be added. */
static size_t
grow(struct str *s, size_t len)
{
	size_t	wanted, size = s->size;

	if (len > s->limit - s->len) {
		len = s->limit - s->len;
		s->is_cut = true;
	}
	wanted = s->len + len + 1;
	if (wanted <= s->size)
		return len;
	while (size < wanted)
		size = size > s->limit / 2 ? s->limit + 1 : size * 2;
	s->data = pool_resize(s->pool, s->data, s->size, size);
	s->size = size;
	return len;
}

/* Room for up to `len` more bytes; returns how many may be added. */
static inline size_t
make_room(struct str *s, size_t len)
{
	return len < s->size - s->len ? len : grow(s, len);
}

/* Append bytes, which are not part of the string itself. */
void
str_add_mem(struct str *s, const void *data, size_t len)
{
	len = make_room(s, len);
	if (len > 0)
		memcpy(s->data + s->len, data, len);
	s->len += len;
	s->data[s->len] = '\0';
}

/* Append a string. */
void
str_add(struct str *s, const char *text)
{
	str_add_mem(s, text, strlen(text));
}

/* Append one byte. */
void
str_add_char(struct str *s, char c)
{
	if (make_room(s, 1) == 0)
		return;
	s->data[s->len++] = c;
	s->data[s->len] = '\0';
}

/* Append by format. */
void
str_addf(struct str *s, const char *format, ...)
{
	va_list	ap;

	va_start(ap, format);
	str_addv(s, format, ap);
	va_end(ap);
}

/* Append by format: into the room there is, again if it was too small. */
void
str_addv(struct str *s, const char *format, va_list ap)
{
	va_list	again;
	size_t	room = s->size - s->len;
	int	n;

	va_copy(again, ap);
	n = vsnprintf(s->data + s->len, room, format, ap);
	if (n < 0)
		bug("cannot print by \"%s\"", format);
	if ((size_t)n < room) {
		s->len += (size_t)n;
	} else {
		room = make_room(s, (size_t)n);
		vsnprintf(s->data + s->len, room + 1, format, again);
		s->len += room;
	}
	va_end(again);
}

/* Shorten. */
void
str_cut(struct str *s, size_t len)
{
	CLAIM(len <= s->len);
	s->len = len;
	s->data[len] = '\0';
}

/* Append a number. */
void
str_add_number(struct str *s, uint64_t n)
{
	char	digits[20], *at = digits + sizeof(digits);

	do
		*--at = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	str_add_mem(s, at, (size_t)(digits + sizeof(digits) - at));
}

/* How many of the first bytes are shown as they are. */
static size_t
plain_run(const char *text, size_t len)
{
	size_t		 n = text_printable(text, len);
	const char	*backslash = memchr(text, '\\', n);

	return backslash == NULL ? n : (size_t)(backslash - text);
}

/* Append what a person can read and a program can reverse. */
void
str_add_escaped(struct str *s, const char *text, size_t len)
{
	size_t	i, n;

	for (i = 0; i < len && !s->is_cut; i++) {
		unsigned char	c;

		if ((n = plain_run(text + i, len - i)) > 0)
			str_add_mem(s, text + i, n);
		if ((i += n) == len)
			break;
		c = (unsigned char)text[i];
		if (c == '\\')
			str_add(s, "\\\\");
		else if (s->limit - s->len < 4)
			s->is_cut = true;	/* no half escapes */
		else
			str_addf(s, "\\%03o", c);
	}
}
