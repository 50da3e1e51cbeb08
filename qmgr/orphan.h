#ifndef QMGR_ORPHAN_H
#define QMGR_ORPHAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/fiber/fiber.h"
#include "qmgr/held_log.h"

/* Messages that are known by their record in a log only. */

/* One that is to get a file. */
void		 orphan_add(struct held_log *, const struct wal_record *);
/* One that has its file, and whose mark could not be written. */
void		 orphan_add_marking(struct held_log *, const char *id,
		    int64_t at);
bool		 orphan_has(const char *id);
/* If there is a file, may it be replaced by another one? */
bool		 orphan_gets_file(const char *id);
size_t		 orphan_count(void);

/* Does one wait for its turn? Then: give it a file; false: not now. */
bool		 orphan_is_waiting(void);
WAITS bool	 orphan_file_next(void);
/* Will one that came before then get its file at once? */
bool		 orphan_is_due(int64_t since);

#endif
