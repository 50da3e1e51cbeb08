/*
 * chars.c - the characters that mail is written with.
 */
#include "common/mail/chars.h"

#include <string.h>

/* A character of an atom? */
bool
is_atext(char c)
{
	return is_alnum(c) ||
	    (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* One hexadecimal digit. */
int
hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* The first that is wide decides. */
bool
has_8bit(const char *text, size_t len)
{
	size_t	i;

	for (i = 0; i < len; i++)
		if (is_8bit(text[i]))
			return true;
	return false;
}

/* How many bytes the first byte promises, 0 when it cannot be the first. */
static size_t
promised_length(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first >= 0xc2 && first <= 0xdf)
		return 2;
	if (first >= 0xe0 && first <= 0xef)
		return 3;
	if (first >= 0xf0 && first <= 0xf4)
		return 4;
	return 0;
}

/* Is it a number that stands for a character of so many bytes? */
static bool
is_character(uint32_t point, size_t len)
{
	static const uint32_t	least[] = { 0, 0, 0x80, 0x800, 0x10000 };

	return point >= least[len] && point <= 0x10ffff &&
	    (point < 0xd800 || point > 0xdfff);
}

/* Read one character. */
size_t
utf8_length(const char *text, size_t len, uint32_t *point)
{
	size_t		need, i;
	uint32_t	n;

	if (len == 0)
		return 0;
	need = promised_length((unsigned char)text[0]);
	if (need == 0 || need > len)
		return 0;
	n = (unsigned char)text[0];
	if (need > 1)
		n &= 0x7fu >> need;
	for (i = 1; i < need; i++) {
		unsigned char	c = (unsigned char)text[i];

		if ((c & 0xc0) != 0x80)
			return 0;
		n = n << 6 | (c & 0x3f);
	}
	if (!is_character(n, need))
		return 0;
	if (point != NULL)
		*point = n;
	return need;
}

/* Check a whole text. */
bool
utf8_is_valid(const char *text, size_t len)
{
	uint32_t	point;
	size_t		n;

	for (; len > 0; text += n, len -= n) {
		n = utf8_length(text, len, &point);
		if (n == 0 || (point >= 0x80 && point <= 0x9f))
			return false;
	}
	return true;
}

/* Write one character. */
size_t
utf8_print(char *to, uint32_t point)
{
	size_t	len, i;

	len = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
	if (!is_character(point, len))
		return 0;
	if (len == 1) {
		to[0] = (char)point;
		return 1;
	}
	for (i = len - 1; i > 0; i--) {
		to[i] = (char)(0x80 | (point & 0x3f));
		point >>= 6;
	}
	to[0] = (char)((0xf00u >> len & 0xf0) | point);
	return len;
}
