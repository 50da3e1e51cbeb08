/*
 * postrider.c - the administrator's one command: postrider [-c DIR] VERB.
 *
 * start, stop, reload, status, check and log are here, because they speak to
 * master; every other verb is a program postrider-VERB, found beside this one
 * or in command_directory.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/fiber/loop.h"
#include "common/ipc/channel.h"
#include "common/ipc/packets.h"
#include "common/param/site.h"
#include "master/check.h"
#include "master/directories.h"
#include "master/services.h"

enum {
	REPORT_FD = 3,			/* of master -s */
	ANSWER_TIME = 90 * 1000,	/* for everything that master does */
	UNLOCK_TIME = 10 * 1000		/* from its answer to its end */
};

static const char	*directory;	/* -c, or NULL */

static _Noreturn void
usage(void)
{
	fprintf(stderr, "usage: postrider [-c directory] verb [argument ...]\n"
	    "  start | start-fg      check, then start the mail system\n"
	    "  stop [--now]          end it, when deliveries are done\n"
	    "  reload                read the configuration again\n"
	    "  status                what runs\n"
	    "  check                 what is wrong\n"
	    "  log text              write a line to the mail log\n"
	    "  set-permissions       make the queue's owners and modes right\n"
	    "  conf | queue | map    postrider-conf and so on; see there\n");
	exit(2);
}

/* --- programs ------------------------------------------------------------ */

/* The path of a program beside this one; NULL if there is none. */
static char *
beside(struct pool *pool, const char *name)
{
	char	*path = pool_alloc(pool, PATH_MAX), *slash;
	ssize_t	 n = readlink("/proc/self/exe", path, PATH_MAX - 1);

	if (n <= 0 || (slash = strrchr(path, '/')) == NULL)
		return NULL;
	*slash = '\0';
	path = pool_printf(pool, "%s/%s", path, name);
	return access(path, X_OK) == 0 ? path : NULL;
}

/* Become postrider-VERB. */
static _Noreturn void
become(struct pool *pool, char **argv)
{
	char		*name = pool_printf(pool, "postrider-%s", argv[0]);
	char		*path = beside(pool, name);
	struct str	 problems;

	if (directory != NULL && setenv("MAIL_CONFIG", directory, 1) == -1)
		die("setenv: %s", strerror(errno));
	str_init(&problems, pool, 0);
	if (path == NULL && site_try(pool, directory, &problems) != NULL)
		path = pool_printf(pool, "%s/%s", site.command_directory,
		    name);
	if (path == NULL)
		path = pool_printf(pool, "%s/%s", DEFAULT_COMMAND_DIRECTORY,
		    name);
	if (strchr(argv[0], '/') == NULL) {
		argv[0] = name;
		execv(path, argv);
	}
	if (errno == ENOENT) {
		fprintf(stderr, "postrider: there is no verb of this name\n");
		usage();
	}
	die("%s: %s", path, strerror(errno));
}

/* --- talking to master --------------------------------------------------- */

struct talk {
	const char	*verb;
	int		 status;	/* -1: no answer */
};

/* master says a line. */
static void
on_line(struct request *r)
{
	struct control_line	*line = r->object;

	printf("%s\n", line->text);
}

static const struct peer	peers[] = {
	{ "*",	PACKET_CONTROL_LINE,	on_line,	IN_ORDER },
	{ NULL,	PACKET_NONE,		NULL,		IN_ORDER }
};

/* Connect to private/control; the directory is the queue's. */
static int
open_control(void)
{
	const struct sockaddr_un	address = {
		.sun_family = AF_UNIX, .sun_path = "private/control"
	};
	int				fd;

	if (chdir(site.queue_directory) == -1)
		return -1;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (connect(fd, (const struct sockaddr *)&address,
	    sizeof(address)) == -1) {
		close(fd);
		return -1;
	}
	(void)fs_set_nonblocking(fd, true);
	return fd;
}

