/*
 * security.c - how mail to a next hop is to be protected.
 *
 * Called by delivery.c for each next hop, before any host of it is asked.
 * Levels, and the grammar of smtp_tls_policy_maps, are Postfix's.
 *
 * S1  What is asked for and not understood, or cannot be looked up, defers
 *     the mail: a mistake never means less protection.
 */
#include "smtp/security.h"

#include <ctype.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/ipc/lookup.h"
#include "common/ipc/tables.h"
#include "common/mail/address.h"
#include "common/mail/idn.h"

#include "smtp/policy.h"
#include "smtp/settings.h"

enum {
	ASK_TIME = 30 * 1000,
	LABELS = 128,			/* of the longest domain */
	KEYS_ROOM = 3 + (1 + IDN_OTHERS) * LABELS
};

const struct param security_params[] = {
	PARAM_STRING("smtp_tls_security_level", set.tls.level, "", 0, 100,
	    "How mail is protected on its way: none; may (TLS where it is "
	    "offered); encrypt; fingerprint, verify, secure (and the host "
	    "shows who it is). Empty: as smtp_use_tls and smtp_enforce_tls "
	    "say."),
	PARAM_STRING("smtp_tls_policy_maps", set.tls.policy_maps, "", 0, 0,
	    "Tables that say by the next hop what counts in place of "
	    "smtp_tls_security_level."),
	PARAM_BOOL("smtp_use_tls", set.tls.is_used, "no",
	    "Old for smtp_tls_security_level = may."),
	PARAM_BOOL("smtp_enforce_tls", set.tls.is_enforced, "no",
	    "Old for smtp_tls_security_level = verify, or encrypt with "
	    "smtp_tls_enforce_peername = no."),
	PARAM_BOOL("smtp_tls_enforce_peername", set.tls.enforces_name, "yes",
	    "With smtp_enforce_tls: check the host's certificate."),
	PARAM_BOOL("smtp_tls_wrappermode", set.tls.is_wrapped, "no",
	    "Begin with TLS at once, without STARTTLS, as port 465 has it; "
	    "for smtp_tls_security_level encrypt or stronger."),
	/* Postfix: >=TLSv1. RFC 9325 3.1.1 has done with 1.0 and 1.1. */
	PARAM_STRING("smtp_tls_protocols", set.tls.protocols, ">=TLSv1.2", 0,
	    200, "TLS versions with the level may."),
	PARAM_STRING("smtp_tls_mandatory_protocols",
	    set.tls.mandatory_protocols, ">=TLSv1.2", 0, 200,
	    "TLS versions with stronger levels."),
	PARAM_STRING("smtp_tls_ciphers", set.tls.ciphers, "medium", 0, 100,
	    "The least grade of ciphers with the level may: high, medium."),
	PARAM_STRING("smtp_tls_mandatory_ciphers", set.tls.mandatory_ciphers,
	    "medium", 0, 100, "The least grade of ciphers with stronger "
	    "levels."),
	PARAM_STRING("smtp_tls_exclude_ciphers", set.tls.exclude, "", 0, 1000,
	    "Ciphers never to use."),
	PARAM_STRING("smtp_tls_mandatory_exclude_ciphers",
	    set.tls.mandatory_exclude, "", 0, 1000,
	    "More ciphers never to use with levels stronger than may."),
	PARAM_STRING("smtp_tls_verify_cert_match", set.tls.verify_match,
	    "hostname", 0, 1000, "Names that a certificate may have at the "
	    "level verify: hostname, nexthop, dot-nexthop, or names."),
	PARAM_STRING("smtp_tls_secure_cert_match", set.tls.secure_match,
	    "nexthop, dot-nexthop", 0, 1000, "Names that a certificate may "
	    "have at the level secure."),
	PARAM_STRING("smtp_tls_fingerprint_cert_match",
	    set.tls.fingerprint_match, "", 0, 0, "Fingerprints that a "
	    "certificate or its key may have at the level fingerprint."),
	PARAM_STRING("smtp_tls_fingerprint_digest", set.tls.digest, "sha256",
	    1, 100, "The digest that fingerprints are made with."),
	PARAM_STRING("smtp_tls_servername", set.tls.servername, "", 0, 255,
	    "The name to ask the host for (SNI): a name, hostname, nexthop. "
	    "Empty: the host's name, if it has one."),
	PARAM_STRING("smtp_tls_trust_anchor_file", set.tls.anchor_file, "", 0,
	    0, "A file of the only authorities that count at the levels "
	    "verify and secure."),
	/* Where policies are read no file can be opened any more. */
	PARAM_STRING("smtp_tls_policy_anchor_files", set.tls.policy_anchors,
	    "", 0, 0, "The files that a policy may name with tafile=."),
	PARAM_END
};

