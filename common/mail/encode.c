/*
 * encode.c - bytes dressed as text for the ways that carry only text.
 */
#include "common/mail/encode.h"

#include <string.h>

#include "common/mail/chars.h"

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char hex_digits[] = "0123456789ABCDEF";

enum {
	QP_LINE		= 76,		/* RFC 2045 6.7 (5), with its "=" */
	WORD_BYTES	= 45		/* in base64: 60 of a word's 75 */
};

/* RFC 4648 4. */
void
base64_encode(struct str *to, const void *data, size_t len)
{
	const unsigned char	*in = data;
	size_t			 i;

	for (i = 0; i < len; i += 3) {
		size_t		left = len - i;
		uint32_t	bits = (uint32_t)in[i] << 16;
		char		four[4];

		bits |= left > 1 ? (uint32_t)in[i + 1] << 8 : 0;
		bits |= left > 2 ? in[i + 2] : 0;
		four[0] = base64_digits[bits >> 18];
		four[1] = base64_digits[bits >> 12 & 63];
		four[2] = left > 1 ? base64_digits[bits >> 6 & 63] : '=';
		four[3] = left > 2 ? base64_digits[bits & 63] : '=';
		str_add_mem(to, four, 4);
	}
}

/* The value of a digit, or -1. */
static int
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (is_digit(c))
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four digits to at most three bytes: how many, or -1. Padding may stand in
 * the last group only, and the bits that it leaves over must be zero. */
static int
decode_group(unsigned char *to, const char *in, bool is_last)
{
	uint32_t	bits = 0;
	int		i, digits = 4;

	if (is_last && in[3] == '=')
		digits = in[2] == '=' ? 2 : 3;
	for (i = 0; i < digits; i++) {
		if (base64_value(in[i]) == -1)
			return -1;
		bits |= (uint32_t)base64_value(in[i]) << (18 - 6 * i);
	}
	if ((digits == 2 && (bits & 0xffff)) || (digits == 3 && (bits & 0xff)))
		return -1;
	for (i = 0; i < digits - 1; i++)
		to[i] = (unsigned char)(bits >> (16 - 8 * i));
	return digits - 1;
}

/* RFC 4648 4, and nothing else. */
ssize_t
base64_decode(void *to, const char *in, size_t len)
{
	unsigned char	*out = to;
	size_t		 i;
	int		 n;

	if (len % 4 != 0)
		return -1;
	for (i = 0; i < len; i += 4) {
		if ((n = decode_group(out, in + i, i + 4 == len)) == -1)
			return -1;
		out += n;
	}
	return out - (unsigned char *)to;
}

/* Add a byte as a mark and two hexadecimal digits. */
static void
add_hex(struct str *to, char mark, char c)
{
	char	three[3] = { mark, hex_digits[(unsigned char)c >> 4],
		    hex_digits[c & 15] };

	str_add_mem(to, three, 3);
}

/* RFC 3461 4: "+" and "=", space, controls and 8-bit bytes are hidden. */
void
xtext_encode(struct str *to, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text > ' ' && *text < 0x7f && *text != '+' &&
		    *text != '=')
			str_add_char(to, *text);
		else
			add_hex(to, '+', *text);
	}
}

/* RFC 6533 3: "+", "=" and the backslash mean something themselves. */
void
points_encode(struct str *to, const char *text)
{
	uint32_t	point;
	size_t		len;

	for (; *text != '\0'; text += len) {
		len = utf8_length(text, strlen(text), &point);
		if (len == 0) {
			str_add_char(to, '?');
			len = 1;
		} else if (point > ' ' && point < 0x7f &&
		    strchr("\\+=", (int)point) == NULL)
			str_add_char(to, (char)point);
		else
			str_addf(to, "\\x{%X}", (unsigned)point);
	}
}

/* RFC 3461 4; bytes beyond ASCII may stand plain (RFC 6533). */
char *
xtext_decode(struct pool *pool, const char *text)
{
	char	*decoded = pool_strdup(pool, text), *to = decoded;
	int	 c;

	for (; *text != '\0'; text++) {
		c = (unsigned char)*text;
		if (c == '+') {
			/* RFC 3461: upper case; lower is understood. */
			if (hex_value(text[1]) == -1 ||
			    hex_value(text[2]) == -1)
				return NULL;
			c = hex_value(text[1]) << 4 | hex_value(text[2]);
			text += 2;
		} else if (c == '=' || c == ' ') {
			return NULL;
		}
		if (is_control((unsigned char)c))
			return NULL;
		*to++ = (char)c;
	}
	*to = '\0';
	return decoded;
}

