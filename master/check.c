/*
 * check.c - what would go wrong, said before it does.
 *
 * Run by `postrider check`, and before `start` and `reload`. The files are
 * read as master reads them; then each daemon is run with --check and the
 * options of each of its services, because it alone knows its parameters and
 * its tables. The same complaint of several programs is told once.
 */
#include "master/check.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/daemon/roles.h"
#include "common/param/known.h"
#include "common/param/site.h"
#include "master/directories.h"
#include "master/listeners.h"
#include "master/services.h"

enum { TOLD_MAX = 500, OUTPUT_MAX = 64 * 1024 };

static struct {
	struct pool	*pool;
	unsigned	 errors;
	const char	*told[TOLD_MAX];
	size_t		 told_count;
	bool		 had_lines;
	bool		 is_start, is_lenient;	/* errors do not count */
	bool		 is_ours;	/* not looked at by an ordinary user */
	struct maincf	*mc;
	const struct unit *unit;	/* whose program is asked */
} run;

/* What is added to a line about a setting that stops a program. */
static const char	stops[] = " (stops ";

/* Was this said already? */
static bool
was_told(const char *line)
{
	size_t		 i, len = strlen(line);
	const char	*rest;

	for (i = 0; i < run.told_count; i++) {
		if (strncmp(run.told[i], line, len) != 0)
			continue;
		rest = run.told[i] + len;
		if (*rest == '\0' ||
		    strncmp(rest, stops, strlen(stops)) == 0)
			return true;
	}
	if (run.told_count < TOLD_MAX)
		run.told[run.told_count++] = pool_strdup(run.pool, line);
	return false;
}

/* One thing that stops the system. */
static void
error(const char *line)
{
	if (was_told(line))
		return;
	log_error("%s", line);
	run.errors += !run.is_lenient;
}

/* One thing worth knowing. */
static void
warning(const char *line)
{
	if (!was_told(line))
		log_warning("%s", line);
}

/* One thing that is as it should be, and still surprises. */
static void
note(const char *line)
{
	if (!was_told(line))
		log_info("%s", line);
}

/* Each line of a text. */
static void
each(struct str *text, void (*say)(const char *))
{
	char	*line, *rest = text->data;

	while ((line = strsep(&rest, "\n")) != NULL)
		if (*line != '\0')
			say(line);
}

/* A line about a setting: one that stops a program is an error. */
static void
about_setting(const char *line)
{
	if (strstr(line, stops) != NULL)
		error(line);
	else
		warning(line);
}

/* --- the system ---------------------------------------------------------- */

/* Users and groups, when they will be needed. */
static void
check_users(void)
{
	const struct role	*role;
	const char		*group;

	if (!site.is_root)
		return;
	for (role = role_all(); role->program != NULL; role++) {
		if (role->user != NULL && getpwnam(role->user) == NULL)
			error(pool_printf(run.pool, "there is no user %s, as "
			    "whom %s runs", role->user, role->program));
		group = role_socket_group(role->program);
		if (group != NULL && getgrnam(group) == NULL)
			error(pool_printf(run.pool, "there is no group %s, "
			    "which may call %s", group, role->program));
	}
	if (getgrnam(site.setgid_group) == NULL)
		error(pool_printf(run.pool, "there is no group %s "
		    "(setgid_group)", site.setgid_group));
}

/* Nobody else may change what root obeys. */
static void
check_file(const char *path)
{
	struct stat	st;

	if (stat(path, &st) == -1)
		error(pool_printf(run.pool, "%s: %s", path, strerror(errno)));
	else if (st.st_mode & S_IWOTH)
		error(pool_printf(run.pool, "%s may be written by everybody",
		    path));
	else if (st.st_uid != 0 && st.st_uid != geteuid())
		error(pool_printf(run.pool, "%s belongs neither to root nor "
		    "to you", path));
}

/* Will there be a place for log lines? */
static void
check_log(void)
{
	char	*directory, *slash;

	if (*site.maillog_file == '\0') {
		if (access("/dev/log", W_OK) == -1)
			warning("there is no system log (/dev/log): set "
			    "maillog_file, or run in the foreground");
		return;
	}
	if (strncmp(site.maillog_file, "/dev/", 5) == 0)
		return;
	directory = pool_strdup(run.pool, site.maillog_file);
	if ((slash = strrchr(directory, '/')) != NULL)
		slash[slash == directory] = '\0';
	if (access(site.maillog_file, W_OK) == -1 &&
	    (errno != ENOENT || access(directory, W_OK) == -1))
		error(pool_printf(run.pool, "%s: maillog_file = %s: %s",
		    maincf_where(run.pool, maincf_find(run.mc,
		    "maillog_file")), site.maillog_file, strerror(errno)));
}