/* What main.cf says, and what is wrong with it: with its level, with what
 * level may uses, with what stronger ones use; NULL: nothing. */
static struct {
	enum tls_level	 level;
	const char	*wrong_level, *wrong_may, *wrong_mandatory,
			*wrong_digest, *wrong_name, *wrong_anchors;
} standard;

/* --- main.cf -------------------------------------------------------------- */

/* "smtp_tls_x = value: why", logged; NULL stays NULL. */
static const char *
complain(struct pool *pool, const char *name, const char *value,
    const char *why)
{
	if (why == NULL)
		return NULL;
	why = pool_printf(pool, "%s = %s: %s", settings_name(name), value,
	    why);
	log_error("%s", why);
	return why;
}

/* The first of two complaints. */
static const char *
either(const char *a, const char *b)
{
	return a != NULL ? a : b;
}

/* The level, in its own words or the old ones. */
static enum tls_level
standard_level(void)
{
	if (set.tls.level[0] != '\0')
		return tls_level_parse(set.tls.level);
	if (set.tls.is_enforced)
		return set.tls.enforces_name ? TLS_LEVEL_VERIFY :
		    TLS_LEVEL_ENCRYPT;
	return set.tls.is_used ? TLS_LEVEL_MAY : TLS_LEVEL_NONE;
}

/* All of it, once. */
void
security_prepare(void)
{
	static struct pool	*pool;		/* of complaints; never freed */

	if (pool == NULL)
		pool = pool_new("security", 0);
	standard.level = standard_level();
	if (standard.level == TLS_LEVEL_UNKNOWN)
		standard.wrong_level = complain(pool,
		    "smtp_tls_security_level", set.tls.level,
		    "expected none, may, encrypt, fingerprint, verify or "
		    "secure");
	standard.wrong_may = either(complain(pool, "smtp_tls_protocols",
	    set.tls.protocols, tls_check_protocols(pool, set.tls.protocols)),
	    complain(pool, "smtp_tls_ciphers", set.tls.ciphers,
	    tls_check_ciphers(pool, set.tls.ciphers, set.tls.exclude)));
	standard.wrong_mandatory = either(complain(pool,
	    "smtp_tls_mandatory_protocols", set.tls.mandatory_protocols,
	    tls_check_protocols(pool, set.tls.mandatory_protocols)),
	    complain(pool, "smtp_tls_mandatory_ciphers",
	    set.tls.mandatory_ciphers, tls_check_ciphers(pool,
	    set.tls.mandatory_ciphers, pool_printf(pool, "%s %s",
	    set.tls.exclude, set.tls.mandatory_exclude))));
	standard.wrong_digest = complain(pool, "smtp_tls_fingerprint_digest",
	    set.tls.digest, tls_check_digest(pool, set.tls.digest));
	standard.wrong_name = complain(pool, "smtp_tls_servername",
	    set.tls.servername, policy_check_name(set.tls.servername));
	standard.wrong_anchors = complain(pool, "smtp_tls_trust_anchor_file",
	    set.tls.anchor_file, set.tls.anchor_file[strcspn(
	    set.tls.anchor_file, " \t\n,")] == '\0' ? NULL :
	    "expected one file");
	if (set.tls.is_wrapped && set.tls.policy_maps[0] == '\0' &&
	    standard.level < TLS_LEVEL_ENCRYPT)
		log_error("%s = yes requires \"%s = encrypt\" (or stronger)",
		    settings_name("smtp_tls_wrappermode"),
		    settings_name("smtp_tls_security_level"));
}

bool
security_is_wanted(void)
{
	return standard.level != TLS_LEVEL_NONE || set.tls.is_wrapped ||
	    set.tls.policy_maps[0] != '\0';
}

/* --- what main.cf adds ---------------------------------------------------- */

/* The names that a certificate may have, by main.cf. */
static const char *
add_matches(struct pool *pool, struct security *s)
{
	const char	*parameter, *list, *why, *separators = " \t\r\n,:";

	if (s->match_count > 0)
		return NULL;
	if (s->level == TLS_LEVEL_FINGERPRINT) {
		parameter = "smtp_tls_fingerprint_cert_match";
		list = set.tls.fingerprint_match;
		separators = " \t\r\n,|";	/* a ":" is inside of one */
	} else if (s->level == TLS_LEVEL_VERIFY) {
		parameter = "smtp_tls_verify_cert_match";
		list = set.tls.verify_match;
	} else {
		parameter = "smtp_tls_secure_cert_match";
		list = set.tls.secure_match;
	}
	why = policy_add_matches(pool, s, list, separators);
	return why == NULL ? NULL : pool_printf(pool, "%s: %s",
	    settings_name(parameter), why);
}

