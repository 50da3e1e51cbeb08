/*
 * daemon.c - the life of every daemon but master, from exec to exit.
 *
 * The order is the point. Everything that needs root, the file system or the
 * user database happens before the doors close; nothing from a stranger is
 * read before they are closed.
 *
 * D1  The environment is cleaned before anything looks at it.
 * D2  No byte of a client or another daemon is read before privs_drop() and
 *     sandbox_enter() have returned.
 * D3  READY means: start() is done and every listener is served.
 * D4  A daemon that drains ends only when no session, no handler and no
 *     unsent packet is left, or when its time is over.
 */
#include "common/daemon/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/daemon/inside.h"
#include "common/fiber/loop.h"
#include "common/param/known.h"
#include "common/param/manual.h"
#include "common/param/site.h"

enum {
	STOPPING_TIME = 5000,	/* from SIGTERM to the end, milliseconds */
	LOOK_EVERY = 20,	/* for the end of the last session */
	READINGS_MAX = 200,	/* changed configurations that are kept, of */
	READINGS_APART = 16	/* some 150 KB; more in the next worker */
};

static struct {
	const struct daemon	*daemon;
	const struct role	*role;
	struct options		 options;
	struct maincf		*maincf;
	const char		*unsupported;
	int			 queue_fd;
	bool			 is_checking;
	bool			 is_draining, is_stopping;
	int64_t			 leave_by;
} self = { .queue_fd = -1, .leave_by = NEVER };

/* --- environment and configuration --------------------------------------- */

/* Keep what is harmless and wanted (D1). */
static void
clean_environment(void)
{
	static const char *const	 keep[] = {
		"TZ", "MAIL_CONFIG", "POSTRIDER_PAINT_STACKS",
		"POSTRIDER_ALLOW_CORES", "POSTRIDER_NO_SANDBOX",
		"ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS"
	};
	enum { KEPT = sizeof(keep) / sizeof(keep[0]) };
	char				*values[KEPT];
	const char			*value;
	size_t				 i;

	for (i = 0; i < KEPT; i++) {
		value = getenv(keep[i]);
		values[i] = value != NULL ? mem_strdup(value) : NULL;
	}
	if (clearenv() != 0 || setenv("LANG", "C", 1) == -1)
		die("cannot clean the environment");
	for (i = 0; i < KEPT; i++) {
		if (values[i] != NULL && setenv(keep[i], values[i], 1) == -1)
			die("cannot clean the environment");
		free(values[i]);
	}
}

/* The settings of -o, which are for this service alone. */
static void
apply_overrides(struct maincf *mc)
{
	const struct options	*o = &self.options;
	struct pool		*pool = maincf_pool(mc);
	char			*name, *value;
	size_t			 i;

	for (i = 0; i < o->override_count; i++) {
		value = pool_strdup(pool, o->overrides[i]);
		name = strsep(&value, "=");
		maincf_set(mc, name, value, pool_printf(pool,
		    "master.cf, service %s", o->service));
	}
}

/* Read main.cf, with the settings that are ours; it sets `site`. */
static struct maincf *
read_settings(struct pool *pool, struct str *problems)
{
	struct maincf	*mc;

	if ((mc = site_try(pool, self.options.directory, problems)) == NULL ||
	    site_refuse_open(pool, "main.cf", problems) == -1)
		return NULL;
	apply_overrides(mc);
	/* Obsolete names are mapped, and paths completed, after overrides too:
	 * "-o smtpd_enforce_tls=yes" must not be lost. */
	if (self.options.override_count > 0 && site_apply(mc, problems) == -1)
		return NULL;
	return mc;
}

/* Set every parameter of our own; -1 with the problems told, and nothing
 * changed. */
static int
use_settings(struct maincf *mc, struct str *problems)
{
	if (self.daemon->params != NULL &&
	    param_load(mc, self.daemon->params, problems) == -1)
		return -1;
	self.unsupported = known_unsupported(mc, self.daemon->name);
	if (self.unsupported == NULL && self.options.stands_for != NULL)
		self.unsupported = known_unsupported(mc,
		    self.options.stands_for);
	return 0;
}

/* Both; NULL with the problems told. */
static struct maincf *
read_configuration(struct str *problems)
{
	struct maincf	*mc = read_settings(pool_new("configuration", 0),
			    problems);

	return mc != NULL && use_settings(mc, problems) == 0 ? mc : NULL;
}

/* The same, or the end. */
static void
configure(void)
{
	struct str	 problems;
	struct pool	*pool = pool_new("problems", 0);

	str_init(&problems, pool, 0);
	if ((self.maincf = read_configuration(&problems)) == NULL) {
		log_lines(LOG_LEVEL_ERROR, problems.data);
		die("the configuration cannot be used");
	}
	pool_free(pool);
	log_name(site.syslog_name, self.daemon->name);
}

