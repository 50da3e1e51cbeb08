/*
 * cache.c - conversations kept warm between messages.
 *
 * Called by delivery.c. A conversation is found by the next hop that it was
 * used for, without a question to DNS, or by the host that it is with, so
 * that another domain with the same receivers has it too. The one used last
 * comes first: the surplus grows cold and is closed.
 *
 * C1  A conversation serves only a delivery that would have opened the same:
 *     its endpoint (cache.h) is equal, or it was used for that next hop with
 *     the same protection.
 */

#include "smtp/cache.h"

#include <string.h>
#include <sys/resource.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/ipc/lookup.h"

#include "smtp/delivery.h"
#include "smtp/settings.h"

enum {
	NAMES = 8,		/* next hops of one conversation */
	WARM_MAX = 1000,	/* conversations, or a quarter of what there is
				 * of descriptors; beyond, the coldest goes */
	ASK_TIME = 10 * 1000
};

const struct param cache_params[] = {
	PARAM_BOOL("smtp_connection_cache_on_demand", set.caches_on_demand,
	    "yes", "Keep a conversation for the next message to any site."),
	PARAM_STRING("smtp_connection_cache_destinations",
	    set.cache_destinations, "", 0, 0, "The next hops (domain, host, "
	    "path, /file, type:table) whose conversations are kept if "
	    "smtp_connection_cache_on_demand is no."),
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
	const char		*names[NAMES];	/* next hops */
	size_t			 count;
	TAILQ_ENTRY(warm)	 next;
};
static TAILQ_HEAD(warms_head, warm)	 warms =
    TAILQ_HEAD_INITIALIZER(warms);
static size_t				 warm_count, warm_max = WARM_MAX;
static bool				 is_closing;

/* What must be equal. */
const char *
cache_endpoint(struct pool *pool, const struct target *t,
    const char *protection)
{
	if (t->path != NULL)
		return pool_printf(pool, "%s %s %s", t->host, t->path,
		    protection);
	return pool_printf(pool, "%s %s %u %s %s", t->host, t->text,
	    t->address.port, t->address.family == AF_INET ?
	    set.bind_address : set.bind_address6, protection);
}

/* Without the name in front; no name of a host has a blank. */
const char *
cache_place(const char *endpoint)
{
	return endpoint + strcspn(endpoint, " ");
}

/* Nothing unread and still open? A host that speaks out of turn has said 421
 * or gone away, or its answers would be one behind ours. */
static bool
is_quiet(const struct connection *c)
{
	return !io_has_input(c->io) && !io_is_over(c->io);
}

/* Take it out of the list. */
static struct connection *
pick(struct warm *w)
{
	TAILQ_REMOVE(&warms, w, next);
	warm_count--;
	return w->connection;
}

/* Was it used for this next hop? */
static bool
served(const struct warm *w, const char *nexthop)
{
	size_t	i;

	for (i = 0; i < w->count; i++)
		if (strcmp(w->names[i], nexthop) == 0)
			return true;
	return false;
}

/* C1: for a next hop with a protection, or for an endpoint. */
static bool
serves(const struct warm *w, const char *nexthop, const char *word)
{
	const struct connection	*c = w->connection;

	if (nexthop == NULL)
		return strcmp(c->endpoint, word) == 0;
	return served(w, nexthop) && strcmp(c->protection, word) == 0;
}

/* The first that fits and lives; the dead are closed on the way. */
static struct connection *
take(const char *nexthop, const char *word)
{
	struct connection	*c;
	struct warm		*w, *next;

	for (w = TAILQ_FIRST(&warms); w != NULL; w = next) {
		next = TAILQ_NEXT(w, next);
		if (!serves(w, nexthop, word))
			continue;
		c = pick(w);
		c->is_broken = !is_quiet(c);
		if (!c->is_broken && clock_now() - c->born < set.reuse_time)
			return c;
		connection_close(c);
	}
	return NULL;
}

struct connection *
cache_take_nexthop(const char *nexthop, const char *protection)
{
	return take(nexthop, protection);
}

struct connection *
cache_take_endpoint(const char *endpoint)
{
	return take(NULL, endpoint);
}

/* Does the list have it, as far as we can see? Files and tables are for
 * resolve to ask. */
WAITS static bool
is_listed(struct pool *pool, const char *name)
{
	struct key_row		 key = { (char *)(uintptr_t)name };
	struct ask_lookup	 ask = {
		.service = (char *)(uintptr_t)settings_service(),
		.parameter = (char *)(uintptr_t)settings_name(
		    "smtp_connection_cache_destinations"),
		.how = LOOKUP_DOMAIN, .keys = &key, .count = 1
	};
	struct found		 found;
	char			**words;
	size_t			 i, count;
	bool			 has_tables = false;

	words = text_words(pool, set.cache_destinations, &count);
	for (i = 0; i < count; i++) {
		if (text_equal(words[i], name))
			return true;
		has_tables |= words[i][0] == '/' ||
		    strchr(words[i], ':') != NULL;
	}
	return has_tables && lookup_ask(to_resolve, &ask, clock_now() +
	    ASK_TIME, pool, &found) == 0 && found.result == LOOKUP_FOUND;
}

/* Is a conversation for this next hop kept at all? */
WAITS static bool
is_wanted(const struct connection *c, const struct nexthop *hop)
{
	struct pool	*pool;
	bool		 answer;

	if (c->is_broken || is_closing || set.cache_time == 0 ||
	    !allowance_has_mail(&c->allowance) ||
	    clock_now() - c->born >= set.reuse_time ||
	    (set.reuse_count > 0 && c->uses >= (unsigned)set.reuse_count))
		return false;
	if (set.caches_on_demand || set.cache_destinations[0] == '\0')
		return set.caches_on_demand;
	pool = pool_new("cache", 0);
	answer = is_listed(pool, hop->name);
	pool_free(pool);
	return answer && !is_closing;
}

void
cache_give(struct connection *c, const struct nexthop *hop)
{
	struct warm	*w;

	c->user = NULL;
	if (!is_wanted(c, hop)) {
		connection_close(c);
		return;
	}
	if (c->slot == NULL)
		c->slot = pool_alloc(c->pool, sizeof(*w));
	w = c->slot;
	w->connection = c;
	if (!served(w, hop->text) && w->count < NAMES)
		w->names[w->count++] = pool_strdup(c->pool, hop->text);
	c->idle_since = clock_now();
	TAILQ_INSERT_HEAD(&warms, w, next);
	if (++warm_count > warm_max)
		connection_close(pick(TAILQ_LAST(&warms, warms_head)));
}

/* Close those that are cold, the coldest first. */
static void
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
	struct rlimit	limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
	    limit.rlim_cur / 4 < WARM_MAX)
		warm_max = limit.rlim_cur / 4;
	fiber_start(keep_house, NULL);
}

void
cache_close_all(void)
{
	is_closing = true;
	close_cold(0);
}
