/*
 * message.c - bodies that follow from an id.
 *
 * Lines are up to 900 characters long; some begin with a dot, which SMTP
 * doubles on its way. None begins with "From ".
 */
#include "t/crash/message.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Numbers that look like chance. */
static uint64_t
next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* The start of a body: a number for each id. */
static uint64_t
seed(const char *id)
{
	uint64_t	 h = 14695981039346656037u;

	for (; *id != '\0'; id++)
		h = (h ^ (unsigned char)*id) * 1099511628211u;
	return h | 1;
}

/* The body of an id, with CRLF; at least `size` bytes. How many it has. */
static size_t
body_make(const char *id, size_t size, char *to)
{
	static const char	 letters[] = "abcdefghijklmnopqrstuvwxyz    -.";
	uint64_t		 state = seed(id), word;
	size_t			 n = 0, line, i;

	while (n < size) {
		word = next(&state);
		line = 20 + (word % 16 == 0 ? (word >> 8) % 880 :
		    (word >> 8) % 60);
		if (word % 32 == 1)
			to[n++] = '.';
		for (i = 0; i < line; i++) {
			if (i % 12 == 0)
				word = next(&state);
			to[n++] = letters[word % 32];
			word >>= 5;
		}
		to[n++] = 'x';		/* white space at an end may be lost */
		to[n++] = '\r';
		to[n++] = '\n';
	}
	return n;
}

char *
message_make(const char *id, size_t size, size_t *length)
{
	char	*text = malloc(HEADER_MAX + size + 1024);
	int	 n;

	if (text == NULL)
		abort();
	n = snprintf(text, HEADER_MAX, "X-Id: %s\r\nX-Size: %zu\r\n"
	    "Message-Id: <%s@load.test>\r\nSubject: load\r\n\r\n", id, size,
	    id);
	*length = (size_t)n + body_make(id, size, text + n);
	return text;
}

/* The value of a header line of ours, somewhere before the body. */
static bool
find(const char *text, const char *end, const char *name, char *to, size_t size)
{
	const char	*p;
	size_t		 n;

	p = memmem(text, (size_t)(end - text), name, strlen(name));
	if (p == NULL)
		return false;
	p += strlen(name);
	for (n = 0; p + n < end && isgraph((unsigned char)p[n]); n++)
		continue;
	if (n == 0 || n >= size)
		return false;
	memcpy(to, p, n);
	to[n] = '\0';
	return true;
}

/* Behind the empty line that ends the header, or NULL. */
static const char *
body_of(const char *text, const char *end)
{
	const char	*p;

	for (p = text; (p = memchr(p, '\n', (size_t)(end - p))) != NULL; ) {
		p++;
		if (p < end && *p == '\n')
			return p + 1;
		if (p + 1 < end && p[0] == '\r' && p[1] == '\n')
			return p + 2;
	}
	return NULL;
}

/* The same but for CR, and for empty lines at the end? */
static bool
is_same(const char *a, const char *a_end, const char *b, const char *b_end)
{
	for (; b < b_end; b++) {
		if (*b == '\r')
			continue;
		while (a < a_end && *a == '\r')
			a++;
		if (a == a_end || *a++ != *b)
			return false;
	}
	while (a < a_end && (*a == '\r' || *a == '\n'))
		a++;
	return a == a_end;
}

bool
message_is_whole(const char *text, size_t length)
{
	const char	*end = text + length, *body = body_of(text, end);
	char		 id[ID_MAX], number[24], *made;
	size_t		 size, n;
	bool		 is_good;

	if (body == NULL || !find(text, body, "X-Id: ", id, sizeof(id)) ||
	    !find(text, body, "X-Size: ", number, sizeof(number)))
		return false;
	size = strtoul(number, NULL, 10);
	if (size > 32u << 20 || (made = malloc(size + 1024)) == NULL)
		return false;
	n = body_make(id, size, made);
	is_good = is_same(body, end, made, made + n);
	free(made);
	return is_good;
}

bool
message_key(const char *text, const char *end, char key[KEY_MAX])
{
	const char	*at, *start;
	size_t		 n;

	if ((at = memchr(text, '@', (size_t)(end - text))) == NULL)
		return false;
	for (start = at; start > text && (islower((unsigned char)start[-1]) ||
	    isdigit((unsigned char)start[-1]) || start[-1] == '-'); start--)
		continue;
	n = (size_t)(at - start);
	if (n == 0 || n >= KEY_MAX)
		return false;
	memcpy(key, start, n);
	key[n] = '\0';
	return true;
}
