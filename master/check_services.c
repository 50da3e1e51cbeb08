/*
 * check_services.c - what main.cf and master.cf say of each other, of names
 * that nobody knows, and of users and programs that are not here.
 */
#include "master/check.h"

#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "common/mail/address.h"
#include "common/param/known.h"

/* The transport of "transport:nexthop"; NULL for a value without one. */
static const char *
transport_of(struct pool *pool, const char *value)
{
	size_t	len = strcspn(value, ": \t,");

	return len == 0 ? NULL : pool_strndup(pool, value, len);
}

/* Does mail that goes there find somebody? */
static bool
is_served(const struct mastercf *file, const char *transport)
{
	/* These run without a line in master.cf. */
	static const char *const	always[] = {
		"smtp", "relay", "lmtp", "local", "virtual", "error", "retry",
		"discard"
	};
	size_t	i;

	for (i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		if (strcmp(transport, always[i]) == 0)
			return true;
	return mastercf_find(file, transport, "unix") != NULL;
}

/* The same for content filters that single services set. */
static void
check_filters(struct pool *pool, struct maincf *mc,
    const struct mastercf *file, struct str *warnings)
{
	const struct service		*s;
	const struct service_option	*o;
	const char			*value, *transport;
	char				*why;

	for (s = file->services; s < file->services + file->count; s++)
		for (o = s->options; o < s->options + s->option_count; o++) {
			if (strcmp(o->name, "content_filter") != 0 ||
			    (value = maincf_expand(mc, pool, o->value,
			    &why)) == NULL ||
			    (transport = transport_of(pool, value)) == NULL ||
			    is_served(file, transport))
				continue;
			str_addf(warnings, "%s:%u: %s = %s: master.cf has no "
			    "service %s of type unix\n", s->file, s->line,
			    o->name, value, transport);
		}
}

/* Settings that name a transport which nobody serves: their mail waits. */
void
check_transports(struct pool *pool, struct maincf *mc,
    const struct mastercf *file, struct str *warnings)
{
	static const char *const	names[] = {
		"default_transport", "relay_transport", "local_transport",
		"virtual_transport", "mailbox_transport", "fallback_transport",
		"content_filter"
	};
	const char	*value, *transport;
	char		*why;
	size_t		 i;

	check_filters(pool, mc, file, warnings);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (maincf_find(mc, names[i]) == NULL)
			continue;
		value = maincf_value(mc, pool, names[i], &why);
		if (value == NULL ||
		    (transport = transport_of(pool, value)) == NULL ||
		    is_served(file, transport))
			continue;
		str_addf(warnings, "%s: %s = %s: master.cf has no service %s "
		    "of type unix\n", maincf_where(pool, maincf_find(mc,
		    names[i])), names[i], value, transport);
	}
}

/* Does a service have a setting of this name? */
static bool
is_option(const struct mastercf *file, const char *name)
{
	const struct service	*s;
	size_t			 i;

	for (s = file->services; s < file->services + file->count; s++)
		for (i = 0; i < s->option_count; i++)
			if (strcmp(s->options[i].name, name) == 0)
				return true;
	return false;
}

/* May what is used as $name be empty with nobody wondering? "stress" is a name
 * of Postfix's that nothing sets here. */
static bool
is_known(struct maincf *mc, const struct mastercf *file, const char *name)
{
	return maincf_text(mc, name) != NULL || known_find(name) != NULL ||
	    strcmp(name, "stress") == 0 || is_option(file, name);
}

/* The name behind a dollar sign, and *at behind it; NULL if it is none, or one
 * of which the text asks whether it has a value. */
