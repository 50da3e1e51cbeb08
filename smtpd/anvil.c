/*
 * anvil.c - one owner of counts and rates per client, for all smtpd processes.
 *
 * A client is what smtpd calls by one name: an address, or a network.
 *
 * smtpd tells when a client comes and goes; the answer to the coming holds
 * how many connections it has now and how many it made in the current unit
 * of time. Messages and recipients are counted in the same unit. When a smtpd
 * process ends, the connections that it counted are taken back.
 *
 * Entries are found in a tree by service and client, and go when the client
 * has no connection and its unit of time is over.
 *
 * P1  Who is connected is counted, however many clients and smtpd processes
 *     there are: it is they that limit how many entries that makes. Of the
 *     others as many are remembered as there is room for; who was not heard
 *     of for longest is forgotten first, and the log says so.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/tree.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/daemon/daemon.h"
#include "common/ipc/packets.h"
#include "common/param/param.h"

/* A walk over so many entries takes a few milliseconds. */
enum { KEY_MAX = 104, ENTRIES_MAX = 200000, WARN_EVERY = 60000 };

static struct {
	int64_t	 rate_unit, report_interval;
} set;

static const struct param anvil_params[] = {
	PARAM_TIME("anvil_rate_time_unit", set.rate_unit, "60s", 1, 86400,
	    "The unit of time of client rate limits."),
	PARAM_TIME("anvil_status_update_time", set.report_interval, "600s", 1,
	    86400, "How often the greatest counts are logged."),
	PARAM_END
};
static const struct param *const params[] = { anvil_params, NULL };

/* The smtpd processes that tell us, each at its place; NULL where one was. */
static struct channel	**sources;
static size_t		 source_room;

struct client {
	RB_ENTRY(client)	 entry;
	TAILQ_ENTRY(client)	 next;		/* while it is idle */
	bool			 is_idle;
	int64_t			 unit_start;
	int64_t			 connections, rate;
	int64_t			 events[ANVIL_KINDS];
	uint32_t		*by_source;	/* connections, too */
	size_t			 places;	/* of sources */
	char			 key[KEY_MAX];	/* "service:address" */
};
RB_HEAD(clients, client);

static struct clients	 clients = RB_INITIALIZER(&clients);
/* Those without a connection, the one heard of longest ago first. */
static TAILQ_HEAD(, client) idle = TAILQ_HEAD_INITIALIZER(idle);
static size_t		 client_count, greatest_size;

/* The greatest of one kind of counts since the last report. */
struct peak {
	int64_t	 count;
	char	 key[KEY_MAX];
};
static struct peak	 peak_rate, peak_count, peak_events[ANVIL_KINDS];

static int
compare(const struct client *a, const struct client *b)
{
	return strcmp(a->key, b->key);
}
RB_GENERATE_INTERNAL(clients, client, entry, compare,
    __attribute__((unused)) static)

/* Longer by half, at least; new places are zero. */
static void *
longer(void *array, size_t *room, size_t want, size_t size)
{
	size_t	 more = want + want / 2;
	char	*fresh = mem_resize(array, more * size);

	memset(fresh + *room * size, 0, (more - *room) * size);
	*room = more;
	return fresh;
}

/* --- smtpd processes ------------------------------------------------------ */

/* The place of this channel among the sources. */
static size_t
source_of(const struct request *r)
{
	size_t	i, place = source_room;

	for (i = 0; i < source_room; i++) {
		if (sources[i] == r->channel)
			return i;
		if (sources[i] == NULL && place == source_room)
			place = i;
	}
	if (place == source_room)
		sources = longer(sources, &source_room, source_room + 1,
		    sizeof(*sources));
	sources[place] = r->channel;
	return place;
}

/* So many connections more, or less, that this process has told of. */
static void
add(struct client *c, size_t source, int n)
{
	if (source >= c->places)
		c->by_source = longer(c->by_source, &c->places, source + 1,
		    sizeof(*c->by_source));
	c->by_source[source] += (uint32_t)n;
	c->connections += n;
}

/* --- clients -------------------------------------------------------------- */

/* The client was heard of: among the idle ones it is the last. */
static void
touch(struct client *c)
{
	if (c->is_idle)
		TAILQ_REMOVE(&idle, c, next);
	c->is_idle = c->connections == 0;
	if (c->is_idle)
		TAILQ_INSERT_TAIL(&idle, c, next);
}

static bool
is_outdated(const struct client *c)
{
	return clock_now() - c->unit_start >= set.rate_unit;
}

static void
forget(struct client *c)
{
	RB_REMOVE(clients, &clients, c);
	TAILQ_REMOVE(&idle, c, next);
	free(c->by_source);
	free(c);
	client_count--;
}

/* Clients are forgotten too early, which somebody should know. */
static void
tell_full(void)
{
	static int64_t	next_warning;

	if (clock_now() < next_warning)
		return;
	next_warning = clock_now() + WARN_EVERY;
	log_warning("more than %d clients in anvil_rate_time_unit: the rates "
	    "of some are forgotten; with smtpd_client_ipv4_prefix_length and "
	    "smtpd_client_ipv6_prefix_length whole networks are counted",
	    ENTRIES_MAX);
}

/* P1. */
static void
make_room(void)
{
	struct client	*c = TAILQ_FIRST(&idle);

	if (client_count < ENTRIES_MAX || c == NULL)
		return;
	if (!is_outdated(c))
		tell_full();
	forget(c);
}

/* The client's entry, or NULL when it has none. */
static struct client *
find(const char *service, const char *address)
{
	struct client	key;

	snprintf(key.key, sizeof(key.key), "%s:%s", service, address);
	return RB_FIND(clients, &clients, &key);
}

