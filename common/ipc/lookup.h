#ifndef IPC_LOOKUP_H
#define IPC_LOOKUP_H

#include "common/ipc/link.h"
#include "common/ipc/packets.h"

/* Together the keys of one question have at most so many bytes. */
enum { TABLE_ROOM = 48 * 1024 };

/*
 * Ask resolve what a table says of at most KEYS_MAX keys: the first that hits.
 * 0, or -1 with errno when there is no answer that makes sense; found->result
 * is LOOKUP_TEMPORARY then too, with text.
 */
WAITS int	 lookup_ask(struct link *resolve, const struct ask_lookup *,
		    int64_t deadline, struct pool *, struct found *);

#endif