static const char *
used_name(struct pool *pool, const char **at)
{
	static const char	letters[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
	const char		*name = *at + 1;
	bool			 is_braced = *name == '{' || *name == '(';
	size_t			 len;

	if (*name == '$') {
		*at += 2;
		return NULL;
	}
	name += is_braced;
	len = strspn(name, letters);
	*at = name + len;
	if (len == 0 || (is_braced && **at != '}' && **at != ')'))
		return NULL;
	return pool_strndup(pool, name, len);
}

/* Names that a value uses and that nobody knows: they are empty in it. */
static void
check_uses(struct pool *pool, struct maincf *mc, const struct mastercf *file,
    const struct setting *s, struct str *warnings)
{
	const char	*at = s->value, *name;

	while ((at = strchr(at, '$')) != NULL)
		if ((name = used_name(pool, &at)) != NULL &&
		    !is_known(mc, file, name))
			str_addf(warnings, "%s: %s: $%s is not a parameter: "
			    "it is empty here\n", maincf_where(pool, s),
			    s->name, name);
}

/* Are names in the value others than parameters' (PARAM_RAW)? */
static bool
has_own_names(const char *parameter)
{
	static const char *const	raw[] = {
		"command_execution_directory", "command_expansion_filter",
		"debugger_command", "execution_directory_expansion_filter",
		"forward_expansion_filter", "forward_path", "luser_relay",
		"mailbox_command", "message_reject_characters",
		"message_strip_characters", "smtpd_reject_footer"
	};
	size_t	i;

	for (i = 0; i < sizeof(raw) / sizeof(raw[0]); i++)
		if (strcmp(raw[i], parameter) == 0)
			return true;
	return false;
}

/* A setting of a transport, slow_destination_rate_delay, that is not there. */
static void
check_owner(struct pool *pool, const struct mastercf *file,
    const struct setting *s, const struct known *row, struct str *warnings)
{
	const char	*tail = known_name(row), *transport;

	if (*tail != '*')
		return;
	transport = pool_strndup(pool, s->name,
	    strlen(s->name) - strlen(tail + 1));
	if (!is_served(file, transport))
		str_addf(warnings, "%s: %s: master.cf has no service %s of "
		    "type unix\n", maincf_where(pool, s), s->name, transport);
}

/* What this machine is called, in greetings, Received and addresses: others
 * would refuse what is no name. */
static void
check_host(struct pool *pool, struct maincf *mc, struct str *warnings)
{
	static const char *const	names[] = { "myhostname", "mydomain",
					    "myorigin" };
	const char			*value;
	char				*why;
	size_t				 i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		value = maincf_value(mc, pool, names[i], &why);
		if (value != NULL && *value != '/' &&
		    (*value == '[' || !domain_is_valid(value, true)))
			str_addf(warnings, "%s: %s = %s: expected a name like "
			    "mail.example.com\n", maincf_where(pool,
			    maincf_find(mc, names[i])), names[i], value);
	}
}

/* Names that are misspelt, most likely. */
void
check_names(struct pool *pool, struct maincf *mc, const struct mastercf *file,
    struct str *warnings)
{
	const struct service		*s;
	const struct service_option	*o;
	const struct setting		*setting;
	const struct known		*row;
	size_t				 i;

	check_host(pool, mc, warnings);
	for (i = 0; (setting = maincf_at(mc, i)) != NULL; i++) {
		row = known_find(setting->name);
		if (row == NULL || row->standing != STANDING_ACTS)
			continue;
		check_owner(pool, file, setting, row, warnings);
		if (!has_own_names(setting->name))
			check_uses(pool, mc, file, setting, warnings);
	}
	for (s = file->services; s < file->services + file->count; s++)
		for (o = s->options; o < s->options + s->option_count; o++)
			if (known_find(o->name) == NULL &&
			    !known_is_own(mc, o->name))
				str_addf(warnings, "%s:%u: %s is not a "
				    "parameter\n", s->file, s->line, o->name);
}

/* The value of an argument like user=NAME, NULL if there is none. */
static const char *
argument(const struct service *s, const char *name)
{
	size_t	i, len = strlen(name);

	for (i = s->option_words; i < s->argument_count; i++)
		if (strncmp(s->arguments[i], name, len) == 0)
			return s->arguments[i] + len;
	return NULL;
}

/* Is it a user that our daemons run as? */
static bool
is_own(const char *user)
{
	const struct role	*r;

	for (r = role_all(); r->program != NULL; r++)
		if (r->user != NULL && strcmp(r->user, user) == 0)
			return true;
	return false;
}

/* What is wrong with one service of pipe or spawn, NULL: nothing. */
static const char *
fault_of(struct pool *pool, const struct service *s)
{
	const char		*user = argument(s, "user=");
	const char		*program = argument(s, "argv=");
	const struct passwd	*pw;

	if (user == NULL)
		return "expected user=name";
	if (program == NULL || *program == '\0')
		return "expected argv=command";
	user = pool_strndup(pool, user, strcspn(user, ":"));
	pw = strchr(user, '$') == NULL ? getpwnam(user) : NULL;
	if (strchr(user, '$') == NULL && pw == NULL)
		return pool_printf(pool, "there is no user %s", user);
	if (pw != NULL && (pw->pw_uid == 0 || is_own(user)))
		return pool_printf(pool, "user=%s: commands do not run as "
		    "root or as a user of the mail system", user);
	if (*program == '/' && access(program, X_OK) == -1)
		return pool_printf(pool, "there is no program %s", program);
	return NULL;
}

/*
 * Users and programs of services that run commands. Distributions bring lines
 * for programs that few have, so that this is no error.
 */
void
check_commands(struct pool *pool, const struct mastercf *file,
    struct str *warnings)
{
	const struct service	*s;
	const char		*fault;

	for (s = file->services; s < file->services + file->count; s++)
		if ((strcmp(s->command, "pipe") == 0 ||
		    strcmp(s->command, "spawn") == 0) &&
		    (fault = fault_of(pool, s)) != NULL)
			str_addf(warnings, "%s:%u: %s: %s\n", s->file,
			    s->line, s->name, fault);
}
