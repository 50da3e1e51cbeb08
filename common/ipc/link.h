#ifndef IPC_LINK_H
#define IPC_LINK_H

#include "common/ipc/channel.h"

/*
 * A link is how a daemon reaches another one by name: a channel to each of
 * its workers (private/NAME.1, NAME.2, ...), opened when first needed, opened
 * again with a growing pause when lost, left when the worker drains.
 */
struct link;

/* Who we are, for HELLO, and where the sockets are ("" or "private/"). */
void		 link_identity(const char *service, const char *directory);

/*
 * A link to `workers` workers of a service. `peers` may be NULL when nothing
 * but replies comes back. Lives as long as the process.
 */
struct link	*link_new(const char *service, unsigned workers,
		    const struct peer *peers);
/* Called when a channel of this link dies (qmgr: its deliveries are lost). */
void		 link_on_closed(struct link *,
		    void (*)(struct channel *, void *context), void *context);

/* How many workers went away so far: what they said may hold no more. */
uint64_t	 link_partings(struct link *);

/*
 * A channel that can be used now, the least loaded one; with `hint` not 0,
 * always worker hint % workers. NULL: ETIMEDOUT, ECONNREFUSED...
 * It may close at the next wait: hold it to keep the pointer valid.
 */
WAITS struct channel *link_channel(struct link *, unsigned hint,
		    int64_t deadline);

/*
 * Ask one of the workers. With `is_repeatable`, ask again (another worker, a
 * new connection) when the channel breaks, until the deadline.
 * 0, or -1 as channel_ask().
 */
WAITS int	 link_ask(struct link *, unsigned type, const void *object,
		    unsigned reply_type, void *reply, struct pool *,
		    int64_t deadline, bool is_repeatable);

#endif
