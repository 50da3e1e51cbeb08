#ifndef CLEANUP_BATCH_H
#define CLEANUP_BATCH_H

#include "cleanup/transaction.h"

/* Where a message stands that has no file. */
struct wal_place { unsigned number; uint64_t generation; int64_t at; };

extern const struct param batch_params[];

/* Are there to be logs at all? */
bool		 batch_has_logs(void);
/* If not, remove those that are there as soon as they are nobody's. */
void		 unwanted_start(void);

/* Bytes of a message that may stay in memory until its end, since much is
 * coming; 0 when it is not. */
size_t		 batch_limit(void);
/* May this one go into a log, all of which is in its buffer? */
bool		 batch_takes(const struct transaction *);
/* Commit the buffer with others'. 1 it is on stable storage; 0 no log has room
 * for it, and nothing was written: it needs a file; -1 with the error. */
WAITS int	 batch_commit(struct transaction *, struct wal_place *);

#endif