/* What was read before stays in memory, since sessions keep the settings that
 * they began with. Once it is much, a fresh process forgets it; not all of the
 * service's at a time. */
static void
count_reading(void)
{
	static unsigned	readings;

	if (++readings == READINGS_MAX + READINGS_APART * self.options.worker) {
		log_info("the settings have changed %u times: leaving, so that "
		    "a fresh process takes over", readings);
		daemon_leave();
	}
}

/* Read main.cf once more, in a daemon that still can. One that says what it
 * said changes nothing, and costs nothing. */
int
daemon_read_again(void)
{
	const struct site	 before = site;
	const int		 facility = log_facility_code();
	struct pool		*pool = pool_new("configuration", 0);
	struct maincf		*mc;
	struct str		 problems;
	bool			 is_same;

	str_init(&problems, pool, 0);
	mc = read_settings(pool, &problems);
	is_same = mc != NULL && maincf_is_same(self.maincf, mc);
	if (mc != NULL && !is_same && use_settings(mc, &problems) == 0) {
		self.maincf = mc;
		count_reading();
		return 0;
	}
	site = before;
	log_facility_again(facility);
	if (!is_same) {
		log_lines(LOG_LEVEL_ERROR, problems.data);
		log_error("the old configuration stays in force");
	}
	pool_free(pool);
	return is_same ? 0 : -1;
}

/* --- alone: --parameters and --check ------------------------------------- */

/* --check: everything that can be wrong before the doors close. */
static int
check(const struct daemon *d)
{
	struct str	 problems;

	str_init(&problems, pool_new("problems", 0), 0);
	self.maincf = read_configuration(&problems);
	if (self.maincf == NULL) {
		log_lines(LOG_LEVEL_ERROR, problems.data);
		return 1;
	}
	if (self.unsupported != NULL)
		log_error("%s", self.unsupported);
	if (d->before != NULL)
		d->before();
	return self.unsupported != NULL ? 1 : 0;
}

/* --- from root to the loop ----------------------------------------------- */

/* Log lines go to the log program, or stay on standard error without one. The
 * log program reads from that descriptor. */
static void
open_log(const struct daemon *d)
{
	log_name("postrider", d->name);
	log_verbose((int)self.options.verbose);
	if (strcmp(d->name, "log") != 0 && fcntl(HANDOVER_LOG, F_GETFD) != -1)
		log_to_socket(HANDOVER_LOG);
}

/* No program that we start inherits what master handed over. */
static void
keep_descriptors(void)
{
	size_t	i;

	if (fs_set_cloexec(HANDOVER_MASTER, true) == -1)
		die("this program is started by master");
	(void)fs_set_cloexec(HANDOVER_LOG, true);
	for (i = 0; i < self.options.listeners; i++)
		if (fs_set_cloexec(HANDOVER_LISTENERS + (int)i, true) == -1)
			die("listener %zu was not handed over", i + 1);
}

/* The queue directory, for those who have directories of their own there. */
static void
open_queue(void)
{
	if (self.role->writes[0] == NULL)
		return;
	self.queue_fd = fs_open_directory(AT_FDCWD, site.queue_directory);
	if (self.queue_fd == -1)
		die("open %s: %s", site.queue_directory, strerror(errno));
}

/* Close the doors behind us, in the one right order. */
static void
close_doors(const struct daemon *d)
{
	struct identity	id = { 0 };

	umask(077);
	clock_prepare();
	if (site.is_root)
		privs_find(self.role, &id);
	privs_learn_users();
	open_queue();
	privs_limits();
	if (d->before != NULL)
		d->before();
	privs_jail(self.role);
	privs_drop(self.role, &id);
	sandbox_enter(self.role);
	link_identity(self.role->program, self.role->jail == JAIL_PRIVATE ? "" :
	    "private/");
	channel_set_trust(privs_is_user_of);
}

/* SIGTERM: the system stops, sessions get a moment. */
static void
on_term(int number)
{
	(void)number;
	daemon_drain(true, self.daemon->stopping_time != 0 ?
	    self.daemon->stopping_time : STOPPING_TIME);
}

/* The first fiber: start, listen, tell master (D3). */
static void
begin(void *arg)
{
	const struct daemon	*d = arg;

	fiber_name("start");
	if (d->start != NULL)
		d->start();
	if (self.is_draining)
		return;
	listen_start(d, &self.options);
	orders_ready();
}

