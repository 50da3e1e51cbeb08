/*
 * maildirs.c - many messages for one Maildir: one opening, and one sync of
 * new/ for all that have come there.
 *
 * Called by mailbox.c on the fiber of each message. Threads write the files
 * (maildir.c) side by side, so that the file system merges their syncs; then a
 * sync of new/ covers every name that was there when it began, and who comes
 * while it runs waits for the next one.
 *
 * mailbox-4  "sent" is said only after the file was synced, moved from tmp/ to
 *            new/, and a sync of new/ that began after the move returned 0.
 *            With the home on another file system than the queue, the last of
 *            them is what keeps a power cut from losing the message.
 * P1  When a sync of new/ has failed, no message that was not synced before is
 *     "sent" through this opening: a second sync would lie.
 * P2  Each message goes where the path leads when it comes: a Maildir that is
 *     open is looked at again, and opened anew when it has been moved away.
 */
#include "local/maildir.h"

#include <errno.h>
#include <string.h>

#include "common/fiber/offload.h"

enum { IDLE_MAX = 16 };			/* open for nobody */

TAILQ_HEAD(maildirs, maildir);

/* The most recently used first. */
static struct maildirs	maildirs = TAILQ_HEAD_INITIALIZER(maildirs);
static unsigned		idle;

/* --- openings ------------------------------------------------------------ */

/* One that is to be used by another message, too (P1): it is open, or will
 * be. */
static struct maildir *
find(const char *path)
{
	struct maildir	*m;

	TAILQ_FOREACH(m, &maildirs, next)
		if ((m->is_good || m->is_opening) &&
		    strcmp(m->path, path) == 0)
			return m;
	return NULL;
}

/* One that the first message opens. */
static struct maildir *
new_maildir(const char *path)
{
	struct pool	*pool = pool_new("maildir", 0);
	struct maildir	*m = pool_alloc(pool, sizeof(*m));

	m->pool = pool;
	m->path = pool_strdup(pool, path);
	m->new_path = pool_printf(pool, "%s/new", path);
	m->tmp = m->new = -1;
	m->is_opening = true;
	fiber_queue_init(&m->waiting);
	TAILQ_INSERT_HEAD(&maildirs, m, next);
	return m;
}

/* Close it. */
static void
drop(struct maildir *m)
{
	TAILQ_REMOVE(&maildirs, m, next);
	maildir_close(m);
	pool_free(m->pool);
}

/* The one that is open for this path, or a new one. */
static struct maildir *
take(const char *path)
{
	struct maildir	*m = find(path);

	if (m == NULL) {
		m = new_maildir(path);
	} else {
		idle -= m->uses == 0;
		TAILQ_REMOVE(&maildirs, m, next);
		TAILQ_INSERT_HEAD(&maildirs, m, next);
	}
	m->uses++;
	return m;
}

/* Done with it. One of a path stays open, a few in all: the process does not
 * outlive its user's mail by more than seconds. */
static void
give(struct maildir *m)
{
	struct maildir	*last;

	if (--m->uses > 0)
		return;
	if (!m->is_good || find(m->path) != m) {
		drop(m);
		return;
	}
	if (++idle <= IDLE_MAX)
		return;
	TAILQ_FOREACH_REVERSE(last, &maildirs, maildirs, next)
		if (last->uses == 0) {
			idle--;
			drop(last);
			return;
		}
}

/* --- messages ------------------------------------------------------------ */

/* Sync new/, for all that are there when it begins. */
WAITS static void
sync_new(struct maildir *m)
{
	uint64_t	there;

	m->is_syncing = true;
	fiber_yield();		/* whose thread ended with ours comes along */
	there = m->moved;
	if (offload_sync(m->new) == 0) {
		m->synced = there;
	} else {
		m->error = errno;
		m->is_good = false;
	}
	m->is_syncing = false;
	fiber_queue_wake_all(&m->waiting);
}

/* See that new/ is synced with the name that has just been moved there. */
WAITS static int
make_durable(struct maildir *m)
{
	uint64_t	mine = ++m->moved;

	while (m->synced < mine && m->error == 0) {
		if (!m->is_syncing)
			sync_new(m);
		else if (fiber_queue_wait(&m->waiting, NEVER) == -1)
			return -1;
	}
	if (m->synced >= mine)
		return 0;
	errno = m->error;
	return -1;
}

/* Write the message, and open the Maildir for it if nobody has. Who comes
 * meanwhile waits: directories that are being made are not synced yet
 * (mailbox-7 of maildir.c). MAILDIR_MOVED: take another. */
WAITS static int
put(struct storing *s, struct maildir *m)
{
	bool	is_first = m->is_opening && m->uses == 1;
	int	result;

	while (m->is_opening && !is_first)
		if (fiber_queue_wait(&m->waiting, NEVER) == -1) {
			storing_failed(s, "wait for", m->path, errno);
			return -1;
		}
	if (!m->is_good && !is_first)
		return MAILDIR_MOVED;
	result = offload(maildir_put, s);
	if (result != 0 || is_first)
		m->is_good = result == 0;
	if (is_first) {
		m->is_opening = false;
		fiber_queue_wake_all(&m->waiting);
	}
	return result;
}

/* Put the message there and make it durable, or leave nothing of it.
 * MAILDIR_MOVED: not there. */
WAITS static int
store(struct storing *s, struct maildir *m)
{
	int	result = put(s, m);

	if (result != 0)
		return result;
	if (make_durable(m) == 0) {
		storing_is(s, OUTCOME_SENT, "2.0.0", "delivered to maildir");
		return 0;
	}
	storing_failed(s, "sync the directory new in", m->path, errno);
	(void)offload(maildir_undo, s);
	return -1;
}

/* Put the message into the Maildir. */
void
maildirs_store(struct storing *s)
{
	struct maildir	*m;
	int		 result;

	do {
		m = s->maildir = take(s->what->path);
		result = store(s, m);
		give(m);
	} while (result == MAILDIR_MOVED);
}
