/*
 * dsn.c - enhanced status codes (RFC 3463) and what a sender may say about
 * reports (RFC 3461, RFC 6533).
 */
#include "common/mail/dsn.h"

#include <string.h>

#include "common/base/text.h"
#include "common/mail/chars.h"
#include "common/mail/encode.h"

enum {
	ORCPT_MAX	= 500,		/* RFC 3461 4.2 */
	ENVID_MAX	= 100		/* RFC 3461 4.4 */
};

/* One to three digits without a leading zero (RFC 3463 2). */
static size_t
number_length(const char *text)
{
	size_t	len = strspn(text, "0123456789");

	return len > 3 || (len > 1 && text[0] == '0') ? 0 : len;
}

/* The length of "class.subject.detail", 0 if it is none. */
static size_t
code_length(const char *text)
{
	size_t	subject, detail;

	if (strchr("245", text[0]) == NULL || text[0] == '\0' ||
	    text[1] != '.')
		return 0;
	if ((subject = number_length(text + 2)) == 0 ||
	    text[2 + subject] != '.')
		return 0;
	if ((detail = number_length(text + 3 + subject)) == 0)
		return 0;
	return 3 + subject + detail;
}

/* Find a code at the start of a reply's text. */
size_t
dsn_find(const char *text, int code)
{
	size_t	len = code_length(text);

	if (len == 0 || (text[len] != '\0' && text[len] != ' ' &&
	    text[len] != '\t' && text[len] != '\n'))
		return 0;
	return code != 0 && text[0] - '0' != code / 100 ? 0 : len;
}

/* Is the whole text a code? */
bool
dsn_is_valid(const char *text)
{
	size_t	len = code_length(text);

	return len > 0 && text[len] == '\0';
}

/* The bit of one word of NOTIFY, 0 for what is none. */
static int
notify_bit(const char *word, size_t len)
{
	static const struct { const char *word; int bit; } words[] = {
		{ "NEVER",	NOTIFY_NEVER },
		{ "SUCCESS",	NOTIFY_SUCCESS },
		{ "FAILURE",	NOTIFY_FAILURE },
		{ "DELAY",	NOTIFY_DELAY }
	};
	size_t	i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (text_equal_mem(words[i].word, word, len))
			return words[i].bit;
	return 0;
}

/* RFC 3461 4.1: NEVER alone, or any of the others. */
const char *
dsn_parse_notify(const char *text, int *bits)
{
	size_t	len;
	int	bit;

	for (*bits = 0;; text += len + 1) {
		len = strcspn(text, ",");
		if ((bit = notify_bit(text, len)) == 0)
			return "NOTIFY is NEVER, or some of SUCCESS, FAILURE "
			    "and DELAY";
		if (*bits & bit)
			return "NOTIFY has a word twice";
		*bits |= bit;
		if (text[len] == '\0')
			break;
	}
	if ((*bits & NOTIFY_NEVER) && *bits != NOTIFY_NEVER)
		return "NOTIFY=NEVER must stand alone";
	return NULL;
}

/* RFC 6533 3: put a character for each "\x{HEX}", in place. */
static bool
decode_points(char *text)
{
	char		*to = text;
	uint32_t	 point;
	size_t		 len;
	int		 digits;

	while (*text != '\0') {
		if (*text != '\\') {
			*to++ = *text++;
			continue;
		}
		if (strncmp(text, "\\x{", 3) != 0)
			return false;
		point = 0;
		for (text += 3, digits = 0; hex_value(*text) >= 0; digits++) {
			if (digits == 6)
				return false;
			point = point << 4 | (uint32_t)hex_value(*text++);
		}
		if (*text++ != '}' || point < ' ' || point == 0x7f ||
		    (len = utf8_print(to, point)) == 0)
			return false;
		to += len;
	}
	*to = '\0';
	return true;
}

/* ASCII alone? */
static bool
is_ascii(const char *text)
{
	for (; *text != '\0'; text++)
		if (is_8bit(*text))
			return false;
	return true;
}

/* RFC 3461 4.3. */
const char *
dsn_parse_ret(const char *text, char **what)
{
	static char	full[] = "FULL", headers[] = "HDRS";

	if (text_equal(text, full))
		*what = full;
	else if (text_equal(text, headers))
		*what = headers;
	else
		return "RET is FULL or HDRS";
	return NULL;
}

/* xtext as RFC 3461 4 has it: codes are in upper case. */
static char *
decode_xtext(struct pool *pool, const char *text)
{
	const char	*at;

	for (at = text; (at = strchr(at, '+')) != NULL; at++)
		if (strspn(at + 1, "0123456789ABCDEF") < 2)
			return NULL;
	return xtext_decode(pool, text);
}

/* RFC 3461 4.4: printable ASCII in xtext. */
const char *
dsn_parse_envid(struct pool *pool, const char *text, char **id)
{
	if (strnlen(text, ENVID_MAX + 1) > ENVID_MAX)
		return "ENVID is too long";
	*id = decode_xtext(pool, text);
	if (*id == NULL || **id == '\0' || !is_ascii(*id))
		return "ENVID is not printable ASCII in xtext";
	return NULL;
}

/* RFC 3461 4.2: an address type, ";" and the address as xtext. Postfix has
 * UTF-8 of the type rfc822 in xtext: it becomes what RFC 6533 calls it. */
const char *
dsn_parse_orcpt(struct pool *pool, const char *text, char **orcpt)
{
	static const char	 wrong[] = "ORCPT is not a type, \";\" and an "
				    "address in xtext";
	char			*address;
	size_t			 len = 0;
	bool			 is_utf8;

	if (strnlen(text, ORCPT_MAX + 1) > ORCPT_MAX)
		return "ORCPT is too long";
	while (is_atext(text[len]))
		len++;
	if (len == 0 || text[len] != ';' ||
	    (address = decode_xtext(pool, text + len + 1)) == NULL ||
	    *address == '\0')
		return wrong;
	is_utf8 = text_equal_mem("utf-8", text, len);
	if (is_utf8 && !decode_points(address))
		return wrong;
	if (!is_utf8 && !is_ascii(address)) {
		if (!text_equal_mem("rfc822", text, len) || !is_ascii(text))
			return wrong;
		is_utf8 = true;
		text = "utf-8";
		len = strlen(text);
	}
	if (is_utf8 && !utf8_is_valid(address, strlen(address)))
		return wrong;
	*orcpt = pool_printf(pool, "%.*s;%s", (int)len, text, address);
	return NULL;
}
