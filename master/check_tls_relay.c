/*
 * check_tls_relay.c - could a stranger send through this service to anybody?
 *
 * The lists of restrictions are read as a stranger meets them: a client of no
 * network of ours, without a login, who writes to a domain of no concern of
 * ours. What depends on him or on a table does not stop him and does not let
 * him pass; what is said unconditionally does.
 */
#include "master/check.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"

enum { DEPTH_MAX = 10 };		/* of restriction classes */

/* What becomes of the stranger. */
enum fate { GOES_ON, IS_LET_IN, IS_STOPPED };

/* One service's lists. */
struct lists {
	struct pool	*pool;
	struct maincf	*mc;
	const char	*permit;	/* the word that let him in */
	bool		 trusts_all;	/* mynetworks is everybody */
	bool		 trusts_certificates;
};

static enum fate	 walk(struct lists *, const char *text, unsigned depth);

/* A value, expanded. */
static const char *
value_of(const struct lists *l, const char *name)
{
	const char	*value;
	char		*why;

	value = maincf_value(l->mc, l->pool, name, &why);
	return value == NULL ? "" : value;
}

/* Is it one of these words? */
static bool
is_among(const char *word, const char *const *words)
{
	for (; *words != NULL; words++)
		if (text_equal(word, *words))
			return true;
	return false;
}

/* "0.0.0.0/0", "[::]/0", "1.2.3.4/2", "static:all": everybody, or nearly. A
 * network of no more than some bits is none of anybody's. */
static bool
is_everybody(const char *network)
{
	static const int	least_v4 = 7, least_v6 = 6;
	const char		*slash = strrchr(network, '/');

	if (text_starts(network, "static:"))
		return true;
	return *network != '!' && slash != NULL && slash[1] != '\0' &&
	    strspn(slash + 1, "0123456789") == strlen(slash + 1) &&
	    strchr(network, '/') == slash && atoi(slash + 1) <=
	    (strchr(network, ':') != NULL ? least_v6 : least_v4);
}

/* The network among mynetworks that is everybody; NULL: none. */
static const char *
everybody(const struct lists *l, const char *name)
{
	size_t	i, count;
	char	**words = text_words(l->pool, value_of(l, name), &count);

	for (i = 0; i < count; i++)
		if (is_everybody(words[i]))
			return words[i];
	return NULL;
}

/* A table that says yes to all: "check_client_access static:OK". */
static bool
lets_all_in(const char *word, const char *argument)
{
	if (argument == NULL || !text_starts(word, "check_") ||
	    !text_ends(word, "_access") || !text_starts(argument, "static:"))
		return false;
	argument += strlen("static:");
	argument += strspn(argument, "{ ");
	return text_starts(argument, "ok") || text_starts(argument, "permit")
	    || (*argument >= '0' && *argument <= '9' && *argument != '4' &&
	    *argument != '5');
}

/* The value of a restriction class, NULL when it is none. */
static const char *
class_of(const struct lists *l, const char *word)
{
	size_t	i, count;
	char	**words = text_words(l->pool, value_of(l,
		    "smtpd_restriction_classes"), &count);

	for (i = 0; i < count; i++)
		if (strcmp(words[i], word) == 0)
			return value_of(l, word);
	return NULL;
}

/* What one word does with him. */
static enum fate
fate_of(struct lists *l, const char *word, const char *next, unsigned depth)
{
	static const char *const	stops[] = {
		"reject", "defer", "defer_if_permit",
		"reject_unauth_destination", "defer_unauth_destination",
		"check_relay_domains", NULL
	};
	const char			*class;

	if (is_among(word, stops))
		return IS_STOPPED;
	if (text_equal(word, "permit") || lets_all_in(word, next) ||
	    (l->trusts_all && text_equal(word, "permit_mynetworks")) ||
	    (l->trusts_certificates &&
	    text_equal(word, "permit_tls_all_clientcerts"))) {
		l->permit = pool_strdup(l->pool, word);
		return IS_LET_IN;
	}
	if (strchr(word, ' ') != NULL)		/* was in braces */
		return walk(l, word, depth + 1);
	class = class_of(l, word);
	return class == NULL ? GOES_ON : walk(l, class, depth + 1);
}

/* A list, until something decides. */
static enum fate
walk(struct lists *l, const char *text, unsigned depth)
{
	size_t		i, count;
	enum fate	fate = GOES_ON;
	char		**words = text_words(l->pool, text, &count);

	if (depth > DEPTH_MAX)
		return GOES_ON;
	for (i = 0; i < count && fate == GOES_ON; i++) {
		if (text_equal(words[i], "warn_if_reject")) {
			i++;		/* what only warns stops nobody */
			continue;
		}
		fate = fate_of(l, words[i], i + 1 < count ? words[i + 1] :
		    NULL, depth);
	}
	return fate;
}

