/*
 * spawn.c - commands for connections: each connection to the service's socket
 * becomes the standard input and output of a command.
 *
 * "policy unix - n n - 0 spawn user=nobody argv=/usr/bin/program ..." in
 * master.cf. The line is read at the start, while nobody is connected; what
 * comes in by a connection is never read here.
 *
 * W1  The command runs as the user named, with his group or the one named and
 *     no other; never as root, as a user of the mail system's own, or with a
 *     group by which one may speak to its daemons. The ids are read back, and
 *     taking root's again must fail.
 * W2  It inherits nothing: descriptors 0 to 2 are the connection, the rest is
 *     closed; its environment is PATH and what export_environment names; it
 *     has a session of its own, and signals as in a fresh login.
 * W3  At the end of its time all its process group is killed. It dies with
 *     this process, too, since nobody would watch its time any more.
 * W4  There are never more commands at once than maxproc in master.cf allows;
 *     connections beyond that wait.
 * W5  A line with a mistake runs nothing.
 */
#include <sys/queue.h>

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/daemon/daemon.h"
#include "common/daemon/roles.h"
#include "common/fiber/loop.h"
#include "common/fiber/queue.h"
#include "common/param/site.h"

enum {
	FILES = 1024,			/* open files of a fresh login */
	STOPPING_TIME = 2000,		/* from SIGTERM to SIGKILL */
	FORK_PAUSE = 1000		/* after a failure of ours */
};

static struct {
	int64_t	 time_limit;
	char	*export_environment;
} set;

/* These two are the same for pipe and for commands of local. */
static const struct param	spawn_params[] = {
	PARAM_TIME("command_time_limit", set.time_limit, "1000s", 1,
	    INT32_MAX / 1000, "How long a command may run until it is "
	    "killed."),
	PARAM_STRING("export_environment", set.export_environment,
	    "TZ MAIL_CONFIG LANG", 0, 4000,
	    "Variables that commands inherit; NAME=VALUE sets one."),
	PARAM_END
};
static const struct param *const	params[] = { spawn_params, NULL };

/* What the line says. */
static struct {
	const char	*user;
	uid_t		 uid;
	gid_t		 gid;
	char		**argv, **envp;
	int64_t		 time_limit;	/* milliseconds */
} line;

/* A command that runs, on its fiber's stack. */
struct command {
	LIST_ENTRY(command)	 next;
	pid_t			 pid;
	int			 status;
	bool			 has_ended;
	int64_t			 deadline;
	struct fiber		*fiber;
};
static LIST_HEAD(, command)	commands = LIST_HEAD_INITIALIZER(commands);
static unsigned			command_count;
static struct fiber_queue	slots;

/* --- the line ------------------------------------------------------------ */

/* May a command have this group? (W1) */
static bool
is_group_of_ours(gid_t gid)
{
	const struct role	*r;
	const struct group	*gr;
	const char		*name;

	if (gid == 0 || gid == (gid_t)-1)
		return true;
	gr = getgrnam(site.setgid_group);
	if (gr != NULL && gr->gr_gid == gid)
		return true;
	for (r = role_all(); r->program != NULL; r++) {
		if ((name = role_socket_group(r->program)) == NULL)
			continue;
		gr = getgrnam(name);
		if (gr != NULL && gr->gr_gid == gid)
			return true;
	}
	return false;
}

/* The number of the group named. */
static gid_t
find_group(const char *name)
{
	const struct group	*gr;
	int64_t			 gid;

	if (text_integer(name, 1, INT32_MAX, &gid) == NULL)
		return (gid_t)gid;
	if ((gr = getgrnam(name)) == NULL)
		die("service %s: there is no group %s", daemon_service(),
		    name);
	return gr->gr_gid;
}

/* user=NAME or user=NAME:GROUP */
static void
read_user(struct pool *pool, const char *value)
{
	size_t			 len = strcspn(value, ":");
	const char		*name = pool_strndup(pool, value, len);
	const struct passwd	*pw = getpwnam(name);

	if (pw == NULL)
		die("service %s: there is no user \"%s\"", daemon_service(),
		    name);
	line.user = name;
	line.uid = pw->pw_uid;
	line.gid = value[len] == ':' ? find_group(value + len + 1) :
	    pw->pw_gid;
	if (line.uid == 0 || line.uid == (uid_t)-1 ||
	    strcmp(name, site.mail_owner) == 0 ||
	    (site.is_root && daemon_is_own_user(line.uid)))
		die("service %s: user=%s: commands do not run as root or as "
		    "a user of the mail system", daemon_service(), name);
	if (is_group_of_ours(line.gid))
		die("service %s: user=%s: commands do not run with this "
		    "group", daemon_service(), value);
	if (!site.is_root && line.uid != geteuid())
		die("service %s: user=%s: this instance runs without root and "
		    "cannot become another user", daemon_service(), name);
}