/* "nexthop" and "dot-nexthop" are names now, in A-labels, as certificates have
 * them. */
static void
name_nexthop(struct pool *pool, const struct nexthop *hop, struct security *s)
{
	const char	*name = hop->name;
	char		*ascii;
	size_t		 i;

	if (idn_to_ascii(pool, name, &ascii) == NULL)
		name = ascii;
	for (i = 0; i < s->match_count; i++) {
		if (text_equal(s->matches[i], "nexthop"))
			s->matches[i] = name;
		else if (text_equal(s->matches[i], "dot-nexthop"))
			s->matches[i] = pool_printf(pool, ".%s", name);
	}
	if (text_equal(s->servername, "nexthop"))
		s->servername = name;
}

/* Who alone is trusted, if that is said. */
static const char *
complete_anchors(struct pool *pool, struct security *s)
{
	char	**words;
	size_t	  i, count;

	if (s->anchors == NULL) {
		if (set.tls.anchor_file[0] != '\0')
			s->anchors = set.tls.anchor_file;
		return standard.wrong_anchors;
	}
	words = text_words(pool, set.tls.policy_anchors, &count);
	for (i = 0; i < count; i++)
		if (strcmp(words[i], s->anchors) == 0)
			return NULL;
	return pool_printf(pool, "tafile=%s is not among %s", s->anchors,
	    settings_name("smtp_tls_policy_anchor_files"));
}

/* What is checked of the certificate, if anything is. */
static const char *
complete_checks(struct pool *pool, struct security *s)
{
	const char	*why;

	if (s->level < TLS_LEVEL_FINGERPRINT)
		return NULL;
	why = s->level == TLS_LEVEL_FINGERPRINT ? standard.wrong_digest :
	    complete_anchors(pool, s);
	return why != NULL ? why : add_matches(pool, s);
}

/* Protocols and ciphers; what is too weak for the level goes out. */
static const char *
complete_words(struct pool *pool, struct security *s)
{
	bool		 is_mandatory = s->level > TLS_LEVEL_MAY;
	const char	*wrong = is_mandatory ? standard.wrong_mandatory :
			    standard.wrong_may;

	if (wrong != NULL && (s->protocols == NULL || s->ciphers == NULL ||
	    s->exclude == NULL))
		return wrong;
	if (s->protocols == NULL)
		s->protocols = is_mandatory ? set.tls.mandatory_protocols :
		    set.tls.protocols;
	if (s->ciphers == NULL)
		s->ciphers = is_mandatory ? set.tls.mandatory_ciphers :
		    set.tls.ciphers;
	if (s->exclude == NULL)
		s->exclude = is_mandatory ? pool_printf(pool, "%s %s",
		    set.tls.exclude, set.tls.mandatory_exclude) :
		    set.tls.exclude;
	/* Postfix lets a host without a certificate pass at the level encrypt;
	 * whoever sits in between has none either. */
	if (is_mandatory)
		s->exclude = pool_printf(pool, "%s aNULL eNULL", s->exclude);
	return NULL;
}

/* All of it in one word. */
static const char *
describe(struct pool *pool, const struct security *s)
{
	struct str	 text;
	size_t		 i;

	str_init(&text, pool, 0);
	str_addf(&text, "%s;%s;%s;%s;%s;%s", tls_level_name(s->level),
	    s->protocols, s->ciphers, s->exclude, s->servername,
	    s->anchors != NULL ? s->anchors : "");
	for (i = 0; i < s->match_count; i++)
		str_addf(&text, ";%s", s->matches[i]);
	for (i = 0; i < text.len; i++)
		if (isspace((unsigned char)text.data[i]))
			text.data[i] = '_';
	return text.data;
}

const char *
security_complete(struct pool *pool, const struct nexthop *hop,
    struct security *s)
{
	const char	*why;

	/* Where TLSA records will decide what dane is worth for a host. */
	if (s->level == TLS_LEVEL_DANE || s->level == TLS_LEVEL_DANE_ONLY)
		return pool_printf(pool, "the security level %s is not "
		    "supported yet: nobody asks for TLSA records",
		    tls_level_name(s->level));
	/* Nobody listens in on a UNIX socket. */
	if (hop->kind == NEXTHOP_UNIX && s->level == TLS_LEVEL_MAY)
		s->level = TLS_LEVEL_NONE;
	if (set.tls.is_wrapped && s->level < TLS_LEVEL_ENCRYPT)
		return pool_printf(pool, "%s = yes requires \"%s = encrypt\" "
		    "(or stronger)", settings_name("smtp_tls_wrappermode"),
		    settings_name("smtp_tls_security_level"));
	s->text = "none";
	if (s->level == TLS_LEVEL_NONE)
		return NULL;
	if (s->servername == NULL && standard.wrong_name != NULL)
		return standard.wrong_name;
	if (s->servername == NULL)
		s->servername = set.tls.servername;
	if ((why = complete_words(pool, s)) != NULL ||
	    (why = complete_checks(pool, s)) != NULL)
		return why;
	name_nexthop(pool, hop, s);
	s->text = describe(pool, s);
	return NULL;
}

