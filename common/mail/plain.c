/*
 * plain.c - text in which nothing has to be changed, found quickly.
 *
 * Nearly all of what passes through a mail system is such text: so it is looked
 * at in blocks, without a branch for a line or a byte, in loops of a form that
 * compilers make vector instructions of. (Measured for 5 MB in lines of 80
 * bytes: a tenth of the instructions that a search for each line end costs.)
 * What is left at the end is looked at in a block that overlaps the one before.
 */
#include "common/mail/plain.h"

enum { BLOCK = 128 };

/* Has a block a CR or an LF that stands alone? */
static unsigned char
has_stray(const char *at)
{
	unsigned char	found = 0;
	size_t		i;

	for (i = 0; i < BLOCK; i++)
		found |= (at[i] == '\n') ^ (at[i - 1] == '\r');
	return found;
}

/* Has it that, or a line that begins with a dot? */
static unsigned char
has_stray_or_dot(const char *at)
{
	unsigned char	found = 0;
	size_t		i;

	for (i = 0; i < BLOCK; i++) {
		found |= (at[i] == '\n') ^ (at[i - 1] == '\r');
		found |= (at[i] == '.') & (at[i - 1] == '\n');
	}
	return found;
}

/* Blocks without one. */
static inline size_t
count(const char *text, size_t len, unsigned char (*has)(const char *))
{
	size_t	n = 0;

	while (len - n >= BLOCK) {
		if (has(text + n))
			return n;
		n += BLOCK;
	}
	return n > 0 && n < len && !has(text + len - BLOCK) ? len : n;
}

/* Without strays. */
size_t
plain_lines(const char *text, size_t len)
{
	return count(text, len, has_stray);
}

/* Without dots, too. */
size_t
plain_text(const char *text, size_t len)
{
	return count(text, len, has_stray_or_dot);
}
