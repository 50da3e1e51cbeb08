/*
 * mboxes.c - many messages for one mbox: one lock and one sync for all that
 * wait.
 *
 * Called by mailbox.c on the fiber of each message. A thread looks whether the
 * mbox can be locked, and appends what there is (mbox.c). While others have
 * locked it no thread waits, but the fiber of the first message; who comes
 * meanwhile comes along.
 *
 * P1  When the locks cannot be had, all that wait for them are told so at the
 *     same time, and none of them waits longer than the first.
 * P2  local has room for so many deliveries, and a mailbox whose locks somebody
 *     keeps takes twenty of them for some seconds only: then all but two are
 *     told to come again.
 */
#include "local/mbox.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/fiber/offload.h"

enum {
	MESSAGES = 50,			/* in a batch */
	STUCK_TIME = 5 * 1000,		/* milliseconds */
	STUCK_MOST = 2
};

static LIST_HEAD(, mbox)	mboxes = LIST_HEAD_INITIALIZER(mboxes);

/* Is this what the message is for, and would it be locked and looked at in
 * the same way? */
static bool
is_for(const struct mbox *m, const struct store *what)
{
	const int64_t	flags = STORE_ANY_OWNER | STORE_TO_FILE;

	return strcmp(m->path, what->path) == 0 &&
	    m->flags == (what->flags & flags) && m->locks == what->locks;
}

/* The one of this message. */
static struct mbox *
take(const struct store *what)
{
	struct mbox	*m;

	LIST_FOREACH(m, &mboxes, next)
		if (is_for(m, what)) {
			m->uses++;
			return m;
		}
	m = mem_alloc(sizeof(*m));
	*m = (struct mbox){ .path = mem_strdup(what->path), .fd = -1,
	    .locks = what->locks, .uses = 1,
	    .flags = what->flags & (STORE_ANY_OWNER | STORE_TO_FILE) };
	line_init(&m->line, 1, MESSAGES);
	LIST_INSERT_HEAD(&mboxes, m, next);
	return m;
}

/* Done with it. */
static void
give(struct mbox *m)
{
	if (--m->uses > 0)
		return;
	LIST_REMOVE(m, next);
	free(m->path);
	free(m);
}

/* Somebody has locked it: let go those that do not want it, and of the others
 * all but so many. */
static void
refuse(struct batch *b, unsigned most)
{
	const struct mbox	*m = b->mailbox;
	struct storing		*s, *before;

	for (s = TAILQ_LAST(&b->all, storings); s != NULL; s = before) {
		before = TAILQ_PREV(s, storings, next);
		if (!s->is_settled && b->count > most)
			storing_is(s, OUTCOME_DEFERRED, "4.2.0",
			    "cannot lock mailbox %s: %s", m->path,
			    m->obstacle);
		if (s->is_settled)
			batch_release(b, s);
	}
}

/* Append what there is as soon as it can be locked. */
WAITS static void
put(struct batch *b)
{
	struct mbox	*m = b->mailbox;
	int64_t		 stuck = clock_now() + STUCK_TIME;
	int		 pause, tries;

	tries = mbox_lock_tries(TAILQ_FIRST(&b->all)->what, &pause);
	while (offload(mbox_put, b) == MBOX_IS_LOCKED) {
		if (--tries <= 0 || fiber_sleep(pause) == -1) {
			refuse(b, 0);
			return;
		}
		batch_fill(b, &m->line);
		refuse(b, clock_now() > stuck ? STUCK_MOST : MESSAGES);
	}
}

/* Append the message to the mbox. */
void
mboxes_store(struct storing *s)
{
	struct mbox	*m = take(s->what);

	line_pass(&m->line, s, put, m);
	give(m);
}