/* --- the table ------------------------------------------------------------ */

/* A domain's other spellings, and the domains above it in all of them, the
 * nearest first. */
static size_t
add_domains(struct pool *pool, char *domain, struct key_row *keys, size_t n)
{
	char	*names[IDN_OTHERS + 2] = { domain };
	bool	 has_more = true;
	size_t	 i;

	idn_others(pool, domain, names + 1);
	for (i = 1; names[i] != NULL; i++)
		keys[n++].key = names[i];
	while (has_more) {
		has_more = false;
		for (i = 0; i < IDN_OTHERS + 1; i++) {
			if (names[i] == NULL)
				continue;
			names[i] = strchr(names[i] + 1, '.');
			if (names[i] != NULL)
				keys[n++].key = names[i];
			has_more |= names[i] != NULL;
		}
	}
	return n;
}

/*
 * Under which keys a next hop may be: exactly as it is written; and a domain,
 * which has neither brackets nor a port, in its other spellings and under the
 * domains above it, too: whoever writes an address chooses how.
 */
static size_t
add_keys(struct pool *pool, const struct nexthop *hop, struct key_row *keys)
{
	char	*key = pool_strdup(pool, hop->text);
	size_t	 n = 0;

	text_lower(key);
	keys[n++].key = key;
	if (text_starts(key, "inet:"))
		keys[n++].key = key += strlen("inet:");
	if (hop->kind == NEXTHOP_UNIX)
		keys[n++].key = pool_strdup(pool, hop->name);
	if (!domain_is_valid(key, true) || domain_is_literal(key))
		return n;
	return add_domains(pool, key, keys, n);
}

/* Ask for them all. 1 with the first that is there, 0, or -1: no answer. */
WAITS static int
ask_keys(struct pool *pool, struct key_row *keys, size_t count,
    const char **value, const char **key)
{
	struct ask_lookup	 ask = {
		.service = (char *)(uintptr_t)settings_service(),
		.parameter = (char *)(uintptr_t)settings_name(
		    "smtp_tls_policy_maps"),
		.how = LOOKUP_KEYS
	};
	struct found		 found;
	size_t			 done;

	for (done = 0; done < count; done += ask.count) {
		ask.keys = keys + done;
		ask.count = count - done < KEYS_MAX ? count - done : KEYS_MAX;
		if (lookup_ask(to_resolve, &ask, clock_now() + ASK_TIME, pool,
		    &found) == -1 || found.result == LOOKUP_TEMPORARY)
			return -1;
		if (found.result == LOOKUP_NOT_FOUND)
			continue;
		*value = found.value;
		*key = ask.keys[found.which].key;
		return 1;
	}
	return 0;
}

/* What the table says. NULL, or why that is of no use. */
WAITS static const char *
ask_table(struct pool *pool, const struct nexthop *hop, struct security *s)
{
	struct key_row	*keys;
	const char	*parameter = settings_name("smtp_tls_policy_maps");
	const char	*value, *key, *why;

	if (set.tls.policy_maps[0] == '\0')
		return standard.wrong_level;
	keys = pool_array(pool, KEYS_ROOM, sizeof(*keys));
	switch (ask_keys(pool, keys, add_keys(pool, hop, keys), &value,
	    &key)) {
	case 0:
		return standard.wrong_level;
	case 1:
		why = security_parse(pool, value, s);
		return why == NULL ? NULL : pool_printf(pool, "%s: %s: %s",
		    parameter, key, why);
	default:
		return pool_printf(pool, "the table of %s cannot be asked "
		    "now", parameter);
	}
}

int
security_find(struct delivery *d, const struct nexthop *hop,
    struct security **to, struct failure *f)
{
	struct security	*s = pool_alloc(d->pool, sizeof(*s));
	const char	*why;

	s->level = standard.level;
	why = ask_table(d->pool, hop, s);
	if (why == NULL)
		why = security_complete(d->pool, hop, s);
	*to = s;
	if (why == NULL)
		return 0;
	log_warning("%s: TLS policy for %s: %s", d->mail->queue_id, hop->text,
	    why);
	*f = (struct failure){ .dsn = "4.7.5", .relay = "none", .remote = "",
	    .diagnostic = "", .is_ours = true, .is_final = true };
	f->why = pool_printf(d->pool, "TLS policy for %s: %s", hop->text,
	    why);
	return -1;
}
