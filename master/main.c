/*
 * main.c - starts the mail system, keeps it, ends it.
 *
 * master opens what only root may open, starts the daemons, watches them, and
 * reads nothing that a stranger wrote. Its parts: services.c (what shall
 * run), listeners.c (the sockets), watch.c and process.c (the processes),
 * spawn.c (how one is started), control.c (what the administrator says),
 * certificates.c (whose files may change at any time).
 *
 * M1  Two masters never run on one queue: the pid file is locked for life.
 * M2  What is wrong with the configuration is told before anything is
 *     started or, at a reload, before anything is changed.
 * M3  No connection is lost by a reload: listeners stay open.
 */
#include <sys/resource.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/fiber/loop.h"
#include "common/param/known.h"
#include "common/param/manual.h"
#include "common/param/site.h"
#include "master/certificates.h"
#include "master/control.h"
#include "master/directories.h"
#include "master/listeners.h"
#include "master/notify.h"
#include "master/orphans.h"
#include "master/services.h"
#include "master/sink.h"
#include "master/spawn.h"
#include "master/turns.h"
#include "master/watch.h"

enum {
	START_TIME = 60 * 1000,
	RELOAD_TIME = 20 * 1000,
	RELOAD_PACE = 1000,	/* when somebody asks for another one */
	STOP_TIME = 30 * 1000,
	STOP_NOW_TIME = 2 * 1000,
	LOG_STOP_TIME = 3 * 1000,
	ORPHANS_TIME = 3 * 1000,
	FILES = 65536,		/* descriptors for a daemon, if we may */
	REPORT_FD = 3		/* with -s: where `postrider start` listens */
};

static char	*debugger_command;

static const struct param	master_params[] = {
	PARAM_RAW("debugger_command", debugger_command, "", 0, 4000,
	    "A shell command that root runs beside each new process of a "
	    "service whose line in master.cf has -D, before the process does "
	    "anything. $process_id and $process_name tell which one it is; "
	    "the process waits until the command ends, or puts itself into "
	    "the background."),
	PARAM_TIME("service_throttle_time", watch_throttle_time, "60s", 1,
	    3600, "The longest pause before a daemon that cannot start is "
	    "tried again. The pause begins with a second and doubles."),
	PARAM_END
};
static const struct param *const	master_tables[] = {
	master_params, certificates_params, NULL
};

static struct {
	char		*directory;		/* of the configuration */
	char		*queue;
	bool		 is_foreground, is_reported;
	bool		 is_stopping, is_stopped;
	struct services	*services;
	int		 exit_status;
} self;

/* --- the configuration --------------------------------------------------- */

/* What reading the configuration has to say. */
struct messages {
	struct str	problems, warnings, notes;
};

/* No messages yet. */
static void
messages_init(struct messages *m, struct pool *pool)
{
	str_init(&m->problems, pool, 0);
	str_init(&m->warnings, pool, 0);
	str_init(&m->notes, pool, 0);
}

/* debugger_command as a shell gets it: the names of a process are left to be
 * variables of its environment. NULL with a problem told. */
static const char *
read_debugger(struct pool *pool, struct maincf *mc, struct str *problems)
{
	const char	*command;
	char		*why;

	maincf_default(mc, "process_name", "$$process_name");
	maincf_default(mc, "process_id", "$$process_id");
	command = maincf_value(mc, pool, "debugger_command", &why);
	if (command == NULL)
		param_complain(mc, "debugger_command", debugger_command, why,
		    problems);
	return command;
}

