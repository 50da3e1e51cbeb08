#ifndef QMGR_ENTRY_H
#define QMGR_ENTRY_H

#include <stdbool.h>

#include "common/ipc/packets.h"
#include "common/queue/queue.h"

/*
 * A message that nobody has open, as administrators see and change it. Used
 * by qmgr and, while qmgr is down, by the queue command itself.
 */

/*
 * Show it: one struct queue_entry, or several when it has many recipients,
 * each with the same head. `queue` is the word for where it is. False when
 * `give` said so; a file that is gone or not complete is not shown.
 */
bool		 entry_show(enum queue_dir, const char *id, const char *queue,
		    bool (*give)(void *, const struct queue_entry *),
		    void *context);

/* Which directory has it, complete and not in its writer's hands? */
bool		 entry_find(const char *id, enum queue_dir *);

/*
 * Do what the verb says ("hold" "release" "requeue" "delete"); *to is where it
 * is afterwards. 1 done, 0 there is nothing to do, -1 with errno. Logs.
 */
int		 entry_change(const char *verb, const char *id,
		    enum queue_dir from, enum queue_dir *to);

/* Is this a verb for entry_change()? */
bool		 entry_is_change(const char *verb);

/* Does any recipient that waits go to this domain? */
bool		 entry_goes_to(enum queue_dir, const char *id,
		    const char *domain);

#endif
