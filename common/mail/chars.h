#ifndef MAIL_CHARS_H
#define MAIL_CHARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The character classes of mail grammars. ASCII only, whatever the locale
 * says; bytes from 0x80 belong to no class and are asked for by is_8bit().
 */
static inline bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool
is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool
is_alnum(char c)
{
	return is_alpha(c) || is_digit(c);
}

static inline bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static inline bool
is_control(unsigned char c)
{
	return c < ' ' || c == 0x7f;
}

static inline bool
is_8bit(char c)
{
	return (unsigned char)c >= 0x80;
}

/* RFC 5322 3.2.3 atext. */
bool	 is_atext(char c);

/* The value of a hexadecimal digit, or -1. */
int	 hex_value(char c);

/*
 * The length of the UTF-8 character at the start of text (RFC 3629: no
 * overlong form, no surrogate, nothing above U+10FFFF), 0 when it is none.
 * *point, if asked for, gets its number.
 */
size_t	 utf8_length(const char *text, size_t len, uint32_t *point);

/* Whole characters only, and no C1 control (U+0080 to U+009F). */
bool	 utf8_is_valid(const char *text, size_t len);

/* Append the character; `to` has room for 4 bytes. Returns its length, 0 for
 * what is not a character. */
size_t	 utf8_print(char *to, uint32_t point);

/* Any byte above 127? */
bool	 has_8bit(const char *, size_t);

#endif
