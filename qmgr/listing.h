#ifndef QMGR_LISTING_H
#define QMGR_LISTING_H

#include <stddef.h>

#include "common/queue/queue.h"

/*
 * The names of all messages in some directories, each once, in portions of
 * some thousand; the messages of a portion come by age (an id begins with its
 * time). A queue that is not very long is one portion. Nothing but names is
 * looked at, and in incoming/ modes: 28 bytes for each of a portion in memory,
 * and up to 32 for each of those before. Touches nothing else: a thread may do
 * it.
 */
struct listed {
	char		 id[QUEUE_ID_MAX + 1];
	unsigned char	 dir;
};

/* Begin with zeros, but for ->which. */
struct listing {
	unsigned		 which;		/* bits 1 << enum queue_dir */
	struct listed		*rows;
	size_t			 count, room;
	/* How far it has come. */
	struct queue_walk	*walk;
	int			 dir, error;
	uint64_t		*seen;		/* hashes; 0: a free place */
	size_t			 seen_count, seen_room;
};

/* The next portion. 1: ->rows are it; 0: there is none left; -1 with errno:
 * the same, and some of a directory could not be read. */
int		 listing_read(struct listing *);
void		 listing_free(struct listing *);

/* The message of that id in this portion, or NULL. */
struct listed	*listing_find(const struct listing *, const char *id);

/* All that are complete messages. */
enum { LISTING_QUEUES = 1u << QUEUE_INCOMING | 1u << QUEUE_DEFERRED |
    1u << QUEUE_HOLD };

#endif