/* The words behind the command spawn (W5). */
static void
read_line(struct pool *pool)
{
	char	**words;
	size_t	  count, i;

	words = daemon_arguments(&count);
	for (i = 0; i < count; i++) {
		if (text_starts(words[i], "argv="))
			break;
		if (!text_starts(words[i], "user="))
			die("service %s: %s is not supported",
			    daemon_service(), words[i]);
		read_user(pool, words[i] + strlen("user="));
	}
	if (line.user == NULL)
		die("service %s: user= is missing", daemon_service());
	if (i == count || words[i][strlen("argv=")] == '\0')
		die("service %s: argv= is missing", daemon_service());
	words[i] += strlen("argv=");
	line.argv = pool_array(pool, count - i + 1, sizeof(*line.argv));
	memcpy(line.argv, words + i, (count - i) * sizeof(*line.argv));
}

/* The time limit: the service's own, or everybody's. */
static void
read_time_limit(struct pool *pool)
{
	struct str	problems;

	str_init(&problems, pool, 0);
	line.time_limit = set.time_limit;
	if (param_number_of_transport(daemon_maincf(), daemon_service(),
	    "time_limit", &spawn_params[0], &line.time_limit, &problems) == -1)
		die("%s", problems.data);
}

/* The commands' environment (W2). */
static void
make_environment(struct pool *pool)
{
	size_t		 count, i, n = 0;
	char		**words = text_words(pool, set.export_environment,
			    &count);
	const char	*value;

	line.envp = pool_array(pool, count + 2, sizeof(*line.envp));
	line.envp[n++] = pool_strdup(pool, "PATH=/usr/bin:/bin");
	for (i = 0; i < count; i++) {
		value = strcmp(words[i], "MAIL_CONFIG") == 0 ?
		    site.config_directory : getenv(words[i]);
		if (text_starts(words[i], "PATH="))
			line.envp[0] = words[i];
		else if (strchr(words[i], '=') != NULL)
			line.envp[n++] = words[i];
		else if (value != NULL)
			line.envp[n++] = pool_printf(pool, "%s=%s", words[i],
			    value);
	}
}

/* As root, before any connection. */
static void
prepare(void)
{
	struct pool	*pool = pool_new("line", 0);

	if (daemon_is_checking())
		return;			/* nobody's line is known then */
	read_line(pool);
	read_time_limit(pool);
	make_environment(pool);
}

/* --- the child ----------------------------------------------------------- */

/* Signals and limits as a fresh login has them; a session of its own. */
static void
set_signals(void)
{
	struct rlimit	files;
	sigset_t	none;
	int		i;

	for (i = 1; i < NSIG; i++)
		(void)signal(i, SIG_DFL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > FILES) {
		files.rlim_cur = FILES;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	(void)setsid();
}

/* Become the user for good, and see that it is so (W1). 0 or -1. */
static int
change_user(void)
{
	uid_t	ru, eu, su;
	gid_t	rg, eg, sg;

	if (!site.is_root)
		return 0;
	if (setgroups(1, &line.gid) == -1 ||
	    setresgid(line.gid, line.gid, line.gid) == -1 ||
	    setresuid(line.uid, line.uid, line.uid) == -1 ||
	    getresuid(&ru, &eu, &su) == -1 || getresgid(&rg, &eg, &sg) == -1)
		return -1;
	errno = EPERM;
	return ru == line.uid && eu == line.uid && su == line.uid &&
	    rg == line.gid && eg == line.gid && sg == line.gid &&
	    setresuid(0, 0, 0) == -1 && setuid(0) == -1 &&
	    setresgid(0, 0, 0) == -1 ? 0 : -1;
}

/* Be the command (W2, W3). What goes wrong goes to the log, whose socket
 * stays open until exec. */
_Noreturn static void
be(int fd, pid_t parent)
{
	set_signals();
	if (fs_set_nonblocking(fd, false) == -1 ||
	    dup2(fd, STDIN_FILENO) == -1 || dup2(fd, STDOUT_FILENO) == -1 ||
	    dup2(fd, STDERR_FILENO) == -1 ||
	    close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) == -1)
		log_warning("cannot hand a connection to %s: %s",
		    line.argv[0], strerror(errno));
	else if (change_user() == -1)
		log_warning("cannot become user %s: %s", line.user,
		    strerror(errno));
	else if (chdir("/") == -1 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || getppid() != parent)
		log_warning("cannot prepare %s", line.argv[0]);
	else {
		execvpe(line.argv[0], line.argv, line.envp);
		log_warning("cannot run %s: %s", line.argv[0],
		    strerror(errno));
	}
	_exit(127);
}