/* Fiber: ask and wait. */
static void
talk(void *arg)
{
	struct talk		*t = arg;
	struct hello		 hello = { "postrider", IPC_VERSION };
	struct control		 control;
	struct control_done	 done;
	struct channel		*channel;
	int			 fd;

	control.verb = (char *)(uintptr_t)t->verb;
	if ((fd = open_control()) == -1) {
		fprintf(stderr, "postrider: %s/private/control: %s\n",
		    site.queue_directory, strerror(errno));
		loop_stop();
		return;
	}
	channel = channel_new(fd, false, peers, NULL, NULL);
	channel_hold(channel);
	channel_set_name(channel, "master");
	(void)channel_post(channel, PACKET_HELLO, channel_next_id(channel),
	    &hello);
	if (channel_ask(channel, PACKET_CONTROL, &control,
	    PACKET_CONTROL_DONE, &done, pool_new("answer", 0),
	    clock_now() + ANSWER_TIME) == 0)
		t->status = (int)done.exit_status;
	else
		fprintf(stderr, "postrider: no answer from master: %s\n",
		    strerror(errno));
	channel_release(channel);
	loop_stop();
}

/* Have master do something: its exit status, or 1. */
static int
ask_master(const char *verb)
{
	struct talk	t = { .verb = verb, .status = -1 };

	loop_open();
	fiber_start(talk, &t);
	loop_run();
	return t.status == -1 ? 1 : t.status;
}

/* Who runs this instance? Its configuration is loaded by this. */
static int
find_master(struct pool *pool)
{
	(void)site_load(directory);
	return pid_file_holder(pool, site.queue_directory);
}

/* The same, and the end if nobody does. */
static int
need_master(struct pool *pool)
{
	int	pid = find_master(pool);

	if (pid == 0) {
		fprintf(stderr, "postrider: the mail system is not running\n");
		exit(1);
	}
	return pid;
}

/* --- verbs --------------------------------------------------------------- */

/* Check; say how many errors, if any. */
static unsigned
check_first(struct pool *pool)
{
	unsigned	errors = check_all(pool, directory);

	if (errors > 0)
		fprintf(stderr, "postrider: %u error%s\n", errors,
		    errors == 1 ? "" : "s");
	return errors;
}

/* check */
static int
check(struct pool *pool, char **argv)
{
	(void)argv;
	return check_first(pool) > 0 ? 1 : 0;
}

/* Where master is; the end if it is nowhere. */
static char *
find_program(struct pool *pool)
{
	char	*path = beside(pool, "master");

	if (path == NULL)
		path = pool_printf(pool, "%s/master", site.daemon_directory);
	if (access(path, X_OK) == -1)
		die("%s: %s", path, strerror(errno));
	return path;
}

/* Child: become master, with a way to say that all is well. */
static _Noreturn void
become_master(char *path, int report)
{
	char	*argv[] = { path, "-c", site.config_directory, "-s", NULL };

	setsid();
	if (chdir("/") == -1 || dup2(report, REPORT_FD) == -1)
		die("cannot prepare master: %s", strerror(errno));
	execv(path, argv);
	die("%s: %s", path, strerror(errno));
}

/* Is anything wrong, or the system up already? Then the end. */
static void
prepare_start(struct pool *pool)
{
	int	pid;

	if (check_first(pool) > 0)
		exit(1);
	if ((pid = pid_file_holder(pool, site.queue_directory)) == 0)
		return;
	fprintf(stderr, "postrider: the mail system is already running: "
	    "process %d\n", pid);
	exit(1);
}

/* start: wait until master says ok, or has said why not and is gone. */
static int
start(struct pool *pool, char **argv)
{
	char	 answer[16], *path;
	int	 report[2];
	ssize_t	 n;
	pid_t	 pid;

	(void)argv;
	prepare_start(pool);
	path = find_program(pool);
	if (pipe2(report, O_CLOEXEC) == -1)
		die("pipe: %s", strerror(errno));
	if ((pid = fork()) == 0)
		become_master(path, report[1]);
	if (pid == -1)
		die("fork: %s", strerror(errno));
	close(report[1]);
	do
		n = read(report[0], answer, sizeof(answer));
	while (n == -1 && errno == EINTR);
	if (n > 0)
		return 0;
	(void)waitpid(pid, NULL, 0);
	fprintf(stderr, "postrider: the mail system did not start; the log "
	    "may say more\n");
	return 1;
}

/* start-fg: for containers and service managers. */
static int
start_foreground(struct pool *pool, char **argv)
{
	char	*path;

	(void)argv;
	prepare_start(pool);
	path = find_program(pool);
	execl(path, path, "-c", site.config_directory, "-f", (char *)NULL);
	die("%s: %s", path, strerror(errno));
}

