/*
 * spawn.c - start a daemon and hand it what it works with.
 *
 * S1  A daemon gets the descriptors of handover.h and no other: everything
 *     else in this process is close-on-exec.
 * S2  Signals and environment are clean, the directory is the queue.
 * S3  Every log line in the socket survives the log program, since both ends
 *     stay open here.
 */
#include "master/spawn.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/daemon/handover.h"
#include "common/param/site.h"
#include "master/listeners.h"
#include "master/sink.h"

enum {
	LOG_SOCKET_BYTES = 8 << 20,	/* a burst that log has not read yet */
	OUT_OF_THE_WAY = 200,		/* where descriptors wait for dup2 */
	OOM_STEP = 200,			/* a fifth of all memory */
	OOM_MOST = 1000			/* proc(5) */
};

static int	log_write_fd = -1, log_read_fd = -1;
static bool	is_stderr_kept;
static bool	are_beside;	/* the programs: a build, not installed */

/* Make the way of all log lines and take it ourselves. */
void
spawn_open_log(void)
{
	int	ends[2], size = LOG_SOCKET_BYTES;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0, ends) == -1)
		die("cannot make the log's socket: %s", strerror(errno));
	log_write_fd = ends[0];
	log_read_fd = ends[1];
	if (setsockopt(log_write_fd, SOL_SOCKET, SO_SNDBUFFORCE, &size,
	    sizeof(size)) == -1)
		(void)setsockopt(log_write_fd, SOL_SOCKET, SO_SNDBUF, &size,
		    sizeof(size));
	log_to_socket(log_write_fd);
}

/* Remember what the foreground mode wants. */
void
spawn_keep_stderr(bool keep)
{
	is_stderr_kept = keep;
}

/* Remember that daemons must be told where the programs are. */
void
spawn_tell_directory(bool tell)
{
	are_beside = tell;
}

/* Which file is the unit's program now? */
void
spawn_look(const struct unit *unit, struct program_file *file)
{
	struct stat	 st;
	struct pool	*pool = pool_new("path", 0);

	*file = (struct program_file){ 0 };
	if (stat(services_path(pool, unit), &st) == 0)
		*file = (struct program_file){
			.device = st.st_dev, .inode = st.st_ino,
			.changed_us = (int64_t)st.st_mtim.tv_sec * 1000000 +
			    st.st_mtim.tv_nsec / 1000
		};
	pool_free(pool);
}

/* Append one argument, with its option letter if there is one. */
static void
add(char **argv, size_t *n, char *option, char *value)
{
	if (option != NULL)
		argv[(*n)++] = option;
	if (value != NULL)
		argv[(*n)++] = value;
}

/* The settings that are its own. */
static void
add_settings(struct pool *pool, char **argv, size_t *n,
    const struct unit *unit)
{
	size_t	i;

	/* Whatever an editor is doing to main.cf at this moment: nobody may
	 * take the queue of another instance for ours. */
	add(argv, n, "-o", pool_printf(pool, "queue_directory=%s",
	    site.queue_directory));
	if (are_beside)
		add(argv, n, "-o", pool_printf(pool, "daemon_directory=%s",
		    site.daemon_directory));
	for (i = 0; i < unit->option_count; i++)
		add(argv, n, "-o", pool_printf(pool, "%s=%s",
		    unit->options[i].name, unit->options[i].value));
}

/* The daemon's command line. */
static char **
arguments(struct pool *pool, const struct worker *w)
{
	const struct unit	*unit = w->unit;
	size_t			 i, n = 0;
	char			**argv;

	argv = pool_array(pool, 28 + 2 * w->listener_count +
	    2 * unit->option_count + 2 * unit->argument_count,
	    sizeof(char *));
	add(argv, &n, pool_strdup(pool, unit->program), NULL);
	add(argv, &n, "-c", site.config_directory);
	add(argv, &n, "-n", pool_strdup(pool, unit->name));
	add(argv, &n, "-t", unit->flags & UNIT_IS_INET ? "inet" : "unix");
	add(argv, &n, "-w", pool_printf(pool, "%u", w->number));
	add(argv, &n, "-p", pool_printf(pool, "%u", unit->worker_count));
	add(argv, &n, "-m", pool_printf(pool, "%d", unit->maxproc));
	for (i = 0; i < w->listener_count; i++)
		add(argv, &n, "-l", listener_is_inet(w->listeners[i]) ?
		    "inet" : "unix");
	add_settings(pool, argv, &n, unit);
	if (services_has_other_name(unit))
		add(argv, &n, "-P", pool_strdup(pool, unit->command));
	for (i = 0; i < unit->argument_count &&
	    (strcmp(unit->command, "pipe") == 0 ||
	    strcmp(unit->command, "spawn") == 0); i++)
		add(argv, &n, "-a", unit->arguments[i]);
	if (unit->is_verbose)
		add(argv, &n, "-v", NULL);
	return argv;
}

