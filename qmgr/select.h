#ifndef QMGR_SELECT_H
#define QMGR_SELECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/ipc/packets.h"

/*
 * Which messages are meant. Patterns know * (any text) and ? (any character);
 * an address's domain is compared without its case, its local part with it.
 * No I/O, no clock.
 */
struct selection {
	const char	*sender, *recipient;	/* patterns, NULL: any */
	const char	*domain;		/* of a recipient */
	const char	*reason;		/* of a failure, anywhere */
	int64_t		 older, younger;	/* milliseconds, -1: any */
	int64_t		 smallest, largest;	/* bytes, -1: any */
	unsigned	 queues;		/* bits 1 << enum select_queue;
						 * 0: all but corrupt */
	int64_t		 limit;			/* messages, -1: none */
};

enum select_queue { SELECT_INCOMING, SELECT_ACTIVE, SELECT_DEFERRED,
    SELECT_HOLD, SELECT_CORRUPT, SELECT_QUEUES };
enum { SELECT_NO_QUEUE = 1 << 30 };	/* another bit: no message has it */

/* Everything. */
void		 select_init(struct selection *);

/*
 * One option without its dashes ("older") and its value; durations have units
 * (s m h d w), sizes too (k m g) with + for at least, - for at most. NULL, or
 * what was expected. Values are kept, not copied.
 */
const char	*select_option(struct selection *, const char *name,
		    const char *value);
/* Is there an option of this name? */
bool		 select_is_option(const char *name);

/* "deferred": its number, or -1. */
int		 select_queue(const char *name);

/* Must a message's file be read to know whether it is meant? */
bool		 select_needs_file(const struct selection *);
/* Is everything meant? */
bool		 select_is_everything(const struct selection *);

/* Is the queue of this name meant? */
bool		 select_takes_queue(const struct selection *, const char *name);

/* Is it meant? The entry has all its recipients. `limit` is the caller's. */
bool		 select_matches(const struct selection *,
		    const struct queue_entry *, int64_t now_us);

/* Does the text match the pattern? Letters from `fold` on are compared without
 * their case (SIZE_MAX: none). */
bool		 select_glob(const char *pattern, const char *text,
		    size_t fold);

#endif
