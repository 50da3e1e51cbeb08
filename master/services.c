/*
 * services.c - from master.cf to the table of what shall run.
 *
 * Every instance has the internal services below, whether its master.cf
 * names them or not; a line of master.cf with the same name and type sets
 * their options. Lines for daemons that Postfix needs and we do not (their
 * work is done inside other programs here) are accepted and told once. A
 * program we do not have is a warning, and its transport does not exist, so
 * that mail for it waits in the queue.
 */
#include "master/services.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "common/base/text.h"
#include "common/param/site.h"
#include "master/listeners.h"

/* What every instance runs. */
static const struct builtin {
	const char	*name, *program;	/* or another name for one */
	unsigned	 flags;
} builtins[] = {
	{ "log",	"log",		UNIT_AT_ONCE },
	{ "resolve",	"resolve",	UNIT_AT_ONCE | UNIT_IN_PLACE },
	{ "qmgr",	"qmgr",		UNIT_AT_ONCE | UNIT_ALONE |
					    UNIT_IN_PLACE | UNIT_PUBLIC },
	{ "pickup",	"pickup",	UNIT_AT_ONCE | UNIT_ALONE |
					    UNIT_PUBLIC },
	{ "dns",	"dns",		0 },
	{ "anvil",	"anvil",	0 },
	{ "keys",	"keys",		0 },
	{ "auth",	"auth",		0 },
	{ "token",	"token",	0 },
	{ "cleanup",	"cleanup",	0 },
	{ "bounce",	"bounce",	0 },
	{ "helper",	"helper",	0 },
	{ "local",	"local",	0 },
	{ "error",	"error",	0 },
	{ "retry",	"error",	0 },
	{ "discard",	"error",	0 },
	{ "smtp",	"smtp",		0 },
	{ "relay",	"smtp",		0 },
	{ "lmtp",	"lmtp",		0 },
	{ "virtual",	"virtual",	0 }
};

/* Commands of Postfix's whose work is part of another program here. */
static const char *const	absorbed[] = {
	"tlsmgr", "trivial-rewrite", "verify", "flush", "proxymap", "scache",
	"showq", "postlogd", "dnsblog", "tlsproxy"
};

/* Commands that are one of our programs under another name. */
static const struct {
	const char	*command, *program;
} same[] = {
	{ "nqmgr",	"qmgr" },
	{ "oqmgr",	"qmgr" },
	{ "discard",	"error" },
	{ "virtual",	"local" },
	{ "pipe",	"local" },
	{ "postscreen",	"smtpd" },	/* smtpd watches for early talkers */
	{ NULL, NULL }
};

/* Everything the making of a table needs. */
struct maker {
	struct services		*services;
	const struct mastercf	*file;
	struct pool		*pool;
	struct str		*errors, *warnings, absorbed;
};

/* The row of the internal service, or NULL. */
static const struct builtin *
find_builtin(const char *name)
{
	size_t	i;

	for (i = 0; i < sizeof(builtins) / sizeof(builtins[0]); i++)
		if (strcmp(builtins[i].name, name) == 0)
			return &builtins[i];
	return NULL;
}

/* Is this a line whose work is done elsewhere? */
static bool
is_absorbed(const struct service *line)
{
	size_t	i;

	for (i = 0; i < sizeof(absorbed) / sizeof(absorbed[0]); i++)
		if (strcmp(line->command, absorbed[i]) == 0)
			return true;
	if (strcmp(line->command, "bounce") == 0)
		return strcmp(line->name, "bounce") != 0; /* defer, trace */
	return strcmp(line->type, "pass") == 0 &&
	    strcmp(line->command, "smtpd") == 0;
}

/* Our program for a command, or NULL if there is none. */
static const char *
program_of(const char *command)
{
	const struct role	*role;
	size_t			 i;

	for (i = 0; same[i].command != NULL; i++)
		if (strcmp(same[i].command, command) == 0)
			return same[i].program;
	for (i = 0; i < sizeof(builtins) / sizeof(builtins[0]); i++)
		if (strcmp(builtins[i].program, command) == 0)
			return builtins[i].program;
	role = strcmp(command, "smtpd") == 0 ||
	    strcmp(command, "spawn") == 0 ? role_find(command) : NULL;
	return role == NULL ? NULL : role->program;
}

/* Must the program be told what its line calls it? */
bool
services_has_other_name(const struct unit *unit)
{
	static const char *const	names[] = { "postscreen", "discard",
					    "virtual", "pipe" };
	size_t				i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(unit->command, names[i]) == 0)
			return true;
	return false;
}

/* The next free row of the table, which has room for all from the start. */
static struct unit *
add(struct maker *m, const char *name, const char *program)
{
	struct unit	*unit = &m->services->units[m->services->count++];

	unit->services = m->services;
	unit->name = name;
	unit->program = unit->command = program;
	unit->role = role_find(program);
	unit->where = "built in";
	return unit;
}

