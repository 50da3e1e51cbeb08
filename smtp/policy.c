/*
 * policy.c - the values of smtp_tls_policy_maps: "level name=value ...".
 *
 * Called by security.c. No I/O. Whatever is not understood is a mistake that
 * is told; nothing is passed over.
 */
#include "smtp/policy.h"

#include <ctype.h>
#include <string.h>

#include "common/base/text.h"
#include "common/mail/address.h"

enum { FINGERPRINT_MIN = 32 };		/* digits: MD5 */

/* What may stand as a name for SNI. */
const char *
policy_check_name(const char *name)
{
	return name[0] == '\0' || domain_is_valid(name, false) ? NULL :
	    "expected a name, hostname or nexthop";
}

/* Is it hexadecimal digits, in twos with colons or without? */
static bool
is_fingerprint(const char *text)
{
	size_t	digits = 0;

	for (; *text != '\0'; text++) {
		if (isxdigit((unsigned char)*text))
			digits++;
		else if (*text != ':')
			return false;
	}
	return digits >= FINGERPRINT_MIN && digits % 2 == 0;
}

/* May it stand where names are matched? */
static bool
is_match(const char *name)
{
	return domain_is_valid(name + (name[0] == '.'), false);
}

/* A list of words; each is checked for what its level compares. */
const char *
policy_add_matches(struct pool *pool, struct security *s, const char *list,
    const char *separators)
{
	char		*rest = pool_strdup(pool, list), *word;
	const char	**grown;

	while ((word = strsep(&rest, separators)) != NULL) {
		if (*word == '\0')
			continue;
		if (s->level == TLS_LEVEL_FINGERPRINT ? !is_fingerprint(word) :
		    !is_match(word))
			return pool_printf(pool, "\"%s\" is no %s", word,
			    s->level == TLS_LEVEL_FINGERPRINT ?
			    "fingerprint" : "name to match");
		grown = pool_array(pool, s->match_count + 1, sizeof(*grown));
		if (s->match_count > 0)
			memcpy(grown, s->matches, s->match_count *
			    sizeof(*grown));
		grown[s->match_count++] = word;
		s->matches = grown;
	}
	return s->match_count > 0 ? NULL : "there is nothing to match";
}

/* Lists inside a value are separated by colons. */
static char *
spaced(struct pool *pool, const char *list)
{
	char	*copy = pool_strdup(pool, list), *p;

	for (p = copy; *p != '\0'; p++)
		if (*p == ':')
			*p = ' ';
	return copy;
}

/* match=... */
static const char *
take_match(struct pool *pool, struct security *s, const char *value)
{
	if (s->level < TLS_LEVEL_FINGERPRINT || s->level > TLS_LEVEL_SECURE)
		return pool_printf(pool, "match has no meaning at the level "
		    "%s", tls_level_name(s->level));
	return policy_add_matches(pool, s, value,
	    s->level == TLS_LEVEL_FINGERPRINT ? "|" : ":");
}

static const char *
take_protocols(struct pool *pool, struct security *s, const char *value)
{
	if (s->protocols != NULL)
		return "protocols is there twice";
	s->protocols = spaced(pool, value);
	return tls_check_protocols(pool, s->protocols);
}

static const char *
take_ciphers(struct pool *pool, struct security *s, const char *value)
{
	if (s->ciphers != NULL)
		return "ciphers is there twice";
	s->ciphers = value;
	return tls_check_ciphers(pool, value, "");
}

static const char *
take_exclude(struct pool *pool, struct security *s, const char *value)
{
	if (s->exclude != NULL)
		return "exclude is there twice";
	s->exclude = spaced(pool, value);
	return tls_check_ciphers(pool, "medium", s->exclude);
}

static const char *
take_servername(struct pool *pool, struct security *s, const char *value)
{
	const char	*why = policy_check_name(value);

	if (s->servername != NULL)
		return "servername is there twice";
	s->servername = value;
	return why == NULL && value[0] != '\0' ? NULL :
	    pool_printf(pool, "\"%s\" is no server's name", value);
}

/* tafile=... */
static const char *
take_anchors(struct pool *pool, struct security *s, const char *value)
{
	if (s->level != TLS_LEVEL_VERIFY && s->level != TLS_LEVEL_SECURE)
		return pool_printf(pool, "tafile has no meaning at the level "
		    "%s", tls_level_name(s->level));
	if (s->anchors != NULL)
		return "tafile is there twice";
	s->anchors = value;
	return value[0] == '/' ? NULL : "tafile wants an absolute path";
}

/* Postfix's switches for what is always so here: conversations are kept, and
 * raw public keys are not asked for. */
static const char *
take_switch(struct pool *pool, struct security *s, const char *value)
{
	bool	unused;

	(void)pool;
	(void)s;
	return text_boolean(value, &unused);
}

static const struct {
	const char	*name;
	const char	*(*take)(struct pool *, struct security *,
			    const char *);
} attributes[] = {
	{ "match",		take_match },
	{ "protocols",		take_protocols },
	{ "ciphers",		take_ciphers },
	{ "exclude",		take_exclude },
	{ "servername",		take_servername },
	{ "tafile",		take_anchors },
	{ "connection_reuse",	take_switch },
	{ "enable_rpk",		take_switch },
	{ NULL, NULL }
};

/* "name=value" */
static const char *
take_attribute(struct pool *pool, struct security *s, char *word)
{
	char	*value = strchr(word, '=');
	size_t	 i;

	if (value == NULL)
		return pool_printf(pool, "expected name=value, not \"%s\"",
		    word);
	*value++ = '\0';
	if (s->level == TLS_LEVEL_NONE)
		return pool_printf(pool, "%s has no meaning at the level "
		    "none", word);
	for (i = 0; attributes[i].name != NULL; i++)
		if (text_equal(attributes[i].name, word))
			return attributes[i].take(pool, s, value);
	return pool_printf(pool, "\"%s\" is no attribute", word);
}

const char *
security_parse(struct pool *pool, const char *value, struct security *s)
{
	char		**words;
	const char	 *why;
	size_t		  i, count;

	*s = (struct security){ .level = TLS_LEVEL_UNKNOWN };
	words = text_words(pool, value, &count);
	if (count > 0)
		s->level = tls_level_parse(words[0]);
	if (s->level == TLS_LEVEL_UNKNOWN)
		return pool_printf(pool, "\"%s\" is no security level",
		    count > 0 ? words[0] : "");
	for (i = 1; i < count; i++)
		if ((why = take_attribute(pool, s, words[i])) != NULL)
			return why;
	return NULL;
}
