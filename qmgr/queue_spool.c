/*
 * queue_spool.c - Postfix's queue directory, read with root's rights.
 *
 * A process of its own opens the files, which are Postfix's, and moves them
 * aside; the bytes in them are looked at by the other one only, which is the
 * owner of our queue. What was posted is posted again as who posted it.
 *
 * P1  Nothing is opened through a link, and nothing that is not a regular file
 *     with one name.
 * P2  A file is moved only when the other process said that the message is
 *     ours, and never over another one. It is never removed.
 * P3  While it works Postfix's master cannot start: we have its lock.
 */
#include "qmgr/queue_import.h"

#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/fs.h"
#include "common/param/site.h"
#include "qmgr/queue.h"

enum { DEPTH = 4 };		/* of hash directories */

static const char	aside[] = "imported-by-postrider";
static int		root_fd = -1;	/* the directory */
static int		lock_fd = -1;
static int		peer = -1;	/* the socket, of either process */
static pid_t		reader;

/* --- before -------------------------------------------------------------- */

/* Take the lock of Postfix's master; false if it has it. A Postfix that has
 * never run has no file for it. */
static bool
take_lock(void)
{
	lock_fd = openat(root_fd, "pid/master.pid", O_RDWR | O_CLOEXEC |
	    O_NOFOLLOW | O_NONBLOCK);
	return lock_fd == -1 ? errno == ENOENT :
	    flock(lock_fd, LOCK_EX | LOCK_NB) == 0;
}