/* Be a daemon; returns the exit status. */
int
daemon_run(int argc, char **argv, const struct daemon *d)
{
	mem_keep();
	clean_environment();
	log_name("postrider", d->name);
	self.daemon = d;
	if ((self.role = role_find(d->name)) == NULL)
		bug("%s has no role", d->name);
	options_parse(&self.options, argc, argv, d);
	if (self.options.wants_parameters) {
		if (d->params != NULL)
			param_print_rows(d->params, stdout);
		return 0;
	}
	self.is_checking = self.options.wants_check;
	if (self.is_checking)
		return check(d);

	open_log(d);
	keep_descriptors();
	configure();
	close_doors(d);
	loop_open();
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);		/* a write says EFBIG instead */
	loop_on_signal(SIGTERM, on_term);
	orders_open(self.options.service);
	fiber_start(begin, (void *)(uintptr_t)d);
	loop_run();
	/* Fibers that were left behind own nothing that outlives us. */
	_exit(0);
}

/* --- the end ------------------------------------------------------------- */

/* Sessions by the daemon's own count, or by ours. */
unsigned
daemon_sessions(void)
{
	return self.daemon->busy != NULL ? self.daemon->busy() :
	    listen_sessions();
}

/* Is nothing left that anybody would miss? (D4) */
static bool
is_idle(void)
{
	return daemon_sessions() == 0 && listen_sessions() == 0 &&
	    channel_requests() == 0 && channel_unsent() == 0 &&
	    channel_accepted() == 0;
}

/* Wait for the last session, then stop the loop. */
static void
leave(void *arg)
{
	(void)arg;
	fiber_name("leave");
	while (!is_idle() && clock_now() < self.leave_by)
		if (fiber_sleep(LOOK_EVERY) == -1)
			break;
	loop_stop();
}

/*
 * Take no new work and leave when the last is done. `is_stopping`: the system
 * stops, `milliseconds` is what is left. The second call may only shorten.
 */
void
daemon_drain(bool is_stopping, int64_t milliseconds)
{
	bool	is_first = !self.is_draining;
	int64_t	end = clock_now() + milliseconds;

	if (!is_first && (!is_stopping || self.is_stopping))
		return;
	self.is_draining = true;
	if (is_stopping) {
		self.is_stopping = true;
		self.leave_by = end;
	}
	if (is_first) {
		listen_stop();
		channel_goodbye_all();
		fiber_start(leave, NULL);
	}
	if (self.daemon->drain != NULL)
		self.daemon->drain();
}

/* RELOAD came. */
void
daemon_reload(void)
{
	if (self.daemon->reload != NULL)
		self.daemon->reload();
	else
		log_warning("master asks for a reload that %s cannot do",
		    self.daemon->name);
}

/* The daemon itself wants to end. */
void
daemon_leave(void)
{
	daemon_drain(false, 0);
}

/* --- small questions ----------------------------------------------------- */

/* Our line in master.cf. */
const char *
daemon_service(void)
{
	return self.options.service;
}

/* Our number among its processes. */
unsigned
daemon_worker(void)
{
	return self.options.worker;
}

/* Our share of maxproc: the first workers take what does not divide. */
unsigned
daemon_limit(void)
{
	const struct options	*o = &self.options;
	unsigned		 share;

	if (o->maxproc == 0)
		return 0;
	share = o->maxproc / o->processes;
	if (o->worker <= o->maxproc % o->processes)
		share++;
	return share > 0 ? share : 1;
}

/* A count in front of the process id, which no other process has. */
uint64_t
daemon_session_number(void)
{
	static uint64_t	count;

	return ++count * 10000000 + (uint64_t)daemon_pid();
}

/* Asked for once. */
pid_t
daemon_pid(void)
{
	static pid_t	pid;

	if (pid == 0)
		pid = getpid();
	return pid;
}

/* Is the end near? */
bool
daemon_is_draining(void)
{
	return self.is_draining;
}

/* Is the end of everything near? */
bool
daemon_is_stopping(void)
{
	return self.is_stopping;
}

/* Is this only --check? */
bool
daemon_is_checking(void)
{
	return self.is_checking;
}

/* The queue directory. */
int
daemon_queue_fd(void)
{
	return self.queue_fd;
}

/* What master.cf calls us. */
const char *
daemon_command(void)
{
	return self.options.stands_for != NULL ? self.options.stands_for :
	    self.daemon->name;
}

/* What master.cf says besides. */
char **
daemon_arguments(size_t *count)
{
	*count = self.options.argument_count;
	return self.options.arguments;
}

/* The configuration, for what has no row (settings of one transport). */
struct maincf *
daemon_maincf(void)
{
	return self.maincf;
}

/* What must not be ignored and is not done. */
const char *
daemon_unsupported(void)
{
	return self.unsupported;
}
