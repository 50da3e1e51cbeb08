#ifndef QMGR_LISTING_H
#define QMGR_LISTING_H

#include <stddef.h>

#include "common/queue/queue.h"

/*
 * The names of all messages in some directories, by age (an id begins with
 * its time), each once. Nothing but names and modes is looked at: 36 bytes
 * for each in memory. Touches nothing else: a thread may do it.
 */
struct listed {
	char		 id[QUEUE_ID_MAX + 1];
	unsigned char	 dir;
};

struct listing {
	unsigned	 which;		/* bits 1 << enum queue_dir */
	struct listed	*rows;
	size_t		 count, room;
};

/* Look through the directories of ->which. 0, or -1 with errno: what was read
 * until then is there. */
int		 listing_read(struct listing *);
void		 listing_free(struct listing *);

/* The message of that id, or NULL. */
struct listed	*listing_find(const struct listing *, const char *id);

/* All that are complete messages. */
enum { LISTING_QUEUES = 1u << QUEUE_INCOMING | 1u << QUEUE_DEFERRED |
    1u << QUEUE_HOLD };

#endif
