/*
 * mbox.c - messages at the end of an mbox file.
 *
 * Called by mboxes.c on a thread, with the rights of the recipient; one thread
 * at a time for each file. Messages that come together share the locks and the
 * sync. The format is the old one: "From SENDER DATE", the head and the body
 * with LF, lines that begin with "From " quoted by ">", an empty line at the
 * end. Readers are kept off by locks (mbox_lock.c): by default one of fcntl(2),
 * then FILE.lock (Debian policy 11.6).
 *
 * mailbox-1  "sent" is said only after fsync and close of the file returned 0,
 *            each at the first try. The directory of a file that is new or
 *            empty is synced before anything is written to it.
 * mailbox-2  After any failure the file is as long as before, still under the
 *            locks: of several messages, as before the one that failed. After a
 *            kill the next message begins on a line of its own.
 * P1  No line of a message can be taken for the beginning of another one.
 * P2  Only a regular file with one name, which belongs to the recipient, and
 *     which the path still names under the locks, is written to. A file that
 *     an alias names may be somebody else's, but no program. /dev/null takes
 *     everything.
 */
#include "local/mbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fs.h"

enum { BLOCK = 512, NULS = 64 * 1024 * 1024 };

/* --- opening ------------------------------------------------------------- */

/* Open the file, or make it. */
static enum attempt
open_file(struct storing *s, struct mbox *m)
{
	const int	how = O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK |
			    O_NOCTTY | O_CLOEXEC;

	m->fd = open(m->path, how);
	if (m->fd == -1 && errno == ENOENT) {
		storing_raise(s);
		m->fd = open(m->path, how | O_CREAT | O_EXCL, 0600);
		storing_lower(s);
		if (m->fd == -1 && errno == EEXIST) {
			m->obstacle = "it comes and goes";
			return ATTEMPT_BUSY;
		}
	}
	if (m->fd != -1)
		return ATTEMPT_DONE;
	if (errno == ELOOP)
		storing_is(s, OUTCOME_DEFERRED, "4.2.0",
		    "mailbox %s is a symbolic link", m->path);
	else
		storing_failed(s, "open mailbox", m->path, errno);
	return ATTEMPT_FAILED;
}

/* Is it a file that we write to (P2)? */
static enum attempt
check_file(struct storing *s, struct mbox *m)
{
	const int64_t	flags = s->what->flags;
	struct stat	st, named;
	const char	*wrong = NULL;

	if (fstat(m->fd, &st) == -1) {
		storing_failed(s, "stat mailbox", m->path, errno);
		return ATTEMPT_FAILED;
	}
	if (!S_ISREG(st.st_mode))
		wrong = "is not a regular file";
	else if (st.st_nlink > 1)
		wrong = "has more than one name";
	else if (st.st_uid != geteuid() &&
	    !(flags & (STORE_ANY_OWNER | STORE_TO_FILE)))
		wrong = "does not belong to the recipient";
	else if ((flags & STORE_TO_FILE) &&
	    (st.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)))
		wrong = "is a program";
	if (wrong != NULL) {
		storing_is(s, OUTCOME_DEFERRED, "4.2.0", "mailbox %s %s",
		    m->path, wrong);
		return ATTEMPT_FAILED;
	}
	if (lstat(m->path, &named) == -1 || named.st_ino != st.st_ino ||
	    named.st_dev != st.st_dev) {
		m->obstacle = "it is being replaced";
		return ATTEMPT_BUSY;
	}
	m->size = st.st_size;
	return ATTEMPT_DONE;
}

/* Unlock and close; -1 when the kernel says that something was not written. */
static int
mbox_close(struct storing *s, struct mbox *m)
{
	int	result;

	mbox_unlock(s, m);
	result = m->fd != -1 ? close(m->fd) : 0;
	m->fd = -1;
	return result;
}

/* Open, lock and look, once; not before all locks, since some programs know
 * only one of them. What is not done is undone. */
static enum attempt
try_open(struct storing *s, struct mbox *m)
{
	enum attempt	result;

	if ((result = open_file(s, m)) == ATTEMPT_DONE &&
	    (result = mbox_lock(s, m)) == ATTEMPT_DONE)
		result = check_file(s, m);
	if (result != ATTEMPT_DONE)
		(void)mbox_close(s, m);
	return result;
}

/* --- writing ------------------------------------------------------------- */

/* Where the NULs begin that the file ends with, if it does. */
static int64_t
end_of_text(const struct mbox *m)
{
	char	block[BLOCK];
	int64_t	end = m->size, len;

	while (end > 0 && m->size - end < NULS) {
		len = end < BLOCK ? end : BLOCK;
		if (fs_pread(m->fd, block, (size_t)len, end - len) != len)
			return m->size;
		while (len > 0 && block[len - 1] == '\0') {
			len--;
			end--;
		}
		if (len > 0)
			break;
	}
	return end;
}

/* A power cut may leave the size that the file was to have without the content
 * (mailbox-2). Readers think nothing of a mailbox that begins with NULs. Files
 * that aliases name may be anything. */
static void
drop_nuls(const struct storing *s, struct mbox *m)
{
	int64_t	end = m->size;

	if ((s->what->flags & STORE_TO_FILE) == 0)
		end = end_of_text(m);
	if (end < m->size && ftruncate(m->fd, end) == 0)
		m->size = end;
}

/* The line ends that are missing at the end of what is there (mailbox-2). */
static const char *
missing_line_ends(const struct mbox *m)
{
	char	end[2];
	ssize_t	n;

	if (m->size == 0)
		return "";
	n = fs_pread(m->fd, end, 2, m->size > 1 ? m->size - 2 : 0);
	if (n < 1 || end[n - 1] != '\n')
		return "\n\n";
	return n == 2 && end[0] != '\n' ? "\n" : "";
}

