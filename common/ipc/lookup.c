/*
 * lookup.c - questions to resolve about tables.
 */
#include "common/ipc/lookup.h"

#include <errno.h>
#include <string.h>

/* Ask; an answer about a key that was not asked for is none. */
static WAITS int
ask(struct link *resolve, const struct ask_lookup *question,
    int64_t deadline, struct pool *pool, struct found *found)
{
	if (link_ask(resolve, PACKET_ASK_LOOKUP, question, PACKET_FOUND,
	    found, pool, deadline, true) == -1)
		return -1;
	if (found->result != LOOKUP_FOUND ||
	    (size_t)found->which < question->count)
		return 0;
	errno = EPROTO;
	return -1;
}

/* Whoever looks at the result only is told to wait. */
int
lookup_ask(struct link *resolve, const struct ask_lookup *question,
    int64_t deadline, struct pool *pool, struct found *found)
{
	int	error;

	memset(found, 0, sizeof(*found));
	if (ask(resolve, question, deadline, pool, found) == 0)
		return 0;
	error = errno;
	found->result = LOOKUP_TEMPORARY;
	found->text = pool_printf(pool, "no answer from resolve: %s",
	    strerror(error));
	errno = error;
	return -1;
}