/* From main.cf, which `site` holds now, to the table of services. */
static struct services *
load(struct pool *pool, struct maincf *mc, struct messages *m)
{
	struct services	*services;
	struct mastercf	*file;
	const char	*debugger;
	char		*why;

	if (param_load(mc, master_tables, &m->problems) == -1 ||
	    site_refuse_open(pool, "main.cf", &m->problems) == -1 ||
	    site_refuse_open(pool, "master.cf", &m->problems) == -1)
		return NULL;
	spawn_tell_directory(services_find_programs(mc));
	if ((file = services_file(pool, &why)) == NULL) {
		str_addf(&m->problems, "%s\n", why);
		return NULL;
	}
	services_note_uses(file, mc);
	(void)known_report(mc, &m->warnings);
	if ((debugger = read_debugger(pool, mc, &m->problems)) == NULL)
		return NULL;
	services = services_read(pool, file, &m->problems, &m->warnings,
	    &m->notes);
	if (services == NULL)
		return NULL;
	services->debugger = debugger;
	services->maincf = mc;
	services->mastercf = file;
	return services;
}

/* May this be used? An empty file is one that somebody is writing now. */
static bool
is_possible(struct pool *pool, const struct maincf *mc, struct str *problems)
{
	size_t	before = problems->len;

	if (maincf_at(mc, 0) == NULL && maincf_at(self.services->maincf, 0))
		str_addf(problems, "%s/main.cf: it is empty, and was not\n",
		    self.directory);
	else if (strcmp(site.queue_directory, self.queue) != 0)
		str_addf(problems, "%s: queue_directory = %s: it cannot change "
		    "while the system runs\n", maincf_where(pool,
		    maincf_find(mc, "queue_directory")), site.queue_directory);
	return problems->len == before;
}

/* Read everything again: the new table with its sockets open, or NULL. */
static struct services *
load_again(struct pool *pool, struct messages *m)
{
	struct services	*services;
	struct maincf	*mc;
	const char	*why;

	if ((mc = site_try(pool, self.directory, &m->problems)) == NULL ||
	    !is_possible(pool, mc, &m->problems))
		return NULL;
	if ((services = load(pool, mc, m)) == NULL)
		return NULL;
	if ((why = listeners_open(services)) == NULL)
		return services;
	str_addf(&m->problems, "%s\n", why);
	listeners_sweep(self.services);
	return NULL;
}

/* Whoever calls the system postfix has its log read by programs that know
 * what Postfix's own master and script say, and complain of anything else. */
static bool
is_like_postfix(void)
{
	return text_starts(site.syslog_name, "postfix");
}

/* "stopping the mail system", as those programs want to hear it. */
static void
tell_script(const char *doing)
{
	if (!is_like_postfix()) {
		log_info("%s the mail system", doing);
		return;
	}
	log_name(site.syslog_name, "postfix-script");
	log_info("%s the Postfix mail system", doing);
	log_name(site.syslog_name, "master");
}

/* Until the fresh daemons serve; who asks for another reload meanwhile does not
 * wait for one that cannot start. */
static WAITS void
settle(void)
{
	int64_t	deadline = clock_now() + RELOAD_TIME;

	while (!watch_settle(clock_now() + RELOAD_PACE) &&
	    clock_now() < deadline && !turns_are_wanted())
		continue;
}

/* Hand over to fresh daemons, or change nothing (M2, M3). */
static WAITS int
reload_once(struct str *problems)
{
	struct pool	*pool;
	struct site	 before = site;
	struct services	*services;
	struct messages	 m;

	if (self.is_stopping) {
		str_add(problems, "the mail system is stopping\n");
		return -1;
	}
	pool = pool_new("configuration", 0);
	messages_init(&m, pool);
	if ((services = load_again(pool, &m)) == NULL) {
		str_add(problems, m.problems.data);
		site = before;
		pool_free(pool);
		return -1;
	}
	log_name(site.syslog_name, "master");
	if (is_like_postfix())
		tell_script("refreshing");
	log_info("reload -- version " POSTRIDER_VERSION ", configuration %s",
	    self.directory);
	log_lines(LOG_LEVEL_WARNING, m.warnings.data);
	watch_replace(services);
	listeners_sweep(services);
	self.services = services;
	certificates_use(services);
	settle();
	return 0;
}

/* The same, one at a time. */
static WAITS int
reload(struct str *problems)
{
	return turns_take(reload_once, problems);
}

/* --- the end ------------------------------------------------------------- */

