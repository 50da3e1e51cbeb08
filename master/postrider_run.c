/*
 * postrider_run.c - start, stop and all that concerns the running system.
 */
#include "master/postrider.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/param/site.h"
#include "master/check.h"
#include "master/directories.h"
#include "master/services.h"

enum {
	REPORT_FD = 3,			/* of master -s */
	UNLOCK_TIME = 10 * 1000		/* from its answer to its end */
};

/* Where maillog_file goes when it is rotated. */
static struct {
	char	*suffix, *compressor;
} rotation;

static const struct param	params[] = {
	PARAM_STRING("maillog_file_rotate_suffix", rotation.suffix,
	    "%Y%m%d-%H%M%S", 1, 64, "What postrider logrotate adds to the "
	    "name of maillog_file, in the words of strftime(3)."),
	PARAM_STRING("maillog_file_compressor", rotation.compressor, "gzip",
	    0, 1024, "The program that compresses a rotated maillog_file."),
	PARAM_END
};

/* Check; say how many errors, if any. */
static unsigned
check_first(struct pool *pool, enum check_what what)
{
	unsigned	errors = check_all(pool, postrider_directory, what);

	if (errors > 0)
		fprintf(stderr, "postrider: %u error%s\n", errors,
		    errors == 1 ? "" : "s");
	return errors;
}

/* Repair what can be; say what was done. */
static int
repair(struct pool *pool)
{
	struct str	done, errors;

	(void)site_load(postrider_directory);
	str_init(&done, pool, 0);
	str_init(&errors, pool, 0);
	check_repair(pool, &done, &errors);
	fputs(done.data, stdout);
	(void)fflush(stdout);
	fputs(errors.data, stderr);
	return errors.len > 0 ? 1 : 0;
}

/* check [-r] */
int
postrider_check(struct pool *pool, char **argv)
{
	bool	repairs = argv[1] != NULL && strcmp(argv[1], "-r") == 0;
	int	status = 0;

	if (argv[1] != NULL && (!repairs || argv[2] != NULL))
		postrider_usage();
	if (repairs)
		status = repair(pool);
	return check_first(pool, CHECK_ALL) > 0 ? 1 : status;
}

/* Where master is; the end if it is nowhere. */
static char *
find_program(struct pool *pool)
{
	char	*path = postrider_beside(pool, "master");

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

	if (check_first(pool, CHECK_START) > 0)
		exit(1);
	if ((pid = pid_file_holder(pool, site.queue_directory)) == 0)
		return;
	fprintf(stderr, "postrider: the mail system is already running: "
	    "process %d\n", pid);
	exit(1);
}

/* start: wait until master says ok, or has said why not and is gone. */
int
postrider_start(struct pool *pool, char **argv)
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
int
postrider_start_foreground(struct pool *pool, char **argv)
{
	char	*path;

	(void)argv;
	prepare_start(pool);
	path = find_program(pool);
	execl(path, path, "-c", site.config_directory, "-f", (char *)NULL);
	die("%s: %s", path, strerror(errno));
}

/* Until the lock is free, so that a start can follow at once. */
static int
end(struct pool *pool, bool is_now)
{
	int64_t	deadline;
	int	status, pid;

	pid = postrider_need_master(pool);
	status = postrider_ask_master(is_now ? "stop now" : "stop");
	deadline = clock_now() + UNLOCK_TIME;
	while (status == 0 && clock_now() < deadline) {
		if (pid_file_holder(pool, site.queue_directory) != pid)
			return 0;
		usleep(10000);
	}
	return status == 0 ? 1 : status;
}

/* stop */
int
postrider_stop(struct pool *pool, char **argv)
{
	bool	is_now = argv[1] != NULL && strcmp(argv[1], "--now") == 0;

	if (argv[1] != NULL && !is_now)
		postrider_usage();
	return end(pool, is_now);
}

/* abort, quick-stop: do not wait for deliveries. */
int
postrider_abort(struct pool *pool, char **argv)
{
	(void)argv;
	return end(pool, true);
}
/* reload */
int
postrider_reload(struct pool *pool, char **argv)
{
	(void)argv;
	(void)postrider_need_master(pool);
	if (check_first(pool, CHECK_RELOAD) > 0) {
		fprintf(stderr, "postrider: nothing was changed\n");
		return 1;
	}
	return postrider_ask_master("reload");
}

/* status */
int
postrider_status(struct pool *pool, char **argv)
{
	(void)argv;
	(void)postrider_need_master(pool);
	return postrider_ask_master("status");
}

/* set-permissions: after an installation. */
int
postrider_set_permissions(struct pool *pool, char **argv)
{
	(void)argv;
	return repair(pool);
}

/* Compress the file; it stays as it is when that fails. */
static int
compress(const char *path)
{
	int	status;
	pid_t	pid;

	if (*rotation.compressor == '\0')
		return 0;
	if ((pid = fork()) == 0) {
		execlp(rotation.compressor, rotation.compressor, path,
		    (char *)NULL);
		_exit(127);
	}
	if (pid == -1 || waitpid(pid, &status, 0) == -1 || status != 0) {
		fprintf(stderr, "postrider: %s %s failed\n",
		    rotation.compressor, path);
		return 1;
	}
	return 0;
}

/* Load the two parameters; maillog_file must be a file. */
static void
prepare_rotation(struct pool *pool)
{
	const struct param *const	 tables[] = { params, NULL };
	struct str			 problems;

	str_init(&problems, pool, 0);
	if (param_load(site_load(postrider_directory), tables,
	    &problems) == -1)
		die("%s", problems.data);
	if (site.maillog_file[0] != '/' ||
	    strncmp(site.maillog_file, "/dev/", 5) == 0)
		die("maillog_file = %s is not a file that can be rotated",
		    site.maillog_file);
}

/* The time in the administrator's words, which no compiler can check. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static bool
format_time(char *to, size_t size, const struct tm *t)
{
	return strftime(to, size, rotation.suffix, t) > 0;
}
#pragma GCC diagnostic pop

/* logrotate: maillog_file gets another name, and a new one is begun. */
int
postrider_logrotate(struct pool *pool, char **argv)
{
	struct tm	 t;
	time_t		 now = time(NULL);
	char		 suffix[256], *to;
	int		 status = 0;

	(void)argv;
	prepare_rotation(pool);
	if (localtime_r(&now, &t) == NULL ||
	    !format_time(suffix, sizeof(suffix), &t))
		die("maillog_file_rotate_suffix = %s makes no name",
		    rotation.suffix);
	to = pool_printf(pool, "%s.%s", site.maillog_file, suffix);
	if (access(to, F_OK) == 0)
		die("%s: %s", to, strerror(EEXIST));
	if (rename(site.maillog_file, to) == -1)
		die("%s: %s", site.maillog_file, strerror(errno));
	if (pid_file_holder(pool, site.queue_directory) != 0)
		status = postrider_ask_master("reload");
	return status == 0 ? compress(to) : status;
}
