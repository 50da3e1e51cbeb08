/*
 * check.c - the actions of header_checks and body_checks tables.
 */
#include "common/mail/check.h"

#include <string.h>

#include "common/base/text.h"
#include "common/mail/address.h"
#include "common/mail/chars.h"
#include "common/mail/dsn.h"

enum {
	DELAY_MAX = 365 * 24 * 3600,	/* seconds */
	WAY_MAX = 700			/* as packets have room for */
};

/* What stands behind the verb. */
enum wants { WANTS_NOTHING, WANTS_TEXT, WANTS_TRANSPORT, WANTS_ADDRESS,
    WANTS_DELAY, WANTS_REASON };

static const struct verb {
	const char	*word;
	enum check_verb	 verb;
	enum wants	 wants;
	const char	*name;
} verbs[] = {
	{ "DUNNO",	CHECK_DUNNO,	WANTS_NOTHING,	"dunno" },
	{ "OK",		CHECK_DUNNO,	WANTS_NOTHING,	"dunno" },
	{ "IGNORE",	CHECK_IGNORE,	WANTS_NOTHING,	"ignore" },
	{ "STRIP",	CHECK_STRIP,	WANTS_NOTHING,	"strip" },
	{ "REPLACE",	CHECK_REPLACE,	WANTS_TEXT,	"replace" },
	{ "PREPEND",	CHECK_PREPEND,	WANTS_TEXT,	"prepend" },
	{ "INFO",	CHECK_INFO,	WANTS_NOTHING,	"info" },
	{ "WARN",	CHECK_WARN,	WANTS_NOTHING,	"warning" },
	{ "REJECT",	CHECK_REJECT,	WANTS_REASON,	"reject" },
	{ "DISCARD",	CHECK_DISCARD,	WANTS_NOTHING,	"discard" },
	{ "HOLD",	CHECK_HOLD,	WANTS_NOTHING,	"hold" },
	{ "FILTER",	CHECK_FILTER,	WANTS_TRANSPORT, "filter" },
	{ "REDIRECT",	CHECK_REDIRECT,	WANTS_ADDRESS,	"redirect" },
	{ "BCC",	CHECK_BCC,	WANTS_ADDRESS,	"bcc" },
	{ "DELAY",	CHECK_DELAY,	WANTS_DELAY,	"delay" },
	{ "PASS",	CHECK_PASS,	WANTS_NOTHING,	"pass" },
	{ NULL,		CHECK_DUNNO,	WANTS_NOTHING,	NULL }
};

/* The verb's row, NULL when it is none. */
static const struct verb *
find_verb(const char *word, size_t len)
{
	const struct verb	*v;

	for (v = verbs; v->word != NULL; v++)
		if (text_equal_mem(v->word, word, len))
			return v;
	return NULL;
}

/* "Name: value" (RFC 5322 3.6.8)? */
static bool
is_field(const char *text)
{
	const char	*at = text;

	while (*at > ' ' && *at < 0x7f && *at != ':')
		at++;
	return at > text && *at == ':';
}

/* A text that will stand in the message. */
static const char *
parse_text(struct pool *pool, const struct verb *v, bool is_header,
    const char *text)
{
	if (*text == '\0')
		return pool_printf(pool, "%s without text", v->word);
	if (is_header && !is_field(text))
		return pool_printf(pool, "bad header text \"%.100s\" behind "
		    "%s: expected \"Name: value\"", text, v->word);
	return NULL;
}

/* "X.Y.Z reason"; RFC 3463: only 4 and 5 refuse. */
static void
parse_reason(struct check *c)
{
	size_t	len = dsn_find(c->text, 0);

	strlcpy(c->dsn, "5.7.1", sizeof(c->dsn));
	if (len == 0 || len >= sizeof(c->dsn) ||
	    (*c->text != '4' && *c->text != '5') ||
	    (c->text[len] != '\0' && !is_blank(c->text[len])))
		return;
	memcpy(c->dsn, c->text, len);
	c->dsn[len] = '\0';
	c->text += len;
	c->text += strspn(c->text, " \t");
}

/* What stands behind the verb: NULL, or what is wrong. */
static const char *
parse_rest(struct pool *pool, const struct verb *v, bool is_header,
    struct check *c)
{
	const char	*why;
	char		*address;

	switch (v->wants) {
	case WANTS_TEXT:
		return parse_text(pool, v, is_header, c->text);
	case WANTS_TRANSPORT:
		if (strchr(c->text, ':') == NULL || *c->text == ':' ||
		    strlen(c->text) > WAY_MAX)
			return pool_printf(pool, "%s expects "
			    "transport:destination, not \"%.100s\"", v->word,
			    c->text);
		return NULL;
	case WANTS_ADDRESS:
		why = address_parse(pool, c->text, PATH_ALLOW_UTF8, &address);
		if (why != NULL)
			return pool_printf(pool, "%s expects user@domain, "
			    "not \"%.100s\"", v->word, c->text);
		c->text = address;
		return NULL;
	case WANTS_DELAY:
		why = text_duration(c->text, 's', 0, DELAY_MAX, &c->delay);
		return why == NULL ? NULL : pool_printf(pool, "%s: %s",
		    v->word, why);
	case WANTS_REASON:
		parse_reason(c);
		return NULL;
	default:
		return NULL;
	}
}

/* Verb and text. */
const char *
check_parse(struct pool *pool, const char *value, bool is_header,
    struct check *c)
{
	const struct verb	*v;
	size_t			 len;

	memset(c, 0, sizeof(*c));
	value += strspn(value, " \t");
	len = strcspn(value, " \t");
	if ((v = find_verb(value, len)) == NULL)
		return pool_printf(pool, "unknown action \"%.100s\"", value);
	c->verb = v->verb;
	c->text = text_trim(pool_strdup(pool, value + len));
	return parse_rest(pool, v, is_header, c);
}

/* A text that goes into the message. */
struct str
check_content(struct pool *pool, const char *text, bool is_header,
    bool has_end)
{
	struct str	to;
	size_t		len;

	str_init(&to, pool, 0);
	while (*text != '\0') {
		len = strcspn(text, "\r\n");
		str_add_mem(&to, text, len);
		text += len;
		if (*text == '\0')
			break;
		text += strspn(text, "\r\n");
		str_add(&to, "\r\n");
		if (is_header && *text != ' ' && *text != '\t')
			str_add_char(&to, ' ');
	}
	if (has_end)
		str_add(&to, "\r\n");
	return to;
}

/* For the log. */
const char *
check_name(enum check_verb verb)
{
	const struct verb	*v;

	for (v = verbs; v->name != NULL; v++)
		if (v->verb == verb)
			return v->name;
	return "unknown";
}

/* Does it decide about the message's way? */
bool
check_is_for_input(enum check_verb verb)
{
	return verb >= CHECK_REJECT;
}
