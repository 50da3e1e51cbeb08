#ifndef QMGR_HELD_LOG_H
#define QMGR_HELD_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/fiber/fiber.h"
#include "common/queue/wal.h"

/* A write-ahead log that qmgr knows. They live as long as the process. */
struct held_log {
	struct wal	 wal;
	size_t		 live;		/* messages that have no mark yet */
	int64_t		 seen_end;	/* as far as the last look went */
	int64_t		 closed_at;	/* seen to be sealed or left; or 0 */
	bool		 is_looked;	/* looked through since then */
	bool		 is_released, is_dirty;
};

/* The log with this number in this generation; NULL, logged, if it cannot be
 * opened or is another one now. */
struct held_log	*held_log_find(unsigned number, uint64_t generation);
/* One after the other; NULL: the first. */
struct held_log	*held_log_next(struct held_log *);
/* Look for those that are not known yet, and for new generations. */
void		 held_log_open_all(void);
/* Is it closed, and long enough for the last packets? */
bool		 held_log_is_closed(struct held_log *);
/* Nothing in it is open. */
void		 held_log_release(struct held_log *);

/* Its records without a mark, in their order; to be freed. */
WAITS struct wal_record *held_log_read(const struct held_log *, size_t *count);
/* Was another one written after this one's write had succeeded? */
WAITS bool	 held_log_was_whole(const struct held_log *,
		    const struct wal_record *);

#endif
