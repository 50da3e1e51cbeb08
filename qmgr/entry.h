#ifndef QMGR_ENTRY_H
#define QMGR_ENTRY_H

#include <stdbool.h>

#include "common/base/mem.h"
#include "common/ipc/packets.h"
#include "common/queue/queue.h"

/*
 * A message that nobody has open, as administrators see and change it. Used
 * by qmgr and by the queue command.
 */

/*
 * What the file says, with the recipients that still wait, all of them in one
 * struct; ->queue is the directory's name. Everything is in the pool, and
 * nothing else is touched, so that a thread may do it. NULL: there is nothing
 * to show; *why is told if the file cannot be understood, else NULL.
 */
struct queue_entry *entry_load(struct pool *, enum queue_dir, const char *id,
		    const char **why);

/* It is loaded soon: the disk brings what that needs while other files are
 * read. Of those that are expected together it brings many at a time. */
void		 entry_expect(enum queue_dir, const char *id);

/* Does any recipient that waits go to this domain? */
bool		 entry_goes_to(const struct queue_entry *, const char *domain);

/* Which directory has it, complete and not in its writer's hands? corrupt/ is
 * looked at last. */
bool		 entry_find(const char *id, enum queue_dir *);

/* What can be done to a message. */
enum change {
	CHANGE_NONE,		/* no such verb */
	CHANGE_HOLD, CHANGE_RELEASE, CHANGE_REQUEUE, CHANGE_DELETE,
	CHANGE_EXPIRE,		/* return it at the next attempt */
	CHANGE_EXPIRE_NOW,	/* and that is now, unless it is held */
	CHANGE_EXPIRE_RELEASE	/* even if it is held */
};

/* "hold" "release" "requeue" "delete" "expire" "expire-now" "expire-release" */
enum change	 change_of(const char *verb);

/*
 * Do it. What was done: bits of enum changed; 0 there is nothing to do, -1 with
 * errno. *dir is where it is afterwards, *is_due whether it was made due. Logs.
 */
enum changed {
	CHANGED = 1,		/* as was wanted */
	CHANGED_FREE = 2	/* and, or only, released on the way */
};
int		 entry_change(enum change, const char *id, enum queue_dir *dir,
		    bool *is_due);

/* The lines in the log for what was done. */
void		 entry_log(enum change, int changed, const char *id);
/* The words for it, "expired" and "released from hold": how many, at most 2. */
size_t		 entry_words(enum change, int changed, const char *words[2]);

#endif
