#ifndef IPC_BATCH_H
#define IPC_BATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/mem.h"
#include "common/fiber/fiber.h"
#include "common/ipc/packets.h"

/*
 * Fields and lines of a message that tables are asked about, many of them in
 * one question. What goes in comes out in its order: passed on, or as a hit.
 */
struct batch;

/* Of an item: no table is asked for it. */
enum { BATCH_NO_TABLE = -1 };

/* Kind and class are its owner's, as is the number of the table. */
struct batch_item {
	int		 kind, class;
	int		 table;
	bool		 has_end;	/* CRLF, no part of the key */
	const char	*text;		/* given out: good until the return */
	size_t		 len;
};

/* Its owner. None of these adds to the batch. */
struct batch_events {
	/* Nothing more passes. */
	bool		 (*is_over)(void *);
	/* Is this table to be asked, now? */
	bool		 (*is_wanted)(void *, int table);
	/* As lookup_ask(): the first of the keys that hits. */
	WAITS void	 (*ask)(void *, struct pool *, int table,
			    struct key_row *, size_t, struct found *);
	/* As it is. */
	WAITS void	 (*pass)(void *, const struct batch_item *);
	/* What the table says of it; the pool lasts until the return. */
	WAITS void	 (*hit)(void *, struct pool *,
			    const struct batch_item *, const char *value);
	/* The table does not answer: is_over() from now on. */
	void		 (*failed)(void *, int table, const char *why);
};

/* An empty one. text_max: bytes that a single item may have, and 64 KiB. */
struct batch	*batch_new(struct pool *, size_t text_max,
		    const struct batch_events *, void *context);

/* One more; adds_end: CRLF behind its text, which has_end tells of too. It is
 * passed on at once when nothing in front of it waits for an answer. */
WAITS void	 batch_add(struct batch *, const struct batch_item *,
		    bool adds_end);

/* All that waits for an answer goes on. */
WAITS void	 batch_settle(struct batch *);

#endif