/* End every daemon but log. */
static WAITS void
stop(bool is_now)
{
	int64_t	time = is_now ? STOP_NOW_TIME : STOP_TIME;

	if (self.is_stopping) {
		while (!self.is_stopped && fiber_sleep(50) == 0)
			continue;
		return;
	}
	self.is_stopping = true;
	notify("STOPPING=1");
	tell_script("stopping");
	watch_stop(clock_now() + time);
	self.is_stopped = true;
}

/* End log, let go of everything, leave the loop. */
static WAITS void
leave(void)
{
	if (is_like_postfix())
		log_info("terminating on signal %d", SIGTERM);
	else
		log_info("stopped");
	log_to_nothing();
	watch_stop_log(clock_now() + LOG_STOP_TIME);
	control_close();
	listeners_sweep(NULL);
	loop_stop();
}

/* Fiber: a signal asked for the end. */
static void
end(void *arg)
{
	bool	was_stopping = self.is_stopping;

	(void)arg;
	fiber_name("stop");
	stop(false);
	if (!was_stopping)
		leave();
}

/* Fiber: SIGHUP. */
static void
reload_fiber(void *arg)
{
	struct pool	*pool = pool_new("reload", 0);
	struct str	 problems;

	(void)arg;
	fiber_name("reload");
	str_init(&problems, pool, 0);
	notify_reloading();
	if (reload(&problems) == -1) {
		log_lines(LOG_LEVEL_ERROR, problems.data);
		log_error("the configuration is as it was before");
	}
	notify("READY=1");
	pool_free(pool);
}

/* A signal, heard between two fibers. */
static void
on_signal(int number)
{
	switch (number) {
	case SIGCHLD:
		watch_reap();
		break;
	case SIGHUP:
		if (!self.is_stopping)
			fiber_start(reload_fiber, NULL);
		break;
	default:
		if (!is_like_postfix())
			log_info("terminating on signal %d", number);
		fiber_start(end, NULL);
	}
}

/* --- the beginning ------------------------------------------------------- */

/* Tell `postrider start` that all is well; it closes our last tie to the
 * terminal. */
static void
report_ready(void)
{
	int	null;

	if (self.is_reported) {
		(void)fs_write(REPORT_FD, "ok\n", 3);
		close(REPORT_FD);
	}
	if (self.is_foreground)
		return;
	if ((null = open("/dev/null", O_RDWR | O_CLOEXEC)) == -1)
		return;
	(void)dup2(null, STDIN_FILENO);
	(void)dup2(null, STDOUT_FILENO);
	(void)dup2(null, STDERR_FILENO);
	close(null);
}

/* Fiber: see the system come up. */
static void
begin(void *arg)
{
	const char	*why;

	(void)arg;
	fiber_name("begin");
	why = watch_wait_ready(clock_now() + START_TIME);
	if (self.is_stopping)
		return;
	if (why != NULL) {
		log_error("the mail system did not start: %s", why);
		fprintf(stderr, "postrider: the mail system did not start: "
		    "%s\n", why);
		self.exit_status = 1;
		stop(true);
		leave();
		return;
	}
	report_ready();
	notify("READY=1");
}