/* Is there room for mail from outside? cleanup and smtpd say 452 if not. */
static void
check_room(void)
{
	enum { MEGABYTE = 1024 * 1024, INODES = 100 };
	int64_t	bytes, inodes, floor = site_queue_floor();
	int	fd, result;

	if ((fd = fs_open_directory(AT_FDCWD, site.queue_directory)) == -1)
		return;
	result = fs_free_space(fd, &bytes, &inodes);
	close(fd);
	if (result == 0 && bytes < floor)
		warning(pool_printf(run.pool, "%s: %lld MB are free, and "
		    "%lld MB have to be (queue_minfree, message_size_limit): "
		    "mail is refused with 452", site.queue_directory,
		    (long long)(bytes / MEGABYTE),
		    (long long)(floor / MEGABYTE)));
	if (result == 0 && inodes < INODES)
		warning(pool_printf(run.pool, "%s: there are inodes for %lld "
		    "more files: mail is refused with 452",
		    site.queue_directory, (long long)inodes));
}

/* The command that posts mail while the system is down. */
static void
check_postdrop(void)
{
	char			*path;
	struct stat		 st;
	const struct group	*gr = getgrnam(site.setgid_group);

	path = pool_printf(run.pool, "%s/postdrop", site.command_directory);
	if (!site.is_root || gr == NULL || stat(path, &st) == -1 ||
	    strcmp(site.command_directory, DEFAULT_COMMAND_DIRECTORY) != 0)
		return;			/* not installed */
	if (st.st_gid != gr->gr_gid || !(st.st_mode & S_ISGID))
		warning(pool_printf(run.pool, "%s should be set-gid %s; "
		    "without that, users cannot post mail while the system "
		    "is down", path, site.setgid_group));
}

/* --- the programs -------------------------------------------------------- */