/* Is it ours? */
static bool
is_own(void)
{
	struct stat	ours, theirs;

	return stat(".", &ours) == 0 && fstat(root_fd, &theirs) == 0 &&
	    ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

/* Open it. */
int
spool_open(const char *directory)
{
	struct stat	st;

	if ((root_fd = fs_open_directory(AT_FDCWD, directory)) == -1) {
		complain("%s: %s", directory, strerror(errno));
		return EX_NOINPUT;
	}
	if (is_own() || fstatat(root_fd, "active", &st, 0) == -1 ||
	    fstatat(root_fd, "maildrop", &st, 0) == -1) {
		complain("%s: not a queue directory of Postfix", directory);
		return EX_NOINPUT;
	}
	if (!take_lock()) {
		complain("%s: Postfix is running: stop it first", directory);
		return EX_UNAVAILABLE;
	}
	return 0;
}

/* --- between the two ----------------------------------------------------- */

/* Something, and perhaps a descriptor. */
static int
send_fd(const void *what, size_t len, int fd)
{
	union {
		struct cmsghdr	align;
		char		bytes[CMSG_SPACE(sizeof(int))];
	} control = { .bytes = { 0 } };
	struct iovec	 data = { (void *)(uintptr_t)what, len };
	struct msghdr	 m = { .msg_iov = &data, .msg_iovlen = 1 };
	struct cmsghdr	*c;

	if (fd != -1) {
		m.msg_control = control.bytes;
		m.msg_controllen = sizeof(control.bytes);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	return sendmsg(peer, &m, MSG_NOSIGNAL) == (ssize_t)len ? 0 : -1;
}

/* The same back; false when nobody is there any more. */
static bool
receive_fd(void *what, size_t len, int *fd)
{
	union {
		struct cmsghdr	align;
		char		bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec	 data = { what, len };
	struct msghdr	 m = { .msg_iov = &data, .msg_iovlen = 1,
			    .msg_control = control.bytes,
			    .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr	*c;

	*fd = -1;
	if (recvmsg(peer, &m, MSG_CMSG_CLOEXEC) != (ssize_t)len)
		return false;
	c = CMSG_FIRSTHDR(&m);
	if (c != NULL && c->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	return true;
}

/* --- the process that reads ---------------------------------------------- */

/* A file is told to the other process. */
static void
offer(const struct spool_file *f, int fd)
{
	if (send_fd(f, sizeof(*f), fd) == -1)
		_exit(1);
}

/* An answer to the other process. */
static void
answer(int error)
{
	if (send_fd(&error, sizeof(error), -1) == -1)
		_exit(1);
}

/* Where the words end in a file that spool_post() got, and where each begins.
 * -1: it is no such file. */
static off_t
take_words(struct pool *pool, int fd, char ***words)
{
	char	*text, *at;
	size_t	 len, n = 0;

	if ((text = fs_read_fd(pool, fd, 1 << 30, &len)) == NULL)
		return -1;
	*words = pool_array(pool, SPOOL_WORDS + 1, sizeof(**words));
	for (at = text; at < text + len && *at != '\0'; at += strlen(at) + 1)
		if (n < SPOOL_WORDS)
			(*words)[n++] = at;
	return at < text + len ? at + 1 - text : -1;
}

/* Become who posted it, and run sendmail; its standard output is not the
 * list's. */
static _Noreturn void
run_sendmail(uid_t uid, int fd)
{
	struct pool	*pool = pool_new("words", 0);
	struct passwd	*pw = getpwuid(uid);
	char		**words, *program;
	off_t		 content = take_words(pool, fd, &words);

	if (content != -1 && lseek(fd, content, SEEK_SET) == content &&
	    setgroups(0, NULL) == 0 && setgid(pw != NULL ? pw->pw_gid :
	    65534) == 0 && setuid(uid) == 0 &&
	    dup2(fd, STDIN_FILENO) != -1 &&
	    dup2(STDERR_FILENO, STDOUT_FILENO) != -1) {
		program = pool_printf(pool, "%s/sendmail",
		    site.command_directory);
		execv(program, words);
	}
	_exit(127);
}

/* Post the message in this file; 0 when sendmail took it. */
static int
post(uid_t uid, int fd)
{
	int	status;
	pid_t	pid;

	if ((pid = fork()) == -1)
		return errno;
	if (pid == 0)
		run_sendmail(uid, fd);
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

/* A directory in another one, made if it is missing. */
static int
enter(int at, const char *name)
{
	if (mkdirat(at, name, 0700) == -1 && errno != EEXIST)
		return -1;
	return openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC |
	    O_NOFOLLOW);
}

/* Out of Postfix's sight, on stable storage (P2). 0 or an errno. */
static int
move_aside(int at, const char *queue, const char *name)
{
	int	 all, to = -1, error = 0;

	if ((all = enter(root_fd, aside)) == -1 ||
	    (to = enter(all, queue)) == -1 ||
	    fs_rename_new(at, name, to, name) == -1 ||
	    fs_sync(to) == -1 || fs_sync(all) == -1 || fs_sync(at) == -1 ||
	    fs_sync(root_fd) == -1)
		error = errno;
	if (to != -1)
		close(to);
	if (all != -1)
		close(all);
	return error;
}

/* Has Postfix noted failures that it has not told the sender of? */
static bool
has_untold(const char *name)
{
	struct stat	st;
	char		path[128];

	snprintf(path, sizeof(path), "bounce/%s", name);
	if (fstatat(root_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return true;
	snprintf(path, sizeof(path), "bounce/%c/%s", name[0], name);
	if (fstatat(root_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return true;
	snprintf(path, sizeof(path), "bounce/%c/%c/%s", name[0], name[1],
	    name);
	return fstatat(root_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Is it to be read (P1)? */
static const char *
look_at(struct spool_file *f, int fd)
{
	struct stat	st;

	if (fd == -1)
		return strerror(errno);
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || st.st_nlink != 1)
		return "not a regular file with one name";
	f->mode = st.st_mode;
	f->is_unfinished = (st.st_mode & S_IXUSR) == 0;
	if (f->is_unfinished)
		return "unfinished: Postfix has not accepted it";
	if (flock(fd, LOCK_EX | LOCK_NB) == -1)
		return "a program has locked it";
	if (has_untold(f->name))
		return "Postfix has not told its sender yet who could not be "
		    "reached: let Postfix run once more";
	return NULL;
}

/* Offer a file, and do what is answered. */
static void
settle(struct spool_file *f, int at, int fd)
{
	struct stat	st;
	char		verdict;
	int		message;

	offer(f, f->why[0] == '\0' ? fd : -1);
	while (receive_fd(&verdict, 1, &message)) {
		if (verdict == 'p') {
			answer(fstat(fd, &st) == -1 ? errno :
			    post(st.st_uid, message));
			close(message);
			continue;
		}
		answer(verdict == 'y' ? move_aside(at, f->queue, f->name) : 0);
		return;
	}
	_exit(1);
}

/* One file. */
static void
hand_over(int at, const char *queue, const char *name)
{
	struct spool_file	 f = { .fd = -1 };
	const char		*why;
	int			 fd;

	fd = openat(at, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW |
	    O_NONBLOCK | O_NOCTTY);
	snprintf(f.queue, sizeof(f.queue), "%.15s", queue);
	snprintf(f.name, sizeof(f.name), "%.63s", name);
	if ((why = look_at(&f, fd)) != NULL)
		snprintf(f.why, sizeof(f.why), "%.127s", why);
	settle(&f, at, fd);
	if (fd != -1)
		close(fd);
}

/* A directory that cannot be read is told as a file is. */
static void
tell_directory(const char *queue)
{
	struct spool_file	f = { .fd = -1 };

	snprintf(f.queue, sizeof(f.queue), "%.15s", queue);
	snprintf(f.name, sizeof(f.name), "%s", "(directory)");
	snprintf(f.why, sizeof(f.why), "%.127s", strerror(errno));
	settle(&f, -1, -1);
}

/* A directory and the hash directories in it. */
static void
look_through(int at, const char *queue, const char *name, int depth)
{
	struct dirent	*entry;
	struct stat	 st;
	DIR		*stream;
	int		 fd;

	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC |
	    O_NOFOLLOW);
	if (fd == -1 || (stream = fdopendir(fd)) == NULL) {
		if (errno != ENOENT)
			tell_directory(queue);
		return;
	}
	while ((entry = readdir(stream)) != NULL) {
		if (entry->d_name[0] == '.' || fstatat(fd, entry->d_name, &st,
		    AT_SYMLINK_NOFOLLOW) == -1)
			continue;
		if (S_ISDIR(st.st_mode) && depth < DEPTH)
			look_through(fd, queue, entry->d_name, depth + 1);
		else if (strlen(entry->d_name) < 64)
			hand_over(fd, queue, entry->d_name);
	}
	closedir(stream);
}

/* All of it. */
static _Noreturn void
read_all(void)
{
	static const char *const	queues[] = { "active", "incoming",
					    "deferred", "hold", "maildrop" };
	static const struct spool_file	end;
	size_t				i;

	for (i = 0; i < sizeof(queues) / sizeof(queues[0]); i++)
		look_through(root_fd, queues[i], queues[i], 0);
	offer(&end, -1);
	_exit(0);
}

/* --- the other process ---------------------------------------------------- */

/* Start it. */
void
spool_start(void)
{
	int	pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1)
		die("socketpair: %s", strerror(errno));
	if ((reader = fork()) == -1)
		die("fork: %s", strerror(errno));
	peer = pair[reader == 0];
	close(pair[reader != 0]);
	if (reader == 0)
		read_all();
	close(root_fd);
}

/* The next file. */
bool
spool_next(struct spool_file *f)
{
	int	fd;

	if (!receive_fd(f, sizeof(*f), &fd))
		return false;
	f->fd = fd;
	return f->queue[0] != '\0';
}

/* Say what is to be done with it, and hear what became of it. */
static int
ask(char what, int fd)
{
	int	error, none;

	if (send_fd(&what, 1, fd) == -1 ||
	    !receive_fd(&error, sizeof(error), &none))
		return EIO;
	return error;
}

/* Aside, or not. */
int
spool_done(bool is_imported)
{
	return ask(is_imported ? 'y' : 'n', -1);
}

/* Post what is in this file. */
int
spool_post(int fd)
{
	return ask('p', fd);
}

/* Did it see everything? */
bool
spool_end(void)
{
	int	status;

	close(peer);
	while (waitpid(reader, &status, 0) == -1)
		if (errno != EINTR)
			return false;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
