/*
 * maildirs.c - many messages for one Maildir: one opening, and few batches.
 *
 * Called by mailbox.c on the fiber of each message. Threads write the files
 * (maildir.c), those of a batch (batch.c) by one thread, several batches side
 * by side. A quick disk leaves the processors to be spared, so few threads do
 * much each; where a sync takes long, many wait for the disk at the same time,
 * which does then for all what it would do for one.
 *
 * P1  Each message goes where the path leads when it comes: a Maildir that is
 *     open is looked at again, and opened anew when it has been moved away.
 * P2  What has failed for one message is not used by those that come later.
 */
#include "local/maildir.h"

#include <string.h>

#include "common/fiber/offload.h"

enum {
	IDLE_MAX = 16,			/* open for nobody */
	SYNC_TIME = 1			/* of a quick disk, in milliseconds */
};

/* How many batches at a time, of how many messages: twenty are what qmgr sends
 * to one recipient at once. */
static const struct {
	unsigned	places, most;
}	if_quick = { 4, 5 }, if_slow = { 10, 2 };

TAILQ_HEAD(maildirs, maildir);

/* The most recently used first. */
static struct maildirs	maildirs = TAILQ_HEAD_INITIALIZER(maildirs);
static unsigned		idle;

/* --- openings ------------------------------------------------------------ */

/* One that is to be used by another message, too (P2): it is open, or will
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

/* One that the first messages open. Who comes meanwhile waits: directories that
 * are being made are not synced yet (mailbox-7 of maildir.c). */
static struct maildir *
new_maildir(const char *path)
{
	struct pool	*pool = pool_new("maildir", 0);
	struct maildir	*m = pool_alloc(pool, sizeof(*m));

	maildir_init(m, pool_strdup(pool, path), pool_printf(pool, "%s/new",
	    path));
	m->pool = pool;
	m->is_opening = true;
	line_init(&m->line, 1, if_quick.most);
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

/* As quick as the disk was this time. */
static void
adapt(struct line *l, const struct batch *b)
{
	bool	is_quick = b->sync_time <= SYNC_TIME * (int64_t)b->count;

	l->places = is_quick ? if_quick.places : if_slow.places;
	l->most = is_quick ? if_quick.most : if_slow.most;
}

/* Put them there, and open the Maildir for them if nobody has. They take
 * another when this one is none that they should use (P1, P2). */
WAITS static void
put(struct batch *b)
{
	struct maildir	*m = b->mailbox;

	if (!m->is_good && !m->is_opening)
		return;
	if (offload(maildir_put, b) == -1 || m->new == -1)
		m->is_good = false;
	else if (m->is_opening)
		m->is_good = true;
	m->is_opening = false;
	adapt(&m->line, b);
}

/* Put the message into the Maildir. */
void
maildirs_store(struct storing *s)
{
	struct maildir	*m;

	while (!s->is_settled) {
		m = take(s->what->path);
		line_pass(&m->line, s, put, m);
		give(m);
	}
}