/* Give the unit its workers. */
static void
add_workers(struct maker *m, struct unit *unit, unsigned count)
{
	unsigned	i;

	unit->worker_count = count;
	unit->workers = pool_array(m->pool, count, sizeof(struct worker));
	for (i = 0; i < count; i++) {
		unit->workers[i].unit = unit;
		unit->workers[i].number = i + 1;
		unit->workers[i].is_wanted = unit->flags & UNIT_AT_ONCE;
	}
}

/* What the line says besides name and program. */
static void
apply(struct maker *m, struct unit *unit, const struct service *line)
{
	size_t	i;

	unit->where = pool_printf(m->pool, "%s:%u", line->file, line->line);
	unit->command = line->command;
	unit->options = line->options;
	unit->option_count = line->option_count;
	unit->arguments = line->arguments + line->option_words;
	unit->argument_count = line->argument_count - line->option_words;
	if (line->maxproc >= 0)
		unit->maxproc = line->maxproc;
	for (i = 0; i < line->option_words; i++) {
		if (strcmp(line->arguments[i], "-v") == 0)
			unit->is_verbose = true;
		if (strcmp(line->arguments[i], "-D") == 0)
			unit->is_debugged = true;
	}
}

/* How many smtpd processes: an option of the line, or of main.cf. */
static unsigned
smtpd_processes(struct maker *m, const struct service *line)
{
	const char	*why;
	int64_t		 count = site.smtpd_processes;
	size_t		 i;

	for (i = 0; i < line->option_count; i++) {
		if (strcmp(line->options[i].name, "smtpd_processes") != 0)
			continue;
		why = text_integer(line->options[i].value, 1, WORKERS_MAX,
		    &count);
		if (why != NULL)
			str_addf(m->errors, "%s:%u: smtpd_processes = %s: %s\n",
			    line->file, line->line, line->options[i].value,
			    why);
	}
	return (unsigned)count;
}

/* postscreen's clients get the settings of the smtpd behind it. */
static const struct service *
behind(struct maker *m, const struct service *line)
{
	const struct service	*smtpd;

	if (strcmp(line->command, "postscreen") != 0)
		return line;
	smtpd = mastercf_find(m->file, "smtpd", "pass");
	return smtpd == NULL ? line : smtpd;
}

/* A line that opens a port. */
static void
add_inet(struct maker *m, const struct service *line)
{
	const char	*program = program_of(line->command), *why;
	struct unit	*unit;

	if (program == NULL || (strcmp(program, "smtpd") != 0 &&
	    strcmp(program, "spawn") != 0)) {
		str_addf(m->warnings, "%s:%u: %s: there is no program %s here "
		    "that serves a port; nothing listens there\n", line->file,
		    line->line, line->name, line->command);
		return;
	}
	unit = add(m, line->name, program);
	unit->flags = UNIT_IS_INET | UNIT_IS_STREAM;
	unit->maxproc = (int)site.default_process_limit;
	apply(m, unit, behind(m, line));
	unit->command = line->command;
	unit->where = pool_printf(m->pool, "%s:%u", line->file, line->line);
	why = listener_addresses(m->pool, line->name, &unit->addresses,
	    &unit->address_count);
	if (why != NULL)
		str_addf(m->errors, "%s: %s: %s\n", unit->where, line->name,
		    why);
	add_workers(m, unit, strcmp(program, "smtpd") == 0 ?
	    smtpd_processes(m, line) : 1);
}

/* Is maxproc the number of its deliveries at once? */
static bool
delivers(const char *program)
{
	return strcmp(program, "smtp") == 0 || strcmp(program, "lmtp") == 0 ||
	    strcmp(program, "local") == 0;
}

/* A line that runs commands for connections to a UNIX socket. */
static void
add_spawn(struct maker *m, const struct service *line)
{
	const struct builtin	*builtin = find_builtin(line->name);
	const struct unit	*other = services_find(m->services, line->name);
	struct unit		*unit;

	if (builtin != NULL || strcmp(line->name, "control") == 0 ||
	    strchr(line->name, '/') != NULL ||
	    (other != NULL && !(other->flags & UNIT_IS_INET))) {
		str_addf(m->errors, "%s:%u: %s: a service of spawn needs a "
		    "name of its own\n", line->file, line->line, line->name);
		return;
	}
	unit = add(m, line->name, "spawn");
	unit->flags = UNIT_IS_STREAM | (line->is_private ? 0 : UNIT_PUBLIC);
	unit->maxproc = (int)site.default_process_limit;
	apply(m, unit, line);
	add_workers(m, unit, 1);
}

