/*
 * origin.c - the attributes of XCLIENT and XFORWARD.
 *
 * Called by smtpd for both commands, by qmgr for what a queue file kept of
 * them, and by smtp, which says XFORWARD itself. What comes out of
 * origin_parse() is one line of text each, and what it says it is.
 */
#include "common/mail/origin.h"

#include <arpa/inet.h>
#include <string.h>

#include "common/base/text.h"
#include "common/mail/address.h"
#include "common/mail/chars.h"
#include "common/mail/encode.h"

enum { VALUE_MAX = 255, IDENT_MAX = 64, SHOWN = 100, WORD_MAX = 1000 };

static const char *const	names[ORIGIN_ATTRIBUTES] = {
	[ORIGIN_NAME] = "NAME", [ORIGIN_ADDR] = "ADDR",
	[ORIGIN_PORT] = "PORT", [ORIGIN_PROTO] = "PROTO",
	[ORIGIN_HELO] = "HELO", [ORIGIN_IDENT] = "IDENT",
	[ORIGIN_SOURCE] = "SOURCE",
	[ORIGIN_REVERSE_NAME] = "REVERSE_NAME", [ORIGIN_LOGIN] = "LOGIN",
	[ORIGIN_DESTADDR] = "DESTADDR", [ORIGIN_DESTPORT] = "DESTPORT"
};

const char *
origin_name(enum origin_attribute a)
{
	return names[a];
}

/* --- values -------------------------------------------------------------- */

/* Text of one line that is not too long. */
static bool
is_text(const char *value, size_t most)
{
	size_t	len = strlen(value);

	if (len > most || !utf8_is_valid(value, len))
		return false;
	for (; *value != '\0'; value++)
		if (is_control((unsigned char)*value))
			return false;
	return true;
}

/* An address of either kind; IPv6 may have the prefix of RFC 5321 4.1.3, which
 * *value loses. */
static bool
is_address(char **value)
{
	unsigned char	bytes[16];
	bool		has_prefix = text_starts(*value, "IPV6:");

	if (has_prefix)
		*value += 5;
	if (strchr(*value, ':') != NULL)
		return inet_pton(AF_INET6, *value, bytes) == 1;
	return !has_prefix && inet_pton(AF_INET, *value, bytes) == 1;
}

static bool
is_port(const char *value)
{
	int64_t	port;

	return text_integer(value, 0, 65535, &port) == NULL;
}

/* May this attribute be that? */
static bool
is_good(enum origin_attribute a, char **value, unsigned known)
{
	switch (a) {
	case ORIGIN_NAME:
	case ORIGIN_REVERSE_NAME:
		return strlen(*value) <= VALUE_MAX &&
		    domain_is_valid(*value, false);
	case ORIGIN_ADDR:
	case ORIGIN_DESTADDR:
		return is_address(value);
	case ORIGIN_PORT:
	case ORIGIN_DESTPORT:
		return is_port(*value);
	case ORIGIN_PROTO:
		if (known == ORIGIN_XCLIENT)
			return text_equal(*value, "SMTP") ||
			    text_equal(*value, "ESMTP");
		return is_text(*value, IDENT_MAX);
	case ORIGIN_SOURCE:
		return text_equal(*value, "LOCAL") ||
		    text_equal(*value, "REMOTE");
	case ORIGIN_IDENT:
		return is_text(*value, IDENT_MAX);
	default:
		return is_text(*value, VALUE_MAX);
	}
}

/* --- commands ------------------------------------------------------------ */

/* Which one is it? */
static enum origin_attribute
find(const char *name, unsigned known)
{
	enum origin_attribute	a;

	for (a = 0; a < ORIGIN_ATTRIBUTES; a++)
		if ((known & 1u << a) != 0 && text_equal(names[a], name))
			break;
	return a;
}

/* "NAME=value", a word of its own. */
static const char *
take(struct origin *f, struct pool *pool, unsigned known, char *word)
{
	enum origin_attribute	 a;
	char			*value = strchr(word, '='), *decoded;

	if (value == NULL || value == word || value[1] == '\0')
		return "Error: attribute=value expected";
	*value++ = '\0';
	if ((a = find(word, known)) == ORIGIN_ATTRIBUTES)
		return pool_printf(pool, "Bad %s attribute name: %.*s",
		    known == ORIGIN_XCLIENT ? "XCLIENT" : "XFORWARD", SHOWN,
		    word);
	decoded = xtext_decode(pool, value);
	if (decoded != NULL && (text_equal(decoded, "[UNAVAILABLE]") ||
	    text_equal(decoded, "[TEMPUNAVAIL]")))
		decoded[0] = '\0';
	else if (decoded == NULL || !is_good(a, &decoded, known))
		return pool_printf(pool, "Bad %s syntax: %.*s", names[a],
		    SHOWN, value);
	f->values[a] = decoded;
	return NULL;
}

const char *
origin_parse(struct origin *f, struct pool *pool, unsigned known,
    const char *text)
{
	const char	*why;
	size_t		 len;

	text += strspn(text, " \t");
	if (*text == '\0')
		return known == ORIGIN_XCLIENT ?
		    "Syntax: XCLIENT attribute=value..." :
		    "Syntax: XFORWARD attribute=value...";
	for (; *text != '\0'; text += strspn(text, " \t")) {
		if ((len = strcspn(text, " \t")) > WORD_MAX)
			return "Error: an attribute is too long";
		why = take(f, pool, known, pool_strndup(pool, text, len));
		if (why != NULL)
			return why;
		text += len;
	}
	return NULL;
}

void
origin_format(struct str *to, const struct origin *f, unsigned which)
{
	enum origin_attribute	a;
	const char		*value;

	for (a = 0; a < ORIGIN_ATTRIBUTES; a++) {
		if ((which & 1u << a) == 0 || (value = f->values[a]) == NULL)
			continue;
		str_addf(to, "%s%s=", to->len > 0 ? " " : "", names[a]);
		if (*value == '\0')
			str_add(to, "[UNAVAILABLE]");
		else if ((a == ORIGIN_ADDR || a == ORIGIN_DESTADDR) &&
		    strchr(value, ':') != NULL)
			str_addf(to, "IPV6:%s", value);
		else
			xtext_encode(to, value);
	}
}

unsigned
origin_offered(const char *words)
{
	char			 word[20];
	enum origin_attribute	 a;
	unsigned		 offered = 0;
	size_t			 len;

	for (; *words != '\0'; words += len, words += strspn(words, " \t")) {
		len = strcspn(words, " \t");
		if (len >= sizeof(word))
			continue;
		memcpy(word, words, len);
		word[len] = '\0';
		if ((a = find(word, ORIGIN_XFORWARD)) != ORIGIN_ATTRIBUTES)
			offered |= 1u << a;
	}
	return offered;
}

const char *
origin_protocol(const char *with)
{
	return *with == '\0' ? "" : text_starts(with, "ESMTP") ? "ESMTP" :
	    "SMTP";
}
