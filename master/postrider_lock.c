/*
 * postrider_lock.c - postlock and postkick: scripts that hold a mailbox, and
 * scripts that wake a daemon.
 *
 * A mailbox is locked as the delivery agent locks it: by the kernel first,
 * then by FILE.lock.
 */
#include "master/postrider.h"

#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/text.h"
#include "common/param/site.h"

static struct {
	char	*styles;
	int64_t	 attempts, delay, stale;
} set;

static const struct param	params[] = {
	PARAM_STRING("mailbox_delivery_lock", set.styles, "fcntl, dotlock", 1,
	    64, "How mailboxes are locked."),
	PARAM_INT("deliver_lock_attempts", set.attempts, "20", 1, 100000,
	    "How often a lock is tried."),
	PARAM_TIME("deliver_lock_delay", set.delay, "1s", 0, 3600,
	    "How long to wait between two tries."),
	PARAM_TIME("stale_lock_time", set.stale, "500s", 1, 86400,
	    "From which age on a lock file has no owner."),
	PARAM_END
};

/* What is locked now. */
struct held {
	int	 fd;
	char	*lock;		/* FILE.lock, or NULL */
};

/* Say why not; the command was not run. */
static _Noreturn void
fail(const char *path, const char *why)
{
	fprintf(stderr, "postlock: %s: %s\n", path, why);
	exit(EX_TEMPFAIL);
}

/* FILE.lock: 0, or -1 with EAGAIN while there is another. */
static int
dotlock(const char *lock)
{
	struct stat	st;
	int		fd;

	fd = open(lock, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	    0600);
	if (fd != -1) {
		close(fd);
		return 0;
	}
	if (errno != EEXIST)
		return -1;
	if (lstat(lock, &st) == 0 &&
	    time(NULL) - st.st_mtime > set.stale / 1000)
		(void)unlink(lock);
	errno = EAGAIN;
	return -1;
}

/* The kernel's lock. */
static int
kernel_lock(int fd, bool is_flock)
{
	struct flock	lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (is_flock)
		return flock(fd, LOCK_EX | LOCK_NB);
	return fcntl(fd, F_OFD_SETLK, &lock);
}

/* One lock of the styles that there are. */
static int
take(struct pool *pool, const char *path, const char *style, struct held *h)
{
	char	*lock = pool_printf(pool, "%s.lock", path);

	if (strcmp(style, "fcntl") == 0 || strcmp(style, "flock") == 0)
		return kernel_lock(h->fd, style[1] == 'l');
	if (strcmp(style, "dotlock") != 0)
		fail(style, "expected fcntl, flock or dotlock");
	if (dotlock(lock) == -1)
		return -1;
	h->lock = lock;
	return 0;
}

/* All locks that the styles name: 0, or -1 and none is held. */
static int
lock_once(struct pool *pool, const char *path, struct held *h)
{
	char	*list = pool_strdup(pool, set.styles), *style;
	int	 result = 0, error;

	h->lock = NULL;
	if ((h->fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY)) == -1)
		return -1;
	while (result == 0 && (style = text_next_word(&list)) != NULL)
		result = take(pool, path, style, h);
	if (result == 0)
		return 0;
	error = errno;
	if (h->lock != NULL)
		(void)unlink(h->lock);
	close(h->fd);
	errno = error;
	return -1;
}

/* Lock the file, or the end. */
static void
lock(struct pool *pool, const char *path, struct held *h)
{
	struct timespec	pause = {
		.tv_sec = set.delay / 1000,
		.tv_nsec = set.delay % 1000 * 1000000
	};
	int64_t		i;

	for (i = 0; i < set.attempts; i++) {
		if (i > 0)
			(void)nanosleep(&pause, NULL);
		if (lock_once(pool, path, h) == 0)
			return;
		if (errno != EAGAIN)
			break;
	}
	fail(path, strerror(errno));
}

/* Run the command; its exit status. */
static int
run(char **argv)
{
	int	status;
	pid_t	pid;

	if ((pid = fork()) == 0) {
		execvp(argv[0], argv);
		fprintf(stderr, "postlock: %s: %s\n", argv[0],
		    strerror(errno));
		_exit(EX_TEMPFAIL);
	}
	if (pid == -1)
		return EX_TEMPFAIL;
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return EX_TEMPFAIL;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EX_TEMPFAIL;
}

/* Load what main.cf says of locks. */
static void
configure(struct pool *pool)
{
	const struct param *const	 tables[] = { params, NULL };
	struct maincf			*mc;
	struct str			 problems;

	str_init(&problems, pool, 0);
	mc = site_try(pool, postrider_directory, &problems);
	if (mc != NULL && param_load(mc, tables, &problems) == 0)
		return;
	fputs(problems.data, stderr);
	exit(EX_TEMPFAIL);
}

/* postlock [-c directory] [-l styles] [-v] file command ... */
int
postrider_postlock(struct pool *pool, int argc, char **argv)
{
	struct held	 h;
	char		*styles = NULL;
	int		 option, status;

	while ((option = getopt(argc, argv, "+c:l:v")) != -1)
		switch (option) {
		case 'c': postrider_directory = optarg; break;
		case 'l': styles = optarg; break;
		case 'v': break;
		default: argc = 0;
		}
	if (argc - optind < 2) {
		fprintf(stderr, "usage: postlock [-v] [-c directory] "
		    "[-l styles] file command [argument ...]\n");
		return EX_TEMPFAIL;
	}
	configure(pool);
	if (styles != NULL)
		set.styles = styles;
	lock(pool, argv[optind], &h);
	status = run(argv + optind + 1);
	if (h.lock != NULL)
		(void)unlink(h.lock);
	close(h.fd);
	return status;
}

/*
 * postkick [-c directory] [-v] class service request: daemons here see by
 * themselves what there is to do; only a flush of the queue is left.
 */
int
postrider_postkick(struct pool *pool, int argc, char **argv)
{
	char	*words[] = { NULL, (char *)(uintptr_t)"flush", NULL };
	int	 option;

	while ((option = getopt(argc, argv, "+c:v")) != -1)
		if (option == 'c')
			postrider_directory = optarg;
		else if (option != 'v')
			argc = 0;
	if (argc - optind != 3 || (strcmp(argv[optind], "public") != 0 &&
	    strcmp(argv[optind], "private") != 0)) {
		fprintf(stderr, "usage: postkick [-v] [-c directory] "
		    "public|private service request\n");
		return 1;
	}
	(void)postrider_need_master(pool);
	if (strcmp(argv[optind + 1], "qmgr") == 0 &&
	    strpbrk(argv[optind + 2], "DFA") != NULL)
		postrider_become(pool, "queue", words);
	return 0;
}
