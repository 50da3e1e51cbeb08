/*
 * offer.c - the extensions that EHLO announces.
 *
 * Called by commands.c. What a client is not told of it cannot use either:
 * all who understand an extension ask extension_is_offered().
 */

#include "smtpd/offer.h"

#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/param/site.h"

#include "smtpd/auth.h"
#include "smtpd/commands.h"
#include "smtpd/replies.h"
#include "smtpd/settings.h"
#include "smtpd/starttls.h"
#include "smtpd/table.h"
#include "smtpd/unicode.h"
#include "smtpd/verify.h"
#include "smtpd/xclient.h"

/* RFC 9422 4.1: no more than six digits. */
enum { RCPTMAX_MAX = 999999, VALUE_ROOM = 320, DISCARDS_MAX = 1000 };

const struct param offer_params[] = {
	PARAM_STRING("smtpd_discard_ehlo_keywords", set.discard_ehlo_keywords,
	    "", 0, 1000,
	    "EHLO keywords that are not announced, for instance \"dsn, etrn\"; "
	    "silent-discard among them leaves that out of the log."),
	PARAM_STRING("smtpd_discard_ehlo_keyword_address_maps",
	    set.discard_ehlo_maps, "", 0, 10000,
	    "Tables that say by the client's address which EHLO keywords are "
	    "not announced; that counts in place of "
	    "smtpd_discard_ehlo_keywords."),
	PARAM_END
};

/* What stands behind a keyword. */
static void
add_size(const struct session *s, char *to)
{
	(void)s;
	snprintf(to, VALUE_ROOM, "SIZE %lld",
	    (long long)site.message_size_limit);
}

static void
add_limits(const struct session *s, char *to)
{
	(void)s;
	snprintf(to, VALUE_ROOM, "LIMITS RCPTMAX=%lld",
	    (long long)(set.recipient_limit < RCPTMAX_MAX ?
	    set.recipient_limit : RCPTMAX_MAX));
}

static void
add_xclient(const struct session *s, char *to)
{
	(void)s;
	snprintf(to, VALUE_ROOM, "%s", XCLIENT_OFFER);
}

static void
add_xforward(const struct session *s, char *to)
{
	(void)s;
	snprintf(to, VALUE_ROOM, "%s", XFORWARD_OFFER);
}

static void
add_auth(const struct session *s, char *to)
{
	snprintf(to, VALUE_ROOM, "AUTH %s", s->mechanisms);
}

static void
add_old_auth(const struct session *s, char *to)
{
	snprintf(to, VALUE_ROOM, "AUTH=%s", s->mechanisms);
}

/* Who is not offered what everybody else is. */
static bool
may_verp(const struct session *s)
{
	return s->may_verp;
}

static bool
may_xclient(const struct session *s)
{
	return s->may_xclient;
}

static bool
may_xforward(const struct session *s)
{
	return s->may_xforward;
}

static bool
has_vrfy(const struct session *s)
{
	(void)s;
	return !set.disable_vrfy;
}

/* In the order of the answer to EHLO. */
static const struct extension {
	const char	*keyword;
	void		(*print)(const struct session *, char *to);
	bool		(*is_for)(const struct session *);
} extensions[] = {
	{ "PIPELINING",		NULL,		NULL },
	{ "SIZE",		add_size,	NULL },
	{ "VRFY",		NULL,		has_vrfy },
	{ "EXPN",		NULL,		verify_may_expand },
	{ "ETRN",		NULL,		NULL },
	{ "STARTTLS",		NULL,		starttls_is_offered },
	{ "AUTH",		add_auth,	auth_is_offered },
	{ "AUTH=",		add_old_auth,	auth_is_offered_twice },
	{ "XVERP",		NULL,		may_verp },
	{ "XCLIENT",		add_xclient,	may_xclient },
	{ "XFORWARD",		add_xforward,	may_xforward },
	{ "ENHANCEDSTATUSCODES", NULL,		NULL },
	{ "8BITMIME",		NULL,		NULL },
	{ "SMTPUTF8",		NULL,		unicode_is_offered },
	{ "DSN",		NULL,		NULL },
	{ "CHUNKING",		NULL,		NULL },
	{ "LIMITS",		add_limits,	NULL },
};
enum { EXTENSIONS = sizeof(extensions) / sizeof(extensions[0]) };

/* Is the word in the list? */
static bool
lists(const char *list, const char *keyword)
{
	size_t	len;

	for (list += strspn(list, " \t,"); *list != '\0';
	    list += len, list += strspn(list, " \t,")) {
		len = strcspn(list, " \t,");
		if (text_equal_mem(keyword, list, len))
			return true;
	}
	return false;
}

bool
offer_discards(const struct session *s, const char *keyword)
{
	const char	*discards = s->discards != NULL ? s->discards :
			    set.discard_ehlo_keywords;

	/* "*" is ours: nothing at all. */
	return strcmp(discards, "*") == 0 || lists(discards, keyword);
}

bool
extension_is_offered(const struct session *s, const char *keyword)
{
	size_t	i;

	for (i = 0; i < EXTENSIONS; i++)
		if (text_equal(extensions[i].keyword, keyword) &&
		    extensions[i].is_for != NULL && !extensions[i].is_for(s))
			return false;
	return !offer_discards(s, keyword);
}

/* What a table says, for this session; what it says again with each EHLO takes
 * no more memory. */
static const char *
keep(struct session *s, const char *before, const char *value)
{
	size_t	len = strnlen(value, DISCARDS_MAX);

	if (before != NULL && strlen(before) == len &&
	    memcmp(before, value, len) == 0)
		return before;
	return pool_strndup(s->pool, value, len);
}

void
offer_learn(struct session *s)
{
	const char	*before = s->discards;
	struct pool	*pool;
	struct found	 found;

	starttls_learn(s);
	s->discards = set.discard_ehlo_keywords;
	if (set.discard_ehlo_maps[0] != '\0') {
		pool = pool_new("keywords", 0);
		table_ask(pool, "smtpd_discard_ehlo_keyword_address_maps",
		    LOOKUP_KEYS, s->address_text, &found);
		if (found.result == LOOKUP_FOUND)
			s->discards = keep(s, before, found.value);
		else if (found.result == LOOKUP_TEMPORARY) {
			/* Whatever it is that this client cannot take. */
			s->discards = "*";
			log_warning("smtpd_discard_ehlo_keyword_address_maps: "
			    "%s: no keyword is announced to %s", found.text,
			    s->ident);
		}
		pool_free(pool);
	}
	if (s->discards[0] != '\0' && !lists(s->discards, "silent-discard"))
		log_info("discarding EHLO keywords: %s", s->discards);
	auth_learn(s);
}

int
offer_say(struct session *s)
{
	char	line[VALUE_ROOM];
	size_t	i;

	for (i = 0; i < EXTENSIONS; i++) {
		if (!extension_is_offered(s, extensions[i].keyword))
			continue;
		if (extensions[i].print != NULL)
			extensions[i].print(s, line);
		else
			snprintf(line, sizeof(line), "%s",
			    extensions[i].keyword);
		if (say(s, REPLY_OFFER, line) == GONE)
			return GONE;
	}
	return say(s, REPLY_HELLO, "HELP");
}