/* The kernel shall not choose us when memory is short; many descriptors. */
static void
prepare_limits(void)
{
	struct rlimit	limit;
	int		fd;

	if ((fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC)) !=
	    -1) {
		(void)fs_write(fd, "-800", 4);
		close(fd);
	}
	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return;
	if (limit.rlim_max < FILES) {
		limit.rlim_max = FILES;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* The directories, the lock (M1), our place. */
static void
take_queue(struct pool *pool)
{
	const char	*why;
	int		 holder;

	if ((why = directories_make(pool)) != NULL)
		die("%s", why);
	if (chdir(site.queue_directory) == -1)
		die("chdir %s: %s", site.queue_directory, strerror(errno));
	if (pid_file_lock(&holder) != -1)
		return;
	if (holder != 0)
		die("the mail system is already running: process %d uses %s",
		    holder, site.queue_directory);
	die("cannot lock %s/pid/master.pid: %s", site.queue_directory,
	    strerror(errno));
}

/* Open all sockets. Daemons whose master died may need a moment to close
 * theirs. */
static void
open_listeners(void)
{
	const struct timespec	 pause = { .tv_nsec = 50 * 1000 * 1000 };
	int64_t			 deadline = clock_now() + ORPHANS_TIME;
	const char		*why;

	while ((why = listeners_open(self.services)) != NULL) {
		if (clock_now() >= deadline)
			die("%s", why);
		(void)nanosleep(&pause, NULL);
	}
}

/* Read the table, open everything, or say why not and end. */
static void
open_services(struct maincf *mc, struct messages *m)
{
	struct control_acts	 acts = {
		reload, stop, leave, clock_now()
	};
	const char		*why;
	size_t			 i;

	if ((self.services = load(maincf_pool(mc), mc, m)) == NULL) {
		log_lines(LOG_LEVEL_ERROR, m->problems.data);
		die("the configuration cannot be used");
	}
	for (i = 0; i < self.services->count; i++)
		if (self.services->units[i].flags & UNIT_ALONE)
			orphans_end(self.services->units[i].name);
	open_listeners();
	if ((why = control_open(&acts)) != NULL)
		die("cannot listen at private/control: %s", why);
}

/* Read the command line. */
static void
read_options(int argc, char **argv)
{
	int	option;

	while ((option = getopt(argc, argv, "c:fsv")) != -1)
		switch (option) {
		case 'c':
			self.directory = optarg;
			break;
		case 'f':
			self.is_foreground = true;
			break;
		case 's':
			self.is_reported = true;
			break;
		case 'v':
			log_verbose(1);
			break;
		default:
			die("usage: master [-c directory] [-f] [-v]");
		}
	if (optind < argc)
		die("unexpected argument \"%s\"", argv[optind]);
}

/* What the caller has open is no daemon's business. */
static void
close_inherited(void)
{
	closefrom(self.is_reported ? REPORT_FD + 1 : REPORT_FD);
}

/* Make ready for fibers: the loop, signals. */
static void
open_loop(void)
{
	static const int	numbers[] = {
		SIGCHLD, SIGHUP, SIGTERM, SIGINT
	};
	size_t			i;

	loop_open();
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		loop_on_signal(numbers[i], on_signal);
}

/* From here on the log program gets our lines, and daemons run. */
static void
go(const struct messages *m)
{
	spawn_keep_stderr(self.is_foreground);
	spawn_open_log();
	if (is_like_postfix())
		tell_script("starting");
	log_info("daemon started -- version " POSTRIDER_VERSION
	    ", configuration %s", self.directory);
	if (!site.is_root)
		log_warning("not started by root: all daemons run as one "
		    "user, isolation is off");
	log_lines(LOG_LEVEL_WARNING, m->warnings.data);
	log_lines(LOG_LEVEL_INFO, m->notes.data);
	if (site.is_root)
		spawn_drop_capabilities();
	certificates_use(self.services);
	watch_start(self.services);
	fiber_start(begin, NULL);
}

int
main(int argc, char **argv)
{
	struct messages	 messages;
	struct maincf	*mc;

	fs_open_standard();
	log_name("postrider", "master");
	if (argc > 1 && strcmp(argv[1], "--parameters") == 0) {
		param_print_rows(master_tables, stdout);
		return 0;
	}
	read_options(argc, argv);
	close_inherited();
	umask(022);
	mc = site_load(self.directory);
	log_name(site.syslog_name, "master");
	if ((self.directory = realpath(site.config_directory, NULL)) == NULL)
		die("%s: %s", site.config_directory, strerror(errno));
	site.config_directory = self.directory;
	self.queue = mem_strdup(site.queue_directory);
	messages_init(&messages, maincf_pool(mc));

	prepare_limits();
	take_queue(maincf_pool(mc));
	sink_prepare(self.is_foreground);
	open_loop();
	open_services(mc, &messages);
	go(&messages);
	loop_run();
	return self.exit_status;
}
