/*
 * maildir.c - one message as a file of its own in a Maildir.
 *
 * Called by maildirs.c on a thread, with the rights of the recipient; several
 * at a time, so that the file system merges their syncs. That new/ is synced
 * afterwards is its affair. The name is SECONDS.MmicrosPpidQn.host: no two
 * deliveries of one host have the same.
 *
 * mailbox-5  A reader never sees part of a message in new/.
 * mailbox-6  After any failure nothing of the message is left; after a kill
 *            only a file in tmp/, which readers ignore and clean up.
 * mailbox-7  Directories that had to be made are synced with those above them.
 */
#include "local/maildir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/fs.h"

enum { PATH_SIZE = 1000 };

/* --- directories --------------------------------------------------------- */

/* Make `path` and what is missing above it; sync each parent (mailbox-7). */
static int
make_path(struct storing *s, const char *path)
{
	char	 part[PATH_SIZE], *slash;
	int	 result = 0;

	if (strlcpy(part, path, sizeof(part)) >= sizeof(part)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	for (slash = strchr(part + 1, '/'); slash != NULL && result == 0;
	    slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		storing_raise(s);
		result = mkdir(part, 0700);
		storing_lower(s);
		if (result == 0)
			result = storing_sync_parent(part);
		else if (errno == EEXIST || access(part, F_OK) == 0)
			result = 0;
		*slash = '/';
	}
	return result;
}

/* Open one of the three below the Maildir; no link leads out of it. */
static int
open_below(int base, const char *name)
{
	return openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
	    O_CLOEXEC);
}

/* Make the three. */
static int
make_below(int base)
{
	static const char *const	names[] = { "tmp", "new", "cur" };
	size_t				i;

	for (i = 0; i < 3; i++)
		if (mkdirat(base, names[i], 0700) == -1 && errno != EEXIST)
			return -1;
	return fs_sync(base);
}

/* A Maildir of root that somebody else can change is none. */
static int
check_owner(int base, const struct maildir *m)
{
	struct stat	st;
	int		fds[] = { base, m->tmp, m->new };
	size_t		i;

	for (i = 0; i < 3 && geteuid() == 0; i++) {
		if (fstat(fds[i], &st) == -1)
			return -1;
		if (st.st_uid != 0) {
			errno = EPERM;
			return -1;
		}
	}
	return 0;
}

/* Open the Maildir itself, made if it is missing. */
static int
open_base(struct storing *s, const char *path)
{
	const int	how = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	int		base = open(path, how);

	if (base == -1 && errno == ENOENT && make_path(s, path) == 0)
		base = open(path, how);
	return base;
}

/* Open tmp/ and new/, made if they are missing. */
static int
open_both(int base, struct maildir *m)
{
	m->tmp = open_below(base, "tmp");
	m->new = open_below(base, "new");
	if ((m->tmp == -1 || m->new == -1) && errno == ENOENT) {
		if (make_below(base) == -1)
			return -1;
		if (m->tmp == -1)
			m->tmp = open_below(base, "tmp");
		if (m->new == -1)
			m->new = open_below(base, "new");
	}
	return m->tmp == -1 || m->new == -1 ? -1 : check_owner(base, m);
}

/* Remember which new/ it is. */
static int
recognize(struct maildir *m)
{
	struct stat	st;

	if (fstat(m->new, &st) == -1)
		return -1;
	m->device = st.st_dev;
	m->inode = st.st_ino;
	return 0;
}

/* Close what is open; errno stays. */
void
maildir_close(struct maildir *m)
{
	int	saved = errno;

	if (m->new != -1)
		close(m->new);
	if (m->tmp != -1)
		close(m->tmp);
	m->new = m->tmp = -1;
	errno = saved;
}

/* Open the Maildir. 0, or -1 with errno and nothing open. */
static int
open_directories(struct storing *s, struct maildir *m)
{
	int	base = open_base(s, m->path), result, saved;

	if (base == -1)
		return -1;
	result = open_both(base, m) == -1 || recognize(m) == -1 ? -1 : 0;
	if (result == -1)
		maildir_close(m);
	saved = errno;
	close(base);
	errno = saved;
	return result;
}

