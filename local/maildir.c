/*
 * maildir.c - messages as files of their own in a Maildir.
 *
 * Called by maildirs.c on a thread, with the rights of the recipient; several
 * at a time, so that the file system merges their syncs. Those of one batch go
 * step by step together: when the second file is synced, most of what it needs
 * has reached the disk with the first. A sync of new/ covers every name that
 * was there when it began, whichever thread moved it. The name is
 * SECONDS.MmicrosPpidQn.host: no two deliveries of one host have the same.
 *
 * mailbox-4  "sent" is said only after the file was synced, moved from tmp/ to
 *            new/, and a sync of new/ that began after the move returned 0.
 *            With the home on another file system than the queue, the last of
 *            them is what keeps a power cut from losing the message.
 * mailbox-5  A reader never sees part of a message in new/.
 * mailbox-6  After any failure nothing of the message is left; after a kill
 *            only a file in tmp/, which readers ignore and clean up.
 * mailbox-7  Directories that had to be made are synced with those above them.
 * P1  When a sync of new/ has failed, no message that was not synced before is
 *     "sent" through this opening: a second sync would lie. For the same
 *     reason no two run at once: only one of them would hear of an error.
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

#include "common/base/clock.h"
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

/* Not open. */
void
maildir_init(struct maildir *m, char *path, char *new_path)
{
	memset(m, 0, sizeof(*m));
	m->path = path;
	m->new_path = new_path;
	m->tmp = m->new = -1;
	pthread_mutex_init(&m->lock, NULL);
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

/* --- one file ------------------------------------------------------------ */

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

/* Nothing of the message is left (mailbox-6); errno stays. */
static void
undo(struct storing *s, const struct maildir *m)
{
	int	saved = errno;

	if (s->fd != -1)
		close(s->fd);
	s->fd = -1;
	(void)unlinkat(s->is_there ? m->new : m->tmp, s->name, 0);
	s->is_synced = s->is_there = false;
	errno = saved;
}

/* A step of this message has failed. */
static void
fail(struct storing *s, const struct maildir *m, const char *step)
{
	undo(s, m);
	storing_failed(s, step, m->path, errno);
}

/* Head and message into a new file in tmp/, which stays open: 0, or -1 and
 * errno, and it is settled unless tmp/ has gone. */
static int
write_file(struct storing *s, const struct maildir *m, struct copy *c)
{
	const struct store	*what = s->what;

	make_name(s->name, s);
	s->fd = openat(m->tmp, s->name, O_WRONLY | O_CREAT | O_EXCL |
	    O_NOFOLLOW | O_CLOEXEC, 0600);
	if (s->fd == -1) {
		if (errno != ENOENT)
			storing_failed(s, "create a file in", m->path, errno);
		return -1;
	}
	copy_open(c, what->message, what->content_offset,
	    what->content_length, s->fd);
	if (copy_text(c, what->head) != -1 && copy_message(c) != -1 &&
	    copy_flush(c) != -1)
		return 0;
	fail(s, m, "write a file in");
	return -1;
}

/* Sync and close it. */
static int
sync_file(struct storing *s)
{
	int	fd = s->fd;

	if (fs_sync(fd) == -1)
		return -1;
	s->fd = -1;
	s->is_synced = close(fd) == 0;
	return s->is_synced ? 0 : -1;
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

/* --- a batch ------------------------------------------------------------- */

/* Settle those that are not to be written; how many are left? */
static unsigned
choose(struct batch *b)
{
	struct storing		*s;
	const struct storing	*clear = NULL;
	unsigned		 left = 0;

	TAILQ_FOREACH(s, &b->all, next) {
		s->fd = -1;
		s->is_synced = s->is_there = false;
		if (storing_is_forwarded(s, &clear))
			continue;
		if (is_too_large(s))
			storing_is(s, OUTCOME_BOUNCED, "5.2.3", "message is "
			    "larger than the mailbox's limit of %lld bytes",
			    (long long)s->what->size_limit);
		else
			left++;
	}
	return left;
}

/* None of them can be written. */
static void
fail_all(struct batch *b, const char *step, const char *path, int error)
{
	struct storing	*s;

	TAILQ_FOREACH(s, &b->all, next)
		if (!s->is_settled)
			storing_failed(s, step, path, error);
}

/* Write them all. The disk begins with the first ones meanwhile. */
static void
write_all(struct batch *b, const struct maildir *m)
{
	struct storing	*s;

	TAILQ_FOREACH(s, &b->all, next)
		if (!s->is_settled && write_file(s, m, &b->copy) == 0 &&
		    b->count > 1)
			(void)sync_file_range(s->fd, 0, 0,
			    SYNC_FILE_RANGE_WRITE);
}

/* Sync them all, then make them visible (mailbox-5): how many are in new/? */
static unsigned
move_all(struct batch *b, const struct maildir *m)
{
	struct storing	*s;
	int64_t		 began = clock_now();
	unsigned	 count = 0;

	TAILQ_FOREACH(s, &b->all, next)
		if (s->fd != -1 && sync_file(s) == -1)
			fail(s, m, "write a file in");
	b->sync_time = clock_now() - began;
	TAILQ_FOREACH(s, &b->all, next) {
		if (!s->is_synced)
			continue;
		s->is_there = publish(m, s->name) == 0;
		if (s->is_there)
			count++;
		else
			fail(s, m, "move a file to new in");
	}
	return count;
}

/* Sync new/ for the names that have just come there, unless somebody's sync
 * has begun since then (mailbox-4, P1). */
static int
sync_new(struct maildir *m, unsigned count)
{
	uint64_t	mine, there;
	int		result;

	mine = __atomic_add_fetch(&m->moved, count, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&m->lock);
	if (m->synced < mine && m->error == 0) {
		there = __atomic_load_n(&m->moved, __ATOMIC_SEQ_CST);
		if (fs_sync(m->new) == 0)
			m->synced = there;
		else
			m->error = errno;
	}
	result = m->synced >= mine ? 0 : -1;
	errno = m->error;
	pthread_mutex_unlock(&m->lock);
	return result;
}

/* Those that are in new/ are sent, or taken back. */
static void
settle_all(struct batch *b, struct maildir *m, unsigned count)
{
	struct storing	*s;
	int		 error = 0;

	if (count > 0 && sync_new(m, count) == -1)
		error = errno;
	TAILQ_FOREACH(s, &b->all, next) {
		if (!s->is_there)
			continue;
		errno = error;
		if (error == 0)
			storing_is(s, OUTCOME_SENT, "2.0.0",
			    "delivered to maildir");
		else
			fail(s, m, "sync the directory new in");
	}
}

/* Is it one that others may rely on? */
static bool
went_well(const struct batch *b)
{
	const struct storing	*s;

	TAILQ_FOREACH(s, &b->all, next)
		if (!s->is_settled || s->outcome == OUTCOME_DEFERRED)
			return false;
	return true;
}

/* Is new/ still the one that was opened? */
static bool
is_in_place(const struct maildir *m)
{
	struct stat	st;

	return lstat(m->new_path, &st) == 0 && st.st_ino == m->inode &&
	    st.st_dev == m->device;
}

/* Thread work: put the messages into the Maildir, which is opened for them
 * unless it is open. */
int
maildir_put(void *arg)
{
	struct batch	*b = arg;
	struct maildir	*m = b->mailbox;
	bool		 is_shared = m->new != -1;

	if (choose(b) == 0)
		return 0;
	if (is_shared && !is_in_place(m))
		return -1;
	if (!is_shared && open_directories(TAILQ_FIRST(&b->all), m) == -1) {
		fail_all(b, "open", m->path, errno);
		return -1;
	}
	write_all(b, m);
	settle_all(b, m, move_all(b, m));
	if (!is_shared)
		fail_all(b, "create a file in", m->path, ENOENT);
	return went_well(b) ? 0 : -1;
}