/* The client's entry, made if need be. */
static struct client *
obtain(const char *service, const char *address)
{
	struct client	*c;

	if ((c = find(service, address)) != NULL)
		return c;
	make_room();
	c = mem_alloc(sizeof(*c));
	memset(c, 0, sizeof(*c));
	snprintf(c->key, sizeof(c->key), "%s:%s", service, address);
	c->unit_start = clock_now();
	RB_INSERT(clients, &clients, c);
	if (++client_count > greatest_size)
		greatest_size = client_count;
	touch(c);
	return c;
}

/* Begin a new unit of time if the last one is over. */
static void
age(struct client *c)
{
	if (!is_outdated(c))
		return;
	c->unit_start = clock_now();
	c->rate = 0;
	memset(c->events, 0, sizeof(c->events));
}

/* Keep the greatest. */
static void
note(struct peak *peak, int64_t count, const struct client *c)
{
	if (count <= peak->count)
		return;
	peak->count = count;
	memcpy(peak->key, c->key, sizeof(peak->key));
}

/* --- what smtpd tells ----------------------------------------------------- */

static void
on_connect(struct request *r)
{
	struct anvil_connect	*event = r->object;
	struct client		*c = obtain(event->service, event->address);
	struct anvil_counts	 counts;

	age(c);
	add(c, source_of(r), 1);
	c->rate++;
	touch(c);
	note(&peak_rate, c->rate, c);
	note(&peak_count, c->connections, c);
	counts.connections = c->connections;
	counts.rate = c->rate;
	channel_reply(r, PACKET_ANVIL_COUNTS, &counts);
}

static void
on_disconnect(struct request *r)
{
	struct anvil_connect	*event = r->object;
	struct client		*c = find(event->service, event->address);
	size_t			 source = source_of(r);

	/* We may be younger than the connection. */
	if (c == NULL || source >= c->places || c->by_source[source] == 0)
		return;
	add(c, source, -1);
	touch(c);
}

static void
on_event(struct request *r)
{
	struct anvil_event	*event = r->object;
	struct client		*c = obtain(event->service, event->address);
	struct anvil_counts	 counts;

	age(c);
	if (!event->is_question)
		c->events[event->kind]++;
	touch(c);
	note(&peak_events[event->kind], c->events[event->kind], c);
	counts.connections = c->connections;
	counts.rate = c->events[event->kind];
	channel_reply(r, PACKET_ANVIL_COUNTS, &counts);
}

/* Take back what the process at this place has counted. */
static void
take_back(size_t source)
{
	struct client	*c;

	RB_FOREACH(c, clients, &clients)
		if (source < c->places && c->by_source[source] > 0) {
			add(c, source, -(int)c->by_source[source]);
			touch(c);
		}
	sources[source] = NULL;
}

/* A process is no more. */
static void
on_closed(struct channel *channel, void *context)
{
	size_t	i;

	(void)context;
	for (i = 0; i < source_room; i++)
		if (sources[i] == channel)
			take_back(i);
}

/* --- as time goes by ------------------------------------------------------ */

/* Forget the clients that are gone. */
static void
sweep(void)
{
	struct client	*c, *next;

	for (c = TAILQ_FIRST(&idle); c != NULL; c = next) {
		next = TAILQ_NEXT(c, next);
		if (is_outdated(c))
			forget(c);
	}
}

/* The greatest counts since the last report, as pflogsumm expects them. */
static void
report(void)
{
	static const char *const	names[ANVIL_KINDS] = { "message",
					    "recipient", "newtls", "auth" };
	int				i;

	if (peak_rate.count > 0)
		log_info("statistics: max connection rate %lld/%llds for (%s)",
		    (long long)peak_rate.count,
		    (long long)set.rate_unit / 1000, peak_rate.key);
	if (peak_count.count > 0)
		log_info("statistics: max connection count %lld for (%s)",
		    (long long)peak_count.count, peak_count.key);
	for (i = 0; i < ANVIL_KINDS; i++)
		if (peak_events[i].count > 0)
			log_info("statistics: max %s rate %lld/%llds for (%s)",
			    names[i], (long long)peak_events[i].count,
			    (long long)set.rate_unit / 1000,
			    peak_events[i].key);
	if (greatest_size > 0)
		log_info("statistics: max cache size %zu", greatest_size);
	memset(&peak_rate, 0, sizeof(peak_rate));
	memset(&peak_count, 0, sizeof(peak_count));
	memset(peak_events, 0, sizeof(peak_events));
	greatest_size = client_count;
}

WAITS static void
keep_house(void *unused)
{
	int64_t	next_report;

	(void)unused;
	next_report = clock_now() + set.report_interval;
	while (fiber_sleep(10 * 1000) == 0) {
		sweep();
		if (clock_now() >= next_report) {
			report();
			next_report = clock_now() + set.report_interval;
		}
	}
}

WAITS static void
start(void)
{
	fiber_start(keep_house, NULL);
}

static const struct peer peers[] = {
	{ "smtpd", PACKET_ANVIL_CONNECT, on_connect, IN_ORDER },
	{ "smtpd", PACKET_ANVIL_DISCONNECT, on_disconnect, IN_ORDER },
	{ "smtpd", PACKET_ANVIL_EVENT, on_event, IN_ORDER },
	{ NULL, 0, NULL, IN_ORDER }
};

int
main(int argc, char **argv)
{
	static const struct daemon anvil = {
		.name = "anvil",
		.params = params,
		.peers = peers,
		.start = start,
		.closed = on_closed,
	};

	return daemon_run(argc, argv, &anvil);
}