/* From line, head, message, empty line. */
static int
append(struct storing *s, const struct mbox *m, struct copy *c)
{
	const struct store	*what = s->what;
	const char		*ends = missing_line_ends(m);

	copy_open(c, what->message, what->content_offset,
	    what->content_length, m->fd);
	c->quotes_from = true;
	s->position = m->size + (int64_t)strlen(ends);
	return copy_text(c, ends) == -1 ||
	    copy_text(c, what->from_line) == -1 || copy_text(c, "\n") == -1 ||
	    copy_text(c, what->head) == -1 || copy_message(c) == -1 ||
	    copy_text(c, "\n") == -1 || copy_flush(c) == -1 ? -1 : 0;
}

/* Make the file what it was (mailbox-2); errno stays. */
static void
cut_back(struct storing *s, struct mbox *m)
{
	int	saved = errno;

	if (ftruncate(m->fd, m->size) == -1) {
		m->is_torn = true;
		snprintf(s->note, sizeof(s->note), "mailbox %s has part of a "
		    "message at byte %lld, which cannot be removed: %s",
		    m->path, (long long)m->size, strerrordesc_np(errno));
	}
	errno = saved;
}

/* Would it pass the limit? */
static bool
is_full(const struct storing *s, const struct mbox *m)
{
	const struct store	*what = s->what;

	return what->size_limit > 0 &&
	    what->content_length + (int64_t)strlen(what->head) >
	    what->size_limit - m->size;
}

/* Append a message to the open mailbox, or leave it as it was. Behind part of
 * a message nothing is written by who knows where it begins. */
static void
add(struct storing *s, struct mbox *m, struct copy *c)
{
	if (is_full(s, m)) {
		storing_is(s, OUTCOME_BOUNCED, "5.2.2", "mailbox full: the "
		    "message would take %s beyond %lld bytes", m->path,
		    (long long)s->what->size_limit);
		return;
	}
	errno = EIO;
	if (m->is_torn || append(s, m, c) == -1) {
		if (!m->is_torn)
			cut_back(s, m);
		storing_failed(s, "write to mailbox", m->path, errno);
		return;
	}
	m->size += c->written;
	s->is_appended = true;
}

/* Something has failed that concerns these: those that were appended, or all
 * that are not settled. */
static void
fail(struct batch *b, bool appended, const char *done, const char *path,
    int error)
{
	struct storing	*s;

	TAILQ_FOREACH(s, &b->all, next)
		if (!s->is_settled && s->is_appended == appended)
			storing_failed(s, done, path, error);
}

/* Append them all. First of all the name of an empty file: were we killed
 * behind our part of a message, who comes next would not see that the name may
 * still be new. -1 when none of them may stay. */
static int
add_all(struct batch *b, struct mbox *m)
{
	struct storing	*s;
	int64_t		 before;
	int		 error;

	drop_nuls(TAILQ_FIRST(&b->all), m);
	before = m->size;
	if (m->size == 0 && storing_sync_parent(m->path) == -1) {
		fail(b, false, "write to mailbox", m->path, errno);
		return -1;
	}
	TAILQ_FOREACH(s, &b->all, next)
		if (!s->is_settled)
			add(s, m, &b->copy);
	if (m->size == before || fs_sync(m->fd) == 0)
		return 0;
	error = errno;
	m->size = before;
	cut_back(TAILQ_FIRST(&b->all), m);
	fail(b, true, "write to mailbox", m->path, error);
	return -1;
}

/* --- a batch ------------------------------------------------------------- */

/* Settle those that are not to be written: the first of the others, or NULL. */
static struct storing *
choose(struct batch *b)
{
	struct storing		*s, *first = NULL;
	const struct storing	*clear = NULL;

	TAILQ_FOREACH(s, &b->all, next) {
		s->is_appended = false;
		if (s->is_settled || storing_is_forwarded(s, &clear))
			continue;
		if ((s->what->flags & STORE_TO_FILE) &&
		    strcmp(s->what->path, "/dev/null") == 0)
			storing_is(s, OUTCOME_SENT, "2.0.0",
			    "delivered to nothing");
		else if (first == NULL)
			first = s;
	}
	return first;
}

/* What is wrong with the mailbox for one is wrong for all. */
static void
settle_like(struct batch *b, const struct storing *first)
{
	struct storing	*s;

	TAILQ_FOREACH(s, &b->all, next)
		if (!s->is_settled)
			storing_is(s, first->outcome, first->dsn, "%s",
			    first->text);
}

/* Thread work: put the messages into the mbox file. */
int
mbox_put(void *arg)
{
	struct batch	*b = arg;
	struct mbox	*m = b->mailbox;
	struct storing	*first = choose(b), *s;
	enum attempt	 opened;

	if (first == NULL)
		return 0;
	m->is_torn = false;
	if ((opened = try_open(first, m)) == ATTEMPT_BUSY)
		return MBOX_IS_LOCKED;
	if (opened == ATTEMPT_FAILED) {
		settle_like(b, first);
		return 0;
	}
	(void)add_all(b, m);
	if (mbox_close(first, m) == -1)
		fail(b, true, "close mailbox", m->path, errno);
	TAILQ_FOREACH(s, &b->all, next)
		if (!s->is_settled)
			storing_is(s, OUTCOME_SENT, "2.0.0",
			    "delivered to mailbox");
	return 0;
}