/* --- the file ------------------------------------------------------------ */

/* A name that nobody else takes; "/" and ":" in the host mean something. */
static void
make_name(char name[STORE_NAME], const struct storing *s)
{
	const char	*h;
	struct timespec	 now;
	size_t		 n;

	clock_gettime(CLOCK_REALTIME, &now);
	n = (size_t)snprintf(name, STORE_NAME, "%lld.M%06ldP%dQ%u.",
	    (long long)now.tv_sec, now.tv_nsec / 1000, (int)getpid(),
	    s->number);
	for (h = s->host; *h != '\0' && n + 5 < STORE_NAME; h++) {
		if (*h == '/' || *h == ':')
			n += (size_t)snprintf(name + n, STORE_NAME - n,
			    *h == '/' ? "\\057" : "\\072");
		else
			name[n++] = *h;
	}
	name[n] = '\0';
}

/* Head and message into an open file, synced and closed. */
static int
fill_file(struct storing *s, int fd)
{
	const struct store	*what = s->what;
	struct copy		*c = &s->copy;
	int			 saved;

	copy_open(c, what->message, what->content_offset,
	    what->content_length, fd);
	if (copy_text(c, what->head) == -1 || copy_message(c) == -1 ||
	    copy_flush(c) == -1 || fs_sync(fd) == -1) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return close(fd);
}

/* From tmp/ to new/ without replacing anything; where the file system cannot
 * say "unless it exists", by a link. */
static int
publish(const struct maildir *m, const char *name)
{
	if (renameat2(m->tmp, name, m->new, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (linkat(m->tmp, name, m->new, name, 0) == -1)
		return -1;
	(void)unlinkat(m->tmp, name, 0);
	return 0;
}

/* Write the file and make it visible (mailbox-5, mailbox-6). NULL, or what
 * did not work. */
static const char *
deliver(struct storing *s, const struct maildir *m)
{
	const char	*failed = NULL;
	int		 fd, saved;

	fd = openat(m->tmp, s->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
	    O_CLOEXEC, 0600);
	if (fd == -1)
		return "create a file in";
	if (fill_file(s, fd) == -1)
		failed = "write a file in";
	else if (publish(m, s->name) == -1)
		failed = "move a file to new in";
	if (failed == NULL)
		return NULL;

	saved = errno;
	(void)unlinkat(m->tmp, s->name, 0);
	errno = saved;
	return failed;
}

/* Is the message alone greater than the limit? */
static bool
is_too_large(const struct storing *s)
{
	const struct store	*what = s->what;

	return what->size_limit > 0 &&
	    what->content_length + (int64_t)strlen(what->head) >
	    what->size_limit;
}

/* Is new/ still the one that was opened? */
static bool
is_in_place(const struct maildir *m)
{
	struct stat	st;

	return lstat(m->new_path, &st) == 0 && st.st_ino == m->inode &&
	    st.st_dev == m->device;
}

/* Thread work: put the message into the Maildir, which is opened for it unless
 * it is open. */
int
maildir_put(void *arg)
{
	struct storing	*s = arg;
	struct maildir	*m = s->maildir;
	bool		 is_shared = m->new != -1;
	const char	*failed;

	if (storing_is_forwarded(s))
		return -1;
	if (is_too_large(s)) {
		storing_is(s, OUTCOME_BOUNCED, "5.2.3", "message is larger "
		    "than the mailbox's limit of %lld bytes",
		    (long long)s->what->size_limit);
		return -1;
	}
	make_name(s->name, s);
	if (is_shared && !is_in_place(m))
		return MAILDIR_MOVED;
	failed = !is_shared && open_directories(s, m) == -1 ? "open" :
	    deliver(s, m);
	if (failed != NULL) {
		if (is_shared && errno == ENOENT)	/* tmp/ is gone */
			return MAILDIR_MOVED;
		storing_failed(s, failed, m->path, errno);
		return -1;
	}
	return 0;
}

/* Thread work: take it back. */
int
maildir_undo(void *arg)
{
	const struct storing	*s = arg;

	return unlinkat(s->maildir->new, s->name, 0);
}