/* A line for a service that other daemons call. */
static void
add_internal(struct maker *m, const struct service *line)
{
	const struct builtin	*builtin = find_builtin(line->name);
	const char		*program = program_of(line->command);
	struct unit		*unit;

	if (program == NULL || strcmp(program, "smtpd") == 0 ||
	    strcmp(program, "spawn") == 0) {
		str_addf(m->warnings, "%s:%u: %s: there is no program %s "
		    "here; mail for this transport will wait\n", line->file,
		    line->line, line->name, line->command);
		return;
	}
	if (builtin == NULL && !delivers(program) &&
	    strcmp(program, "error") != 0 &&
	    strcmp(program, "cleanup") != 0) {
		str_addf(m->warnings, "%s:%u: %s: a second service of %s is "
		    "of no use here\n", line->file, line->line, line->name,
		    line->command);
		return;
	}
	unit = services_find(m->services, line->name);
	if (unit != NULL && !(unit->flags & UNIT_IS_INET)) {
		str_addf(m->warnings, "%s:%u: %s: it is already in %s\n",
		    line->file, line->line, line->name, unit->where);
		return;
	}
	unit = add(m, line->name, program);
	unit->flags = builtin == NULL ? 0 : builtin->flags;
	if (delivers(program))
		unit->maxproc = (int)site.default_process_limit;
	apply(m, unit, line);
	add_workers(m, unit, site_processes(program));
}

/* One line of master.cf. */
static void
add_line(struct maker *m, const struct service *line)
{
	if (is_absorbed(line))
		str_addf(&m->absorbed, " %s", line->name);
	else if (strcmp(line->type, "inet") == 0)
		add_inet(m, line);
	else if (strcmp(line->type, "unix") == 0 &&
	    strcmp(line->command, "spawn") == 0)
		add_spawn(m, line);
	else if (strcmp(line->type, "unix") == 0 ||
	    strcmp(line->type, "fifo") == 0)
		add_internal(m, line);
	else
		str_addf(m->warnings, "%s:%u: %s: services of type %s do not "
		    "exist here\n", line->file, line->line, line->name,
		    line->type);
}

/* The internal services that no line named. */
static void
add_builtins(struct maker *m)
{
	const struct builtin	*b;
	const char		*program;
	struct unit		*unit;
	size_t			 i;

	for (i = 0; i < sizeof(builtins) / sizeof(builtins[0]); i++) {
		b = &builtins[i];
		unit = services_find(m->services, b->name);
		if (unit != NULL && !(unit->flags & UNIT_IS_INET))
			continue;
		program = program_of(b->program);
		unit = add(m, b->name, program);
		unit->flags = b->flags;
		unit->command = b->program;
		if (delivers(program))
			unit->maxproc = (int)site.default_process_limit;
		add_workers(m, unit, site_processes(program));
	}
}

/* Find the internal service of that name, or else the port's. */
struct unit *
services_find(const struct services *services, const char *name)
{
	struct unit	*port = NULL;
	size_t		 i;

	for (i = 0; i < services->count; i++) {
		if (strcmp(services->units[i].name, name) != 0)
			continue;
		if (!(services->units[i].flags & UNIT_IS_INET))
			return &services->units[i];
		port = &services->units[i];
	}
	return port;
}

/* Where the unit's program is. */
char *
services_path(struct pool *pool, const struct unit *unit)
{
	return pool_printf(pool, "%s/%s", site.daemon_directory,
	    unit->program);
}

/* Use the daemons beside this program, unless main.cf says where they are. */
bool
services_find_programs(struct maincf *mc)
{
	struct pool	*pool = maincf_pool(mc);
	char		*path, *slash;
	ssize_t		 n;

	if (maincf_find(mc, "daemon_directory") != NULL)
		return false;
	path = pool_alloc(pool, PATH_MAX);
	n = readlink("/proc/self/exe", path, PATH_MAX - 1);
	if (n <= 0 || (slash = strrchr(path, '/')) == NULL)
		return false;
	*slash = '\0';
	if (strcmp(path, site.daemon_directory) == 0 ||
	    access(pool_printf(pool, "%s/qmgr", path), X_OK) == -1)
		return false;
	site.daemon_directory = path;
	return true;
}

/* Read the instance's master.cf. */
struct mastercf *
services_file(struct pool *pool, char **why)
{
	return mastercf_read(pool, pool_printf(pool, "%s/master.cf",
	    site.config_directory), why);
}

/* Tell main.cf which names the -o values use. */
void
services_note_uses(const struct mastercf *file, struct maincf *mc)
{
	size_t	i, k;

	for (i = 0; i < file->count; i++)
		for (k = 0; k < file->services[i].option_count; k++)
			maincf_note_uses(mc,
			    file->services[i].options[k].value);
}

/* Make the table. */
struct services *
services_read(struct pool *pool, const struct mastercf *file,
    struct str *errors, struct str *warnings, struct str *notes)
{
	struct maker	m = {
		.file = file, .pool = pool, .errors = errors,
		.warnings = warnings
	};
	size_t		i, errors_before = errors->len;

	m.services = pool_alloc(pool, sizeof(*m.services));
	m.services->pool = pool;
	m.services->room = file->count +
	    sizeof(builtins) / sizeof(builtins[0]);
	m.services->units = pool_array(pool, m.services->room,
	    sizeof(struct unit));
	str_init(&m.absorbed, pool, 0);

	for (i = 0; i < file->count; i++)
		add_line(&m, &file->services[i]);
	add_builtins(&m);
	if (m.absorbed.len > 0)
		str_addf(notes, "%s/master.cf: part of other programs "
		    "here, and not started:%s\n", site.config_directory,
		    m.absorbed.data);
	return errors->len > errors_before ? NULL : m.services;
}
