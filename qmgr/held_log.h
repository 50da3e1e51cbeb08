#ifndef QMGR_HELD_LOG_H
#define QMGR_HELD_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/fiber/fiber.h"
#include "common/queue/wal.h"

/* A write-ahead log that qmgr knows, as long as it has messages that are here,
 * or a fiber that holds it. */
struct held_log {
	SLIST_ENTRY(held_log) next;	/* held_log.c: used again */
	struct wal	 wal;
	size_t		 live;		/* messages that have no mark yet */
	unsigned	 holds;		/* fibers that wait for its file */
	int64_t		 seen_end;	/* as far as the last look went */
	int64_t		 closed_at;	/* seen to be sealed or left; or 0 */
	bool		 is_looked;	/* looked through since then */
	int64_t		 late_end;	/* in front of it somebody is late whose
					   write may not have ended; or 0 */
	int64_t		 look_again;	/* not before: for them, or since it
					   could not all be read */
	bool		 is_released, is_dirty;
};

/* The log with this number in this generation; NULL if it cannot be opened,
 * which is logged, or is another one now. */
struct held_log	*held_log_find(unsigned number, uint64_t generation);
/* One after the other; NULL: the first. */
struct held_log	*held_log_next(struct held_log *);
/* Look for those that are not known yet, and for new generations. */
void		 held_log_open_all(void);
/* Is it closed, and long enough for the last packets? */
bool		 held_log_is_closed(struct held_log *);
/* Nothing in it is open. */
void		 held_log_release(struct held_log *);

/* Its records without a mark, in their order; to be freed. Not all of them
 * when the disk does not give all. They are those of a moment ago: who was not
 * marked then may be now. Those in front of `proven` are committed; others may
 * be refused yet. */
WAITS struct wal_record *held_log_read(const struct held_log *, size_t *count,
		    bool *is_all, int64_t *proven);
/* Was another one written after this one's write had succeeded? */
WAITS bool	 held_log_was_whole(const struct held_log *,
		    const struct wal_record *);

/* A file in incoming/ with what the record says: its descriptor, or -1 with
 * errno. EBADMSG: it is damaged, and that matters. */
WAITS int	 held_log_copy(const struct held_log *,
		    const struct wal_record *, bool takes_damaged);
/* The same of a copy in memory. */
WAITS int	 held_log_copy_memory(const char *id, int fd, int64_t size);
/* Complete, in this directory, synced and closed: 0; or it is gone, -1. */
WAITS int	 held_log_finish(const char *id, enum queue_dir, int fd);
/* The message at this place needs it no more: 0, or -1, logged. */
int		 held_log_mark(struct held_log *, int64_t at);

#endif
