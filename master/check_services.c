/*
 * check_services.c - what main.cf and master.cf say of each other, and of
 * users and programs that are not here.
 */
#include "master/check.h"

#include <pwd.h>
#include <string.h>
#include <unistd.h>

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
