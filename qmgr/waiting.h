#ifndef QMGR_WAITING_H
#define QMGR_WAITING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/queue/queue.h"

/*
 * The messages that are known and not open: id, directory, and when each is
 * due (monotonic milliseconds). About sixty bytes for each; every call is
 * O(log n) at most, but for waiting_all_due(), which is O(n) and quick.
 */

/* False when the id is there already (nothing changes). */
bool		 waiting_add(const char *id, enum queue_dir, int64_t due);
bool		 waiting_has(const char *id);
/* False when it was not there. */
bool		 waiting_remove(const char *id);
bool		 waiting_set_due(const char *id, int64_t due);
/* No message is due later than this. */
void		 waiting_all_due(int64_t due);

/* When the first one is due; NEVER when there is none. */
int64_t		 waiting_first_due(void);
/* Take the first one out if it is due. */
bool		 waiting_take(int64_t now, char id[QUEUE_ID_MAX + 1],
		    enum queue_dir *);
size_t		 waiting_count(void);

#endif
