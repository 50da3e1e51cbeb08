/*
 * check_tls.c - services that promise what they cannot keep, or let passwords
 * travel in clear.
 *
 * Looks at each line of master.cf with the settings that it has. Whether the
 * certificates themselves are good is told by keys --check.
 */
#include "master/check.h"

#include <string.h>

#include "common/base/text.h"
#include "common/param/overlay.h"
#include "common/param/site.h"

/* One line of master.cf, as all checks see it. */
struct looked {
	struct pool		*pool;
	struct maincf		*mc;
	const struct service	*line;
	struct str		*warnings, *notes;
};

/* A value, expanded; "" when there is none. */
static const char *
value_of(const struct looked *l, const char *name)
{
	const char	*value;
	char		*why;

	value = maincf_value(l->mc, l->pool, name, &why);
	return value == NULL ? "" : text_trim(pool_strdup(l->pool, value));
}

/* Is it set to yes? */
static bool
is_on(const struct looked *l, const char *name)
{
	return text_equal(value_of(l, name), "yes");
}

/* Where it is set; for a default, the line of the service. */
static const char *
where(const struct looked *l, const char *name)
{
	const struct setting	*s = maincf_find(l->mc, name);

	return s != NULL ? maincf_where(l->pool, s) :
	    pool_printf(l->pool, "%s:%u", l->line->file, l->line->line);
}

/* Is the word in the list? */
static bool
has(const struct looked *l, const char *list, const char *word)
{
	size_t	i, count;
	char	**words = text_words(l->pool, value_of(l, list), &count);

	for (i = 0; i < count; i++)
		if (text_equal(words[i], word))
			return true;
	return false;
}

/* Does any setting name a certificate? */
static bool
has_certificate(const struct looked *l)
{
	static const char *const	names[] = {
		"smtpd_tls_chain_files", "smtpd_tls_cert_file",
		"smtpd_tls_eccert_file", "smtpd_tls_dcert_file",
		"tls_server_sni_maps"
	};
	const char			*value;
	size_t				 i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		value = value_of(l, names[i]);
		if (*value != '\0' && !text_equal(value, "none"))
			return true;
	}
	return false;
}

/* Can anybody but this machine come here? */
static bool
is_local(const struct looked *l)
{
	static const char *const	hosts[] = {
		"127.0.0.1:", "localhost:", "[::1]:"
	};
	size_t				i;

	for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
		if (text_starts(l->line->name, hosts[i]))
			return true;
	return strchr(l->line->name, ':') == NULL &&
	    text_equal(site.inet_interfaces, "loopback-only");
}

/* How TLS is had in a service. */
enum tls_had { TLS_NEVER, TLS_IF_WANTED, TLS_ALWAYS };

static enum tls_had
tls_of(const struct looked *l)
{
	const char	*level = value_of(l, "smtpd_tls_security_level");

	if (is_on(l, "smtpd_tls_wrappermode") || text_equal(level, "encrypt"))
		return TLS_ALWAYS;
	return *level == '\0' || text_equal(level, "none") ? TLS_NEVER :
	    TLS_IF_WANTED;
}

/* TLS that everybody must use and nobody can. On a machine that only talks to
 * itself, as one does that was just installed, this is worth a note. */
static void
check_certificate(const struct looked *l)
{
	bool		 is_wrapped = is_on(l, "smtpd_tls_wrappermode");
	const char	*name = is_wrapped ? "smtpd_tls_wrappermode" :
			    "smtpd_tls_security_level";

	if (tls_of(l) != TLS_ALWAYS || has_certificate(l))
		return;
	str_addf(is_local(l) ? l->notes : l->warnings,
	    "%s: %s = %s, and there is no certificate: no client can use "
	    "this service; set smtpd_tls_chain_files\n", where(l, name), name,
	    value_of(l, name));
}