/* One variable of import_environment, "NAME" or "NAME=VALUE". */
static char *
variable(struct pool *pool, const char *word)
{
	const char	*value;

	if (strchr(word, '=') != NULL)
		return pool_strdup(pool, word);
	if ((value = getenv(word)) == NULL)
		return NULL;
	return pool_printf(pool, "%s=%s", word, value);
}

/* The daemon's environment. */
static char **
environment(struct pool *pool)
{
	static const char *const	always[] = {
		"PATH=/usr/bin:/bin:/usr/sbin:/sbin",
#ifdef SANITIZED
		"ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS",
#endif
		NULL
	};
	size_t				 count, i, n = 0;
	char				**envp, **words;

	words = text_words(pool, site.import_environment, &count);
	envp = pool_array(pool, count + 8, sizeof(char *));
	for (i = 0; always[i] != NULL; i++)
		if ((envp[n] = variable(pool, always[i])) != NULL)
			n++;
	for (i = 0; i < count; i++)
		if ((envp[n] = variable(pool, words[i])) != NULL)
			n++;
	return envp;
}

/* What the daemon gets, in the order of its descriptors from 3 on; -1 ends
 * the list. */
static void
collect(const struct worker *w, int master_end, int sink, int *fds)
{
	bool	is_log = strcmp(w->unit->program, "log") == 0;
	size_t	i, n = 0;

	fds[n++] = master_end;
	fds[n++] = is_log ? log_read_fd : log_write_fd;
	for (i = 0; i < w->listener_count && i < HANDOVER_LISTENERS_MAX; i++)
		fds[n++] = listener_fd(w->listeners[i]);
	if (is_log)
		fds[n++] = sink;
	fds[n] = -1;
}

/* Child: put the descriptors in their places. First all of them go far up,
 * so that none is overwritten by another. */
static int
place(int *fds)
{
	size_t	i;

	for (i = 0; fds[i] != -1; i++)
		if ((fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC,
		    OUT_OF_THE_WAY)) == -1)
			return -1;
	for (i = 0; fds[i] != -1; i++)
		if (dup2(fds[i], HANDOVER_MASTER + (int)i) == -1)
			return -1;
	return 0;
}

/* Child: no terminal, no input, no output but errors in the foreground. */
static int
quiet(void)
{
	int	null, fd, last = is_stderr_kept ? STDOUT_FILENO : STDERR_FILENO;

	if ((null = open("/dev/null", O_RDWR | O_CLOEXEC)) == -1)
		return -1;
	for (fd = STDIN_FILENO; fd <= last; fd++)
		if (dup2(null, fd) == -1)
			return -1;
	return 0;
}

/* Child: signals as a new program expects them. */
static void
reset_signals(void)
{
	sigset_t	none;

	(void)signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Child: the kernel may choose it before it chooses master; also where master
 * was not allowed to make itself less worth (a container). */
static void
be_expendable(void)
{
	int	fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	char	now[16] = "", then[24];
	long	score;

	if (fd == -1)
		return;
	(void)fs_pread(fd, now, sizeof(now) - 1, 0);
	score = strtol(now, NULL, 10);
	score = score < -OOM_STEP ? 0 : score + OOM_STEP;
	(void)snprintf(then, sizeof(then), "%ld",
	    score < OOM_MOST ? score : OOM_MOST);
	(void)fs_write(fd, then, strlen(then));
	close(fd);
}

/* Child: run debugger_command beside us, and wait for it. It may stay, and
 * then holds none of the daemon's sockets. */
static void
debug(const struct unit *unit)
{
	static char	shell[] = "sh", option[] = "-c";
	char		*command, number[16];
	pid_t		self = getpid(), pid;

	if (!unit->is_debugged)
		return;
	if (*unit->services->debugger == '\0') {
		log_warning("%s: -D: debugger_command is not set",
		    unit->where);
		return;
	}
	if ((pid = fork()) == 0) {
		command = mem_strdup(unit->services->debugger);
		(void)snprintf(number, sizeof(number), "%d", (int)self);
		(void)setenv("process_id", number, 1);
		(void)setenv("process_name", unit->program, 1);
		(void)setenv("MAIL_CONFIG", site.config_directory, 1);
		(void)setenv("PATH", "/usr/bin:/bin:/usr/sbin:/sbin", 0);
		(void)close_range(STDERR_FILENO + 1, ~0U, 0);
		reset_signals();
		execv("/bin/sh", (char *[]){ shell, option, command, NULL });
		_exit(127);
	}
	if (pid == -1 || waitpid(pid, NULL, 0) == -1)
		log_warning("%s: -D: cannot run debugger_command: %s",
		    unit->where, strerror(errno));
}

/* Child: become the daemon. */
_Noreturn static void
become(const struct unit *unit, const char *path, char **argv, char **envp,
    int *fds)
{
	setsid();
	be_expendable();
	umask(077);
	if (place(fds) == -1 || quiet() == -1)
		log_warning("cannot prepare %s: %s", path, strerror(errno));
	else {
		debug(unit);
		reset_signals();
		execve(path, argv, envp);
		log_warning("cannot run %s: %s", path, strerror(errno));
	}
	_exit(EX_OSERR);
}

/* Start one process. */
pid_t
spawn(const struct worker *w, int *channel, const char **why)
{
	struct pool	*pool = pool_new("spawn", 0);
	bool		 is_log = strcmp(w->unit->program, "log") == 0;
	char		*path = services_path(pool, w->unit);
	int		 ends[2], fds[HANDOVER_LISTENERS_MAX + 4], sink = -1;
	char		**argv = arguments(pool, w), **envp = environment(pool);
	pid_t		 pid = -1;

	if (is_log && (sink = sink_open(why)) == -1)
		goto out;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0, ends) == -1) {
		*why = strerror(errno);
		goto out;
	}
	collect(w, ends[1], sink, fds);
	if ((pid = fork()) == 0)
		become(w->unit, path, argv, envp, fds);
	if (pid == -1) {
		*why = strerror(errno);
		close(ends[0]);
	} else
		*channel = ends[0];
	close(ends[1]);