/* --- this side ----------------------------------------------------------- */

/* SIGCHLD: wake those whose commands ended. */
static void
on_child(int number)
{
	struct command	*c;
	pid_t		 pid;
	int		 status;

	(void)number;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		LIST_FOREACH(c, &commands, next)
			if (c->pid == pid && !c->has_ended) {
				c->has_ended = true;
				c->status = status;
				fiber_wake(c->fiber);
				break;
			}
}

/* Send a signal to all of it; the child may not have its session yet. */
static void
signal_group(const struct command *c, int number)
{
	(void)kill(-c->pid, number);
	(void)kill(c->pid, number);
}

/* See it end, in good time or by force (W3). */
WAITS static void
watch_command(struct command *c)
{
	while (!c->has_ended && clock_now() < c->deadline)
		if (fiber_park(c->deadline) == -1 && errno == ECANCELED)
			break;
	if (c->has_ended)
		return;
	log_warning("command %s: process %d is killed: its time is over",
	    line.argv[0], (int)c->pid);
	signal_group(c, SIGKILL);
	while (!c->has_ended)
		if (fiber_park(NEVER) == -1 && errno == ECANCELED)
			break;
}

/* Tell how it ended, if that was not well. */
static void
tell_end(const struct command *c)
{
	if (WIFSIGNALED(c->status))
		log_warning("command %s: process %d killed by signal %d",
		    line.argv[0], (int)c->pid, WTERMSIG(c->status));
	else if (WEXITSTATUS(c->status) != 0)
		log_warning("command %s: process %d exit status %d",
		    line.argv[0], (int)c->pid, WEXITSTATUS(c->status));
}

/* One more may run? (W4) */
static bool
has_room(void)
{
	unsigned	limit = daemon_limit();

	return limit == 0 || command_count < limit;
}

/* Wait for a place among the commands. */
WAITS static void
take_slot(void)
{
	while (!has_room())
		if (fiber_queue_wait(&slots, NEVER) == -1)
			break;
	command_count++;
	if (!has_room())
		daemon_pause_listening();
}

/* Give it back. */
static void
give_slot(void)
{
	command_count--;
	fiber_queue_wake_all(&slots);
	daemon_resume_listening();
}

/* Run a command with this connection. */
WAITS static void
serve(int fd)
{
	struct command	c = { .fiber = fiber_self() };
	pid_t		self = getpid();

	take_slot();
	c.deadline = clock_now() + line.time_limit;
	if (!daemon_is_stopping() && (c.pid = fork()) == 0)
		be(fd, self);
	close(fd);
	if (c.pid > 0) {
		LIST_INSERT_HEAD(&commands, &c, next);
		watch_command(&c);
		LIST_REMOVE(&c, next);
		tell_end(&c);
	} else if (c.pid == -1) {
		log_warning("cannot start a process: %s", strerror(errno));
		(void)fiber_sleep(FORK_PAUSE);
	}
	give_slot();
}

/* The system stops: ask all commands to end, soon make them. */
static void
drain(void)
{
	struct command	*c;
	int64_t		 end = clock_now() + STOPPING_TIME;

	if (!daemon_is_stopping())
		return;
	LIST_FOREACH(c, &commands, next) {
		signal_group(c, SIGTERM);
		if (c->deadline > end)
			c->deadline = end;
		fiber_wake(c->fiber);
	}
}

/* Hear of commands' ends. */
WAITS static void
start(void)
{
	fiber_queue_init(&slots);
	loop_on_signal(SIGCHLD, on_child);
}

/* Be spawn. */
int
main(int argc, char **argv)
{
	static const struct daemon	spawn = {
		.name = "spawn",
		.params = params,
		.before = prepare,
		.start = start,
		.session = serve,
		.drain = drain
	};

	return daemon_run(argc, argv, &spawn);
}