/* Ways for a password to be seen. */
static void
check_clear(const struct looked *l)
{
	static const char	enable[] = "smtpd_sasl_auth_enable";
	bool			is_only = is_on(l, "smtpd_tls_auth_only");

	if (tls_of(l) == TLS_NEVER && is_only)
		str_addf(l->warnings, "%s: %s = yes, but "
		    "smtpd_tls_auth_only = yes and there is no TLS: nobody "
		    "can log in; set smtpd_tls_security_level = may\n",
		    where(l, enable), enable);
	else if (is_only || tls_of(l) == TLS_ALWAYS || is_local(l) ||
	    has(l, "smtpd_sasl_security_options", "noplaintext"))
		return;
	else if (tls_of(l) == TLS_NEVER)
		str_addf(l->warnings, "%s: %s = yes on a service without TLS: "
		    "passwords travel in clear; set smtpd_tls_security_level "
		    "= encrypt, or take AUTH away\n", where(l, enable),
		    enable);
	else
		str_addf(l->warnings, "%s: %s = yes with smtpd_tls_auth_only "
		    "= no: passwords may travel in clear; set "
		    "smtpd_tls_auth_only = yes\n", where(l, enable), enable);
}

/* Networks that AUTH is not offered to: not everybody. */
static void
check_exceptions(const struct looked *l)
{
	static const char	name[] = "smtpd_sasl_exceptions_networks";
	static const char *const all[] = {
		"0.0.0.0/0", "::/0", "[::]/0", "static:all"
	};
	size_t			i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (has(l, name, all[i])) {
			str_addf(l->warnings, "%s: %s has %s: AUTH is offered "
			    "to nobody there; name networks whose clients "
			    "cannot log in\n", where(l, name), name, all[i]);
			return;
		}
}

/* Logins that are none. */
static void
check_anonymous(const struct looked *l)
{
	static const char *const	names[] = {
		"smtpd_sasl_security_options",
		"smtpd_sasl_tls_security_options"
	};
	size_t				i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!has(l, names[i], "noanonymous"))
			str_addf(l->warnings, "%s: %s is without noanonymous: "
			    "whoever does not say a name counts as logged in; "
			    "add noanonymous\n", where(l, names[i]),
			    names[i]);
}

/* A line for smtpd. */
static void
check_server(const struct looked *l)
{
	check_certificate(l);
	if (!is_on(l, "smtpd_sasl_auth_enable"))
		return;
	check_clear(l);
	check_exceptions(l);
	check_anonymous(l);
}

/* A line for smtp or lmtp: our own passwords at other servers. */
static void
check_client(const struct looked *l)
{
	struct pool	*pool = l->pool;
	const char	*p = l->line->command, *level, *enable;

	enable = pool_printf(pool, "%s_sasl_auth_enable", p);
	if (!is_on(l, enable) || is_on(l, pool_printf(pool,
	    "%s_tls_wrappermode", p)) || has(l, pool_printf(pool,
	    "%s_sasl_security_options", p), "noplaintext"))
		return;
	level = value_of(l, pool_printf(pool, "%s_tls_security_level", p));
	if (*level != '\0' && !text_equal(level, "none") &&
	    !text_equal(level, "may"))
		return;
	str_addf(l->warnings, "%s: %s = yes, and neither "
	    "%s_tls_security_level demands TLS nor has "
	    "%s_sasl_security_options noplaintext: our password may travel "
	    "in clear; set %s_tls_security_level = encrypt\n",
	    where(l, enable), enable, p, p, p);
}

/* All lines. */
void
check_tls(struct maincf *mc, const struct mastercf *file,
    struct str *warnings, struct str *notes)
{
	struct looked	l = { .warnings = warnings, .notes = notes };
	size_t		i;

	for (i = 0; i < file->count; i++) {
		l.line = &file->services[i];
		l.pool = pool_new("service", 0);
		l.mc = overlay_settings(l.pool, mc, file, l.line);
		if (strcmp(l.line->type, "inet") == 0 &&
		    (strcmp(l.line->command, "smtpd") == 0 ||
		    strcmp(l.line->command, "postscreen") == 0)) {
			check_server(&l);
			check_relay(l.pool, l.mc, l.line, warnings);
		} else if (strcmp(l.line->command, "smtp") == 0 ||
		    strcmp(l.line->command, "lmtp") == 0)
			check_client(&l);
		pool_free(l.pool);
	}
}
