/*
 * maildir.c - one message as a file of its own in a Maildir.
 *
 * Called by mailbox.c on a thread, with the rights of the recipient; several
 * at a time, so that the file system merges their syncs. The name is
 * SECONDS.MmicrosPpidQn.host: no two deliveries of one host have the same.
 *
 * mailbox-4  "sent" is said only after the file was synced, moved from tmp/ to
 *            new/, and new/ was synced, each at the first try. With the home
 *            on another file system than the queue, the last of them is what
 *            keeps a power cut from losing the message.
 * mailbox-5  A reader never sees part of a message in new/.
 * mailbox-6  After any failure nothing of the message is left; after a kill
 *            only a file in tmp/, which readers ignore and clean up.
 * mailbox-7  Directories that had to be made are synced with those above them.
 */
#include "local/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/fs.h"

enum { NAME_SIZE = 256, PATH_SIZE = 1000 };

/* An open Maildir; -1 where not. */
struct maildir {
	const char	*path;
	int		 base, tmp, new;
};

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
check_owner(const struct maildir *m)
{
	struct stat	st;
	int		fds[] = { m->base, m->tmp, m->new };
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

/* Open the Maildir, made if it is missing. 0, or -1 with errno. */
static int
open_directories(struct storing *s, struct maildir *m)
{
	const int	how = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

	m->base = open(m->path, how);
	if (m->base == -1 && errno == ENOENT && make_path(s, m->path) == 0)
		m->base = open(m->path, how);
	if (m->base == -1)
		return -1;
	m->tmp = open_below(m->base, "tmp");
	m->new = open_below(m->base, "new");
	if ((m->tmp == -1 || m->new == -1) && errno == ENOENT) {
		if (make_below(m->base) == -1)
			return -1;
		if (m->tmp == -1)
			m->tmp = open_below(m->base, "tmp");
		if (m->new == -1)
			m->new = open_below(m->base, "new");
	}
	if (m->tmp == -1 || m->new == -1)
		return -1;
	return check_owner(m);
}

/* Close what is open; errno stays. */
static void
maildir_close(struct maildir *m)
{
	int	saved = errno;

	if (m->new != -1)
		close(m->new);
	if (m->tmp != -1)
		close(m->tmp);
	if (m->base != -1)
		close(m->base);
	errno = saved;
}

/* --- the file ------------------------------------------------------------ */

/* A name that nobody else takes; "/" and ":" in the host mean something. */
static void
make_name(char name[NAME_SIZE], const struct storing *s)
{
	const char	*h;
	struct timespec	 now;
	size_t		 n;

	clock_gettime(CLOCK_REALTIME, &now);
	n = (size_t)snprintf(name, NAME_SIZE, "%lld.M%06ldP%dQ%u.",
	    (long long)now.tv_sec, now.tv_nsec / 1000, (int)getpid(),
	    s->number);
	for (h = s->host; *h != '\0' && n + 5 < NAME_SIZE; h++) {
		if (*h == '/' || *h == ':')
			n += (size_t)snprintf(name + n, NAME_SIZE - n,
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

/* Write the file and make it visible (mailbox-4 to mailbox-6). NULL, or what
 * did not work. */
static const char *
deliver(struct storing *s, const struct maildir *m, const char *name)
{
	const char	*failed = NULL;
	int		 fd, saved;

	fd = openat(m->tmp, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
	    O_CLOEXEC, 0600);
	if (fd == -1)
		return "create a file in";
	if (fill_file(s, fd) == -1)
		failed = "write a file in";
	else if (publish(m, name) == -1)
		failed = "move a file to new in";
	if (failed == NULL && fs_sync(m->new) == 0)
		return NULL;

	saved = errno;
	(void)unlinkat(failed == NULL ? m->new : m->tmp, name, 0);
	errno = saved;
	return failed != NULL ? failed : "sync the directory new in";
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

/* Thread work: put the message into the Maildir. */
int
maildir_store(void *arg)
{
	struct storing	*s = arg;
	struct maildir	 m = { s->what->path, -1, -1, -1 };
	char		 name[NAME_SIZE];
	const char	*failed;

	if (is_too_large(s)) {
		storing_is(s, OUTCOME_BOUNCED, "5.2.3", "message is larger "
		    "than the mailbox's limit of %lld bytes",
		    (long long)s->what->size_limit);
		return -1;
	}
	make_name(name, s);
	failed = open_directories(s, &m) == -1 ? "open" :
	    deliver(s, &m, name);
	maildir_close(&m);
	if (failed != NULL) {
		storing_failed(s, failed, m.path, errno);
		return -1;
	}
	storing_is(s, OUTCOME_SENT, "2.0.0", "delivered to maildir");
	return 0;
}
