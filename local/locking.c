/*
 * locking.c - how mbox files are locked, as main.cf says.
 *
 * Called by main.c at the start and by deposit.c for each mailbox. The service
 * virtual has a setting of its own. A setting that means nothing makes mail
 * wait, because a mailbox that nobody locks is soon a broken one.
 */
#include "local/locking.h"

#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/daemon/daemon.h"

static struct {
	char	*local, *virtual;
	int64_t	 attempts, delay, stale;
} set;

const struct param	locking_params[] = {
	PARAM_STRING("mailbox_delivery_lock", set.local, "fcntl, dotlock", 1,
	    64, "How mbox files are locked: fcntl, flock, dotlock, all of "
	    "those that are named, in this order."),
	PARAM_STRING("virtual_mailbox_lock", set.virtual, "fcntl, dotlock", 1,
	    64, "How mbox files of virtual are locked; see "
	    "mailbox_delivery_lock."),
	PARAM_INT("deliver_lock_attempts", set.attempts, "20", 1, 100000,
	    "How often a mailbox is tried to be locked, with "
	    "deliver_lock_delay in between; after four minutes at the latest "
	    "the mail waits."),
	PARAM_TIME("deliver_lock_delay", set.delay, "1s", 0, 3600,
	    "How long to wait between two attempts to lock a mailbox. It is "
	    "looked at ten times a second all the while."),
	PARAM_TIME("stale_lock_time", set.stale, "500s", 1, 86400,
	    "A lock file of a mailbox that is older has no owner any more, "
	    "and is removed."),
	PARAM_END
};

static int64_t		 locks;
static const char	*wrong;

/* The methods' names. */
static int64_t
method(const char *name)
{
	static const char *const	names[] = {
		[LOCK_FCNTL] = "fcntl", [LOCK_FLOCK] = "flock",
		[LOCK_DOTLOCK] = "dotlock"
	};
	int64_t				i;

	for (i = LOCK_FCNTL; i <= LOCK_DOTLOCK; i++)
		if (text_equal(names[i], name))
			return i;
	return LOCK_NONE;
}

/* Read the list. */
void
locking_prepare(void)
{
	static struct pool	*pool;
	bool			 is_virtual = strcmp(daemon_command(),
				    "virtual") == 0;
	const char		*name = is_virtual ? "virtual_mailbox_lock" :
				    "mailbox_delivery_lock";
	char			**words;
	size_t			 count, i;

	pool = pool_new("locking", 0);
	words = text_words(pool, is_virtual ? set.virtual : set.local, &count);
	if (count == 0 || count > LOCKS_MAX)
		wrong = pool_printf(pool, "%s: expected one to %d of fcntl, "
		    "flock, dotlock", name, LOCKS_MAX);
	for (i = 0; i < count && wrong == NULL; i++) {
		if (method(words[i]) == LOCK_NONE)
			wrong = pool_printf(pool, "%s: \"%s\" is neither "
			    "fcntl nor flock nor dotlock", name, words[i]);
		locks |= method(words[i]) << (int)i * LOCK_BITS;
	}
	if (wrong != NULL)
		log_warning("%s", wrong);
}

/* Fill it in. */
const char *
locking_fill(struct store *s)
{
	s->locks = locks;
	s->lock_attempts = set.attempts;
	s->lock_delay = set.delay;
	s->stale_time = set.stale;
	return wrong;
}