/* What some way would change at a line's start, or some reader would take for
 * a boundary: a soft line end may stand anywhere. */
static bool
is_touchy(const char *at, size_t left)
{
	return *at == '.' || (*at == '-' && (left == 1 || at[1] == '-')) ||
	    (left >= 5 && memcmp(at, "From ", 5) == 0);
}

/* Can this byte stand for itself? A blank before a line end cannot. */
static bool
is_plain(const char *at, size_t left, size_t column)
{
	bool	is_before_end = left == 1 ||
		    (left > 2 && at[1] == '\r' && at[2] == '\n');

	if (is_blank(*at))
		return !is_before_end;
	if (column == 0 && is_touchy(at, left))
		return false;
	return *at > ' ' && *at < 0x7f && *at != '=';
}

/* RFC 2045 6.7: lines of at most 76 characters. */
void
qp_encode_more(struct str *to, size_t *column, const void *data, size_t len)
{
	const char	*at = data, *end = at + len;
	size_t		 width;
	bool		 plain;

	for (; at < end; at++) {
		size_t	left = (size_t)(end - at);

		if (left >= 2 && at[0] == '\r' && at[1] == '\n') {
			str_add(to, "\r\n");
			*column = 0;
			at++;
			continue;
		}
		plain = is_plain(at, left, *column);
		width = plain ? 1 : 3;
		if (*column + width > QP_LINE - 1) {
			str_add(to, "=\r\n");
			*column = 0;
			plain = is_plain(at, left, 0);
			width = plain ? 1 : 3;
		}
		if (plain)
			str_add_char(to, *at);
		else
			add_hex(to, '=', *at);
		*column += width;
	}
}

/* A whole text. */
void
qp_encode(struct str *to, const void *data, size_t len)
{
	size_t	column = 0;

	qp_encode_more(to, &column, data, len);
}

/* What a display name needs. */
enum dress { DRESS_NONE, DRESS_QUOTES, DRESS_WORDS };

static enum dress
dress_needed(const char *text)
{
	enum dress	need = *text == '\0' ? DRESS_QUOTES : DRESS_NONE;
	const char	*at;

	for (at = text; *at != '\0'; at++) {
		if (is_8bit(*at))
			return DRESS_WORDS;
		/* One space between atoms needs nothing. */
		if (!is_atext(*at) && (*at != ' ' || at == text ||
		    at[1] == ' ' || at[1] == '\0'))
			need = DRESS_QUOTES;
	}
	return need;
}

/* A copy with '?' for controls and for what is not UTF-8. */
static char *
clean_copy(struct pool *pool, const char *text)
{
	char	*copy = pool_strdup(pool, text), *at = copy;
	size_t	 left = strlen(copy), len;

	while (left > 0) {
		len = utf8_length(at, left, NULL);
		if (len == 0 || is_control((unsigned char)*at) ||
		    !utf8_is_valid(at, len)) {
			len = 1;
			*at = '?';
		}
		at += len;
		left -= len;
	}
	return copy;
}

/* RFC 2047: words of whole characters, separated by spaces. */
static void
add_words(struct str *to, const char *text)
{
	size_t	left = strlen(text), n, len;

	while (left > 0) {
		for (n = 0; n < left; n += len) {
			len = utf8_length(text + n, left - n, NULL);
			if (n + len > WORD_BYTES)
				break;
		}
		str_add(to, "=?utf-8?B?");
		base64_encode(to, text, n);
		str_add(to, "?=");
		text += n;
		if ((left -= n) > 0)
			str_add_char(to, ' ');
	}
}

/* Dress a display name. */
char *
phrase_encode(struct pool *pool, const char *utf8)
{
	char		*clean = clean_copy(pool, utf8);
	struct str	 to;

	str_init(&to, pool, 0);
	switch (dress_needed(clean)) {
	case DRESS_NONE:
		return clean;
	case DRESS_WORDS:
		add_words(&to, clean);
		break;
	case DRESS_QUOTES:
		str_add_char(&to, '"');
		for (; *clean != '\0'; clean++) {
			if (*clean == '"' || *clean == '\\')
				str_add_char(&to, '\\');
			str_add_char(&to, *clean);
		}
		str_add_char(&to, '"');
	}
	return to.data;
}