out:
	if (sink != -1)
		close(sink);
	pool_free(pool);
	return pid;
}

/* Child: become the daemon that only checks. */
_Noreturn static void
become_check(const char *path, char **argv, char **envp, int output)
{
	be_expendable();
	(void)quiet();
	if (dup2(output, STDERR_FILENO) != -1) {
		reset_signals();
		execve(path, argv, envp);
	}
	_exit(EX_OSERR);
}

/* Start a program to check what it would read. */
pid_t
spawn_check(const struct unit *unit, int *output, const char **why)
{
	struct pool	*pool = pool_new("spawn", 0);
	char		*path = services_path(pool, unit), **argv,
			**envp = environment(pool);
	size_t		 n = 0;
	int		 ends[2];
	pid_t		 pid = -1;

	argv = pool_array(pool, 12 + 2 * unit->option_count, sizeof(char *));
	add(argv, &n, pool_strdup(pool, unit->program), "--check");
	add(argv, &n, "-c", site.config_directory);
	add(argv, &n, "-n", pool_strdup(pool, unit->name));
	add_settings(pool, argv, &n, unit);
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) == -1) {
		*why = strerror(errno);
	} else {
		if ((pid = fork()) == 0)
			become_check(path, argv, envp, ends[1]);
		if (pid == -1) {
			*why = strerror(errno);
			close(ends[0]);
		} else
			*output = ends[0];
		close(ends[1]);
	}
	pool_free(pool);
	return pid;
}

/*
 * What remains possible for this process and all it starts. Whoever breaks
 * out of a daemon that is still root, or makes a set-uid program of the
 * recipient's misbehave, finds the rest of root's powers gone.
 */
static const int	kept[] = {
	CAP_NET_BIND_SERVICE,	/* ports below 1024, also after a reload */
	CAP_SETUID, CAP_SETGID,	/* daemons drop to their users; helper
				 * becomes the recipient, spawn the
				 * user of a command */
	CAP_SETPCAP,		/* daemons empty their own bounding set */
	CAP_SYS_CHROOT,		/* daemons enter their jails */
	CAP_KILL,		/* stop daemons that run as other users */
	CAP_CHOWN, CAP_FOWNER,	/* owners of sockets, queue and mailboxes */
	CAP_DAC_OVERRIDE	/* tables only root may read; a missing
				 * mailbox in a directory of group mail */
};

/* Is it among them? */
static bool
is_kept(int capability)
{
	size_t	i;

	for (i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (kept[i] == capability)
			return true;
	return false;
}

/* Give up everything else, for the children too. */
void
spawn_drop_capabilities(void)
{
	struct __user_cap_header_struct	head = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct	now[2], data[2] = { { 0 } };
	int				c;

	if (syscall(SYS_capget, &head, now) == -1) {
		log_warning("cannot read our capabilities: %s",
		    strerror(errno));
		return;
	}
	for (c = 0; prctl(PR_CAPBSET_READ, c, 0, 0, 0) != -1; c++) {
		if (!is_kept(c)) {
			(void)prctl(PR_CAPBSET_DROP, c, 0, 0, 0);
			continue;
		}
		/* A container may have taken some of them away before. */
		data[c / 32].permitted |= now[c / 32].permitted &
		    (1u << (c % 32));
		data[c / 32].effective = data[c / 32].permitted;
	}
	head.pid = 0;
	if (syscall(SYS_capset, &head, data) == -1)
		log_warning("cannot drop capabilities: %s", strerror(errno));
}