/* Run a program, its standard error into `to`. The exit status, or -1. */
static int
capture(const char *path, char *const *argv, struct str *to)
{
	char	buffer[1024];
	int	ends[2], status;
	ssize_t	n;
	pid_t	pid;

	if (pipe2(ends, O_CLOEXEC) == -1)
		return -1;
	if ((pid = fork()) == 0) {
		(void)dup2(ends[1], STDERR_FILENO);
		execv(path, argv);
		_exit(127);
	}
	close(ends[1]);
	while ((n = read(ends[0], buffer, sizeof(buffer))) > 0)
		str_add_mem(to, buffer, (size_t)n);
	close(ends[0]);
	if (pid == -1 || waitpid(pid, &status, 0) == -1)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Where the setting is that this service has. */
static const char *
place_of(const char *name)
{
	const struct setting	*s = maincf_find(run.mc, name);
	size_t			 i;

	for (i = 0; i < run.unit->option_count; i++)
		if (strcmp(run.unit->options[i].name, name) == 0)
			return run.unit->where;
	return s == NULL ? NULL : maincf_where(run.pool, s);
}

/* A daemon's complaint "name: text" or "name = value: text" about a setting,
 * with its place. A daemon does not know where -o stands. */
static const char *
placed(const char *line)
{
	const char	*place, *service = "master.cf, service ", *end;
	size_t		 len = strcspn(line, ": ");

	if (strncmp(line, service, strlen(service)) == 0 &&
	    (end = strchr(line, ':')) != NULL)
		return pool_printf(run.pool, "%s%s", run.unit->where, end);
	if (line[len] != ':' && strncmp(line + len, " = ", 3) != 0)
		return line;
	place = place_of(pool_strndup(run.pool, line, len));
	return place == NULL ? line :
	    pool_printf(run.pool, "%s: %s", place, line);
}

/* One line of a daemon's complaints: the same words, whoever says them. */
static void
complaint(const char *line)
{
	static const char *const	levels[] = {
		"error: ", "fatal: ", "panic: "
	};
	const char			*found;
	size_t				 i;

	run.had_lines = true;
	for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if ((found = strstr(line, levels[i])) != NULL) {
			error(placed(found + strlen(levels[i])));
			return;
		}
	found = strstr(line, "warning: ");
	warning(placed(found != NULL ? found + strlen("warning: ") : line));
}

/* What a unit's program says to --check with the unit's options. */
static void
check_unit(const struct unit *unit)
{
	char		*path = services_path(run.pool, unit), **argv;
	struct str	 output;
	size_t		 i, n = 0;
	int		 status;

	if (access(path, X_OK) == -1) {
		error(pool_printf(run.pool, "%s: %s", path, strerror(errno)));
		return;
	}
	argv = pool_array(run.pool, 10 + 2 * unit->option_count +
	    2 * unit->argument_count, sizeof(char *));
	argv[n++] = pool_strdup(run.pool, unit->program);
	argv[n++] = "--check";
	argv[n++] = "-c";
	argv[n++] = site.config_directory;
	argv[n++] = "-n";
	argv[n++] = pool_strdup(run.pool, unit->name);
	for (i = 0; i < unit->option_count; i++) {
		argv[n++] = "-o";
		argv[n++] = pool_printf(run.pool, "%s=%s",
		    unit->options[i].name, unit->options[i].value);
	}
	if (services_has_other_name(unit)) {
		argv[n++] = "-P";
		argv[n++] = pool_strdup(run.pool, unit->command);
	}
	for (i = 0; i < unit->argument_count &&
	    strcmp(unit->command, "pipe") == 0; i++) {
		argv[n++] = "-a";
		argv[n++] = unit->arguments[i];
	}
	str_init(&output, run.pool, OUTPUT_MAX);
	status = capture(path, argv, &output);
	run.had_lines = false;
	run.unit = unit;
	run.is_lenient = run.is_start && strcmp(unit->program, "keys") == 0;
	each(&output, complaint);
	run.is_lenient = false;
	if (status != 0 && !run.had_lines)
		error(pool_printf(run.pool, "%s --check ends with status %d",
		    path, status));
}

/* Has an earlier unit the same program, and neither of them options? */
static bool
is_repeated(const struct services *services, const struct unit *unit)
{
	const struct unit	*u;

	if (unit->option_count > 0 || strcmp(unit->command, "pipe") == 0)
		return false;
	for (u = services->units; u < unit; u++)
		if (strcmp(u->program, unit->program) == 0 &&
		    u->option_count == 0)
			return true;
	return false;
}

/* Every program, and the ports, unless we have them ourselves. */
static void
check_services(const struct services *services)
{
	const struct unit	*unit;
	const char		*why;
	bool			 is_running;
	size_t			 i;

	/* Whoever may not open the port himself learns nothing by trying. */
	is_running = !run.is_ours ||
	    pid_file_holder(run.pool, site.queue_directory) != 0;
	for (unit = services->units; unit < services->units + services->count;
	    unit++) {
		if (!is_repeated(services, unit))
			check_unit(unit);
		for (i = 0; i < unit->address_count && !is_running; i++) {
			why = listener_probe(run.pool, &unit->addresses[i]);
			if (why != NULL)
				error(pool_printf(run.pool, "%s: %s",
				    unit->where, why));
		}
	}
}

/* --- all ----------------------------------------------------------------- */

/* master.cf, and what it names. */
static void
check_mastercf(void)
{
	struct mastercf	*file;
	struct services	*services;
	struct str	 errors, warnings, notes;
	char		*why;

	if ((file = services_file(run.pool, &why)) == NULL) {
		error(why);
		return;
	}
	str_init(&errors, run.pool, 0);
	str_init(&warnings, run.pool, 0);
	str_init(&notes, run.pool, 0);
	services = services_read(run.pool, file, &errors, &warnings, &notes);
	check_transports(run.pool, run.mc, file, &warnings);
	check_names(run.pool, run.mc, file, &warnings);
	check_commands(run.pool, file, &warnings);
	check_tls(run.mc, file, &warnings, &notes);
	each(&errors, error);
	each(&warnings, warning);
	each(&notes, note);
	if (services == NULL)
		return;
	check_services(services);
	if (!run.is_ours)
		return;
	str_init(&errors, run.pool, 0);
	str_init(&warnings, run.pool, 0);
	check_files(run.pool, services, &errors, &warnings);
	each(&errors, error);
	each(&warnings, warning);
}

/* What only who runs the instance can judge. */
static void
check_ours(void)
{
	struct str	errors;

	str_init(&errors, run.pool, 0);
	(void)directories_check(run.pool, &errors);
	each(&errors, error);
	check_log();
	check_room();
}

/* Check everything. */
unsigned
check_all(struct pool *pool, const char *directory, enum check_what what)
{
	struct mastercf	*file;
	struct maincf	*mc;
	struct str	 text;
	char		*why;

	run.pool = pool;
	run.is_start = what == CHECK_START;
	str_init(&text, pool, 0);
	mc = site_try(pool, directory, &text);
	each(&text, error);
	if (mc == NULL)
		return run.errors;
	run.mc = mc;
	services_find_programs(mc);

	if ((file = services_file(pool, &why)) != NULL)
		services_note_uses(file, mc);
	str_init(&text, pool, 0);
	(void)known_report(mc, &text);
	each(&text, about_setting);
	check_file(pool_printf(pool, "%s/main.cf", site.config_directory));
	check_file(pool_printf(pool, "%s/master.cf", site.config_directory));
	check_users();
	run.is_ours = directories_are_ours();
	if (run.is_ours)
		check_ours();
	else
		note(pool_printf(pool, "%s belongs to somebody else: owners, "
		    "modes, ports and the log are not looked at; root sees "
		    "more", site.queue_directory));
	check_postdrop();
	str_init(&text, pool, 0);
	check_paths(pool, mc, &text);
	each(&text, warning);
	check_mastercf();
	if (what == CHECK_ALL && run.is_ours) {
		str_init(&text, pool, 0);
		check_strays(pool, mc, &text);
		each(&text, warning);
	}
	return run.errors;
}