/* Where it is set; for a default, the line of the service. */
static const char *
where(const struct lists *l, const struct service *line, const char *name)
{
	const struct setting	*s = maincf_find(l->mc, name);

	return s != NULL ? maincf_where(l->pool, s) :
	    pool_printf(l->pool, "%s:%u", line->file, line->line);
}

/* The list that stops him. Those about client, HELO and sender count only when
 * they refuse everybody, which the same words in them do. */
static bool
is_stopped(struct lists *l)
{
	static const char *const	names[] = {
		"smtpd_relay_restrictions", "smtpd_recipient_restrictions",
		"smtpd_client_restrictions", "smtpd_helo_restrictions",
		"smtpd_sender_restrictions"
	};
	size_t				i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (walk(l, value_of(l, names[i]), 0) == IS_STOPPED)
			return true;
	return false;
}

/* Do certificates of everybody's count? */
static bool
trusts_public_ca(const struct lists *l)
{
	static const char *const	bundles[] = {
		"/etc/ssl/certs", "/etc/ssl/certs/",
		"/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem",
		"/etc/pki/tls/certs/ca-bundle.crt", NULL
	};

	return text_equal(value_of(l, "tls_append_default_CA"), "yes") ||
	    is_among(value_of(l, "smtpd_tls_CAfile"), bundles) ||
	    is_among(value_of(l, "smtpd_tls_CApath"), bundles);
}

/* Does the line listen to this machine alone? */
static bool
is_loopback(const struct service *line)
{
	return text_starts(line->name, "127.") ||
	    text_starts(line->name, "localhost:") ||
	    text_starts(line->name, "[::1]:");
}

/* Settings that make strangers ours. */
static void
check_domains(struct lists *l, const struct service *line,
    struct str *warnings)
{
	static const char *const	names[] = {
		"mydestination", "relay_domains", "virtual_mailbox_domains",
		"virtual_alias_domains"
	};
	const char			*word;
	size_t				 i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		word = value_of(l, names[i]);
		if (text_starts(word, "static:") ||
		    strstr(word, " static:") != NULL)
			str_addf(warnings, "%s: %s has a table of type "
			    "static: every domain counts as ours, and "
			    "anybody may send through this machine to any; "
			    "list the domains\n", where(l, line, names[i]),
			    names[i]);
	}
}

/* One service. */
void
check_relay(struct pool *pool, struct maincf *mc, const struct service *line,
    struct str *warnings)
{
	static const char	relay[] = "smtpd_relay_restrictions",
				recipient[] = "smtpd_recipient_restrictions";
	struct lists		l = { .pool = pool, .mc = mc };
	const char		*network, *name = relay;

	if (is_loopback(line))
		return;
	check_domains(&l, line, warnings);
	if (is_stopped(&l) && (network = everybody(&l, "mynetworks")) !=
	    NULL) {
		l.trusts_all = true;
		if (!is_stopped(&l))
			str_addf(warnings, "%s: mynetworks has %s: anybody "
			    "may send through this machine to anybody; list "
			    "your own networks\n",
			    where(&l, line, "mynetworks"), network);
		l.trusts_all = false;
	}
	if (is_stopped(&l) && trusts_public_ca(&l)) {
		l.trusts_certificates = true;
		if (!is_stopped(&l))
			str_addf(warnings, "%s: permit_tls_all_clientcerts "
			    "with the certificates of public authorities: "
			    "whoever has bought one may send to anybody; use "
			    "permit_tls_clientcerts, or a CA of your own in "
			    "smtpd_tls_CAfile\n", where(&l, line, relay));
		l.trusts_certificates = false;
	}
	l.permit = NULL;
	if (is_stopped(&l))
		return;
	if (maincf_find(mc, relay) == NULL && maincf_find(mc, recipient) !=
	    NULL)
		name = recipient;
	if (l.permit != NULL)
		str_addf(warnings, "%s: %s: nothing refuses strangers before "
		    "%s: anybody may send through this machine to anybody; "
		    "put reject_unauth_destination before it\n",
		    where(&l, line, name), name, l.permit);
	else
		str_addf(warnings, "%s: %s has nothing that refuses "
		    "strangers: anybody might send through this machine to "
		    "anybody; end it with reject_unauth_destination, or with "
		    "reject for a service of logged-in users only\n",
		    where(&l, line, name), name);
}
