#ifndef QMGR_WAITING_H
#define QMGR_WAITING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/queue/queue.h"
#include "qmgr/marks.h"

/*
 * The messages that are known and not open: id, directory, when each is due
 * (monotonic milliseconds), and marks of what it waits for. About a hundred
 * bytes for each; every call is O(log n) at most, but for those that say that
 * they look at all, which takes a few milliseconds for a hundred thousand.
 */

enum waiting_flags {
	WAITING_PARKED = 1,		/* there is no room: evict.c */
	WAITING_FLUSHED = 2,		/* somebody wants it tried */
	WAITING_DEAD = 4,		/* its site does not answer */
	WAITING_MANY = 8		/* it has many recipients */
};

/* False when the id is there already (nothing changes). */
bool		 waiting_add(const char *id, enum queue_dir, int64_t due);
bool		 waiting_has(const char *id);
/* False when it was not there. */
bool		 waiting_remove(const char *id);
/* Somebody wants it tried then. */
bool		 waiting_set_due(const char *id, int64_t due);
/* Somebody wants all of them tried: new mail now, the others between now and
 * now + spread, if they are not due earlier. Looks at all. */
void		 waiting_all_due(int64_t now, int64_t spread);
bool		 waiting_set_marks(const char *id, const struct marks *,
		    unsigned flags);
/* The names that were found in its file, if none are known: who had it open
 * knew more. Its site stays; returns that, or 0. */
uint32_t	 waiting_set_names(const char *id, const struct marks *);

/* When the first one is due; NEVER when there is none. */
int64_t		 waiting_first_due(void);
/* Take the first one out if it is due; new mail and mail that was tried before
 * by turns. */
bool		 waiting_take(int64_t now, char id[QUEUE_ID_MAX + 1],
		    enum queue_dir *);
/* The same, with all that is known of it. */
struct waiting_one {
	char		 id[QUEUE_ID_MAX + 1];
	enum queue_dir	 dir;
	int64_t		 due;
	unsigned	 flags;
	struct marks	 marks;
};
bool		 waiting_take_one(int64_t now, struct waiting_one *);
/* The same, but new mail only. */
bool		 waiting_take_new(int64_t now, struct waiting_one *);
/* The one that was just taken was none for now: it is the next one again. */
void		 waiting_put_back(const struct waiting_one *);
size_t		 waiting_count(void);
size_t		 waiting_count_new(void);	/* of them, in incoming/ */

/* --- by what they wait for; these look at all --------------------------- */

/* Those with one of these names are due now, and flushed. Returns how many;
 * *unknown is the number of those whose names are not known, or too many;
 * sites gets up to FLUSHED_SITES sites that they wait for, then zeros. */
enum { FLUSHED_SITES = 16 };
size_t		 waiting_flush(const uint32_t *hashes, size_t count,
		    int64_t now, size_t *unknown,
		    uint32_t sites[FLUSHED_SITES]);
/* A site by its mark: at most `limit` are wanted, `found` were there. */
struct call {
	uint32_t	 site;
	size_t		 limit, found;
};
/* Bring them into the order that the following two need, each site once;
 * returns how many are left. */
size_t		 waiting_sort(struct call *, size_t count);
/* How many with one of these flags go to one of these sites? */
size_t		 waiting_at_sites(struct call *, size_t count, unsigned flags);
/* Those, as many as are wanted of each, are due between now and now + spread.
 * Returns how many in all. */
size_t		 waiting_pull(struct call *, size_t count, unsigned flags,
		    int64_t now, int64_t spread);
/* The next one whose names are not known or too many, from *cursor (0 first)
 * on; false when there is none left. */
bool		 waiting_next_unknown(uint32_t *cursor,
		    char id[QUEUE_ID_MAX + 1], enum queue_dir *);

#endif