/* stop: until the lock is free, so that a start can follow at once. */
static int
stop(struct pool *pool, char **argv)
{
	bool	is_now = argv[1] != NULL && strcmp(argv[1], "--now") == 0;
	int64_t	deadline;
	int	status, pid;

	if (argv[1] != NULL && !is_now)
		usage();
	pid = need_master(pool);
	status = ask_master(is_now ? "stop now" : "stop");
	deadline = clock_now() + UNLOCK_TIME;
	while (status == 0 && clock_now() < deadline) {
		if (pid_file_holder(pool, site.queue_directory) != pid)
			return 0;
		usleep(10000);
	}
	return status == 0 ? 1 : status;
}

/* reload */
static int
reload(struct pool *pool, char **argv)
{
	(void)argv;
	(void)need_master(pool);
	if (check_first(pool) > 0) {
		fprintf(stderr, "postrider: nothing was changed\n");
		return 1;
	}
	return ask_master("reload");
}

/* status */
static int
status(struct pool *pool, char **argv)
{
	(void)argv;
	(void)need_master(pool);
	return ask_master("status");
}

/* The set-gid posting command, when there is one. */
static void
fix_postdrop(struct pool *pool)
{
	const struct group	*gr = getgrnam(site.setgid_group);
	char			*path;
	int			 fd;

	path = pool_printf(pool, "%s/postdrop", site.command_directory);
	if ((fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)) == -1)
		return;
	if (gr == NULL || fchown(fd, 0, gr->gr_gid) == -1 ||
	    fchmod(fd, 02755) == -1)
		die("cannot make %s set-gid %s", path, site.setgid_group);
	close(fd);
}

/* set-permissions: after an installation. */
static int
set_permissions(struct pool *pool, char **argv)
{
	const char	*why;

	(void)argv;
	(void)site_load(directory);
	if ((why = directories_fix(pool)) != NULL)
		die("%s", why);
	if (site.is_root)
		fix_postdrop(pool);
	return 0;
}

/* A line to the log without the system's help. */
static void
log_directly(const char *text)
{
	char	date[32], host[256] = "localhost";
	int	fd;

	if (*site.maillog_file == '\0') {
		log_to_syslog();
		log_info("%s", text);
		return;
	}
	fd = strcmp(site.maillog_file, "/dev/stdout") == 0 ? STDOUT_FILENO :
	    open(site.maillog_file, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY |
	    O_CLOEXEC, 0640);
	if (fd == -1)
		die("%s: %s", site.maillog_file, strerror(errno));
	(void)gethostname(host, sizeof(host) - 1);
	host[strcspn(host, ".")] = '\0';
	clock_log_date(date, sizeof(date), time(NULL));
	dprintf(fd, "%s %s %s/postrider[%d]: %s\n", date, host,
	    site.syslog_name, (int)getpid(), text);
}

/* log: the words become one line. */
static int
log_words(struct pool *pool, char **argv)
{
	struct str	 words;
	struct str	 line;
	char		*copy;
	int		 i;

	if (argv[1] == NULL)
		usage();
	str_init(&words, pool, 1500);
	for (i = 1; argv[i] != NULL; i++)
		str_addf(&words, "%s%s", i > 1 ? " " : "", argv[i]);
	copy = pool_alloc(pool, 4 * words.len + 1);
	(void)log_escape(copy, 4 * words.len + 1, words.data, words.len);
	if (find_master(pool) != 0 && access(pool_printf(pool,
	    "%s/private/control", site.queue_directory), W_OK) == 0) {
		str_init(&line, pool, 1800);
		str_addf(&line, "log %s", copy);
		return ask_master(line.data);
	}
	log_name(site.syslog_name, "postrider");
	log_directly(copy);
	return 0;
}

static const struct {
	const char	*name;
	int		(*run)(struct pool *, char **argv);
} verbs[] = {
	{ "start",	start },
	{ "start-fg",	start_foreground },
	{ "stop",	stop },
	{ "reload",	reload },
	{ "status",	status },
	{ "check",	check },
	{ "log",	log_words },
	{ "set-permissions", set_permissions }
};

int
main(int argc, char **argv)
{
	struct pool	*pool = pool_new("postrider", 0);
	size_t		 i;
	int		 option;

	fs_open_standard();
	log_name("postrider", "postrider");
	while ((option = getopt(argc, argv, "+c:")) != -1) {
		if (option != 'c')
			usage();
		if ((directory = realpath(optarg, NULL)) == NULL)
			die("%s: %s", optarg, strerror(errno));
	}
	if (optind == argc)
		usage();
	argv += optind;
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(argv[0], verbs[i].name) == 0)
			return verbs[i].run(pool, argv);
	become(pool, argv);
}
