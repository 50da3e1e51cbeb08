/*
 * cache.c - conversations kept warm between messages.
 *
 * Called by delivery.c. A conversation is found by the next hop it was opened
 * for, the one used last first, so that the surplus grows cold and is closed.
 */

#include "smtp/cache.h"

#include <errno.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "common/base/mem.h"

#include "smtp/settings.h"

const struct param cache_params[] = {
	PARAM_TIME("smtp_connection_cache_time_limit", set.cache_time, "2s", 0,
	    3600, "How long an idle conversation is kept for the next "
	    "message; 0 keeps none."),
	PARAM_TIME("smtp_connection_reuse_time_limit", set.reuse_time, "300s",
	    1, 86400, "How long one conversation may be used in all."),
	PARAM_INT("smtp_connection_reuse_count_limit", set.reuse_count, "0",
	    0, 1000000, "Messages in one conversation; 0 means any number."),
	PARAM_END
};

struct warm {
	struct connection	*connection;
	TAILQ_ENTRY(warm)	 next;
};
static bool	 is_closing;
static TAILQ_HEAD(warms_head, warm) warms =
    TAILQ_HEAD_INITIALIZER(warms);

/* Nothing unread and still open? A host that speaks out of turn has said 421
 * or gone away, or its answers would be one behind ours. */
static bool
is_quiet(const struct connection *c)
{
	const char	*unread;
	char		 byte;

	return io_peek(c->io, &unread) == 0 &&
	    recv(io_fd(c->io), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == -1 &&
	    (errno == EAGAIN || errno == EWOULDBLOCK);
}

/* Take it out of the list. */
static struct connection *
pick(struct warm *w)
{
	struct connection	*c = w->connection;

	TAILQ_REMOVE(&warms, w, next);
	return c;
}

struct connection *
cache_take(const char *key)
{
	struct connection	*c;
	struct warm		*w, *next;

	for (w = TAILQ_FIRST(&warms); w != NULL; w = next) {
		next = TAILQ_NEXT(w, next);
		if (strcmp(w->connection->key, key) != 0)
			continue;
		c = pick(w);
		if (is_quiet(c))
			return c;
		c->is_broken = true;
		connection_close(c);	/* does not wait: nothing is said */
	}
	return NULL;
}

void
cache_give(struct connection *c)
{
	struct warm	*w;

	if (c->is_broken || is_closing || set.cache_time == 0 ||
	    clock_now() - c->born >= set.reuse_time ||
	    (set.reuse_count > 0 && c->uses >= (unsigned)set.reuse_count)) {
		connection_close(c);
		return;
	}
	if (c->slot == NULL)
		c->slot = pool_alloc(c->pool, sizeof(*w));
	w = c->slot;
	w->connection = c;
	c->idle_since = clock_now();
	TAILQ_INSERT_HEAD(&warms, w, next);
}

/* Close those that are cold, the coldest first. */
WAITS static void
close_cold(int64_t older_than)
{
	struct warm	*w;

	while ((w = TAILQ_LAST(&warms, warms_head)) != NULL &&
	    clock_now() - w->connection->idle_since >= older_than)
		connection_close(pick(w));
}

WAITS static void
keep_house(void *unused)
{
	(void)unused;
	while (fiber_sleep(500) == 0)
		close_cold(set.cache_time);
}

void
cache_start(void)
{
	fiber_start(keep_house, NULL);
}

void
cache_close_all(void)
{
	is_closing = true;
	close_cold(0);
}
