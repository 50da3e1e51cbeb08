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
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/tree.h>

#include "common/base/bug.h"
#include "common/base/log.h"
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

/* A smtpd process that tells us; its counts go with it. */
enum { SOURCES = 32 };
static struct channel	*sources[SOURCES];

struct client {
	RB_ENTRY(client)	 entry;
	int64_t			 unit_start;
	int64_t			 connections, rate;
	int64_t			 events[ANVIL_KINDS];
	uint32_t		 by_source[SOURCES];	/* connections, too */
	char			 key[KEY_MAX];	/* "service:address" */
};
RB_HEAD(clients, client);

static struct clients	 clients = RB_INITIALIZER(&clients);
static size_t		 client_count, greatest_size;
static struct client	 greatest_rate, greatest_count;
static struct client	 greatest_events[ANVIL_KINDS];

static int
compare(const struct client *a, const struct client *b)
{
	return strcmp(a->key, b->key);
}
RB_GENERATE_INTERNAL(clients, client, entry, compare,
    __attribute__((unused)) static)

/* The place of this channel among the sources; -1 when there are too many. */
static int
source_of(struct channel *channel)
{
	int	i, place;

	place = -1;
	for (i = 0; i < SOURCES; i++) {
		if (sources[i] == channel)
			return i;
		if (sources[i] == NULL && place == -1)
			place = i;
	}
	if (place != -1)
		sources[place] = channel;
	return place;
}

/* There is no room for another client: it is not counted before others are
 * forgotten, which somebody should know. */
static void
tell_full(void)
{
	static int64_t	next_warning;

	if (clock_now() < next_warning)
		return;
	next_warning = clock_now() + WARN_EVERY;
	log_warning("more than %d clients in anvil_rate_time_unit: new ones "
	    "are not counted; with smtpd_client_ipv4_prefix_length and "
	    "smtpd_client_ipv6_prefix_length whole networks are",
	    ENTRIES_MAX);
}

/* The client's entry; made if asked for, NULL when there are too many. */
static struct client *
find(const char *service, const char *address, bool make)
{
	struct client	 key, *c;

	snprintf(key.key, sizeof(key.key), "%s:%s", service, address);
	if ((c = RB_FIND(clients, &clients, &key)) != NULL || !make)
		return c;
	if (client_count == ENTRIES_MAX) {
		tell_full();
		return NULL;
	}
	c = mem_alloc(sizeof(*c));
	memset(c, 0, sizeof(*c));
	memcpy(c->key, key.key, sizeof(c->key));
	c->unit_start = clock_now();
	RB_INSERT(clients, &clients, c);
	if (++client_count > greatest_size)
		greatest_size = client_count;
	return c;
}

/* Begin a new unit of time if the last one is over. */
static void
age(struct client *c)
{
	if (clock_now() - c->unit_start >= set.rate_unit) {
		c->unit_start = clock_now();
		c->rate = 0;
		memset(c->events, 0, sizeof(c->events));
	}
}

static void
on_connect(struct request *r)
{
	struct anvil_counts	 counts = { 0, 0 };
	struct anvil_connect	*event = r->object;
	struct client		*c;
	int			 source;

	source = source_of(r->channel);
	if (source != -1 &&
	    (c = find(event->service, event->address, true)) != NULL) {
		age(c);
		c->by_source[source]++;
		c->connections++;
		c->rate++;
		counts.connections = c->connections;
		counts.rate = c->rate;
		if (c->rate > greatest_rate.rate)
			greatest_rate = *c;
		if (c->connections > greatest_count.connections)
			greatest_count = *c;
	}
	channel_reply(r, PACKET_ANVIL_COUNTS, &counts);
}

static void
on_disconnect(struct request *r)
{
	struct anvil_connect	*event = r->object;
	struct client		*c;
	int			 source;

	source = source_of(r->channel);
	c = find(event->service, event->address, false);
	if (source != -1 && c != NULL && c->by_source[source] > 0) {
		c->by_source[source]--;
		c->connections--;
	}
}

static void
on_event(struct request *r)
{
	struct anvil_counts	 counts = { 0, 0 };
	struct anvil_event	*event = r->object;
	struct client		*c, *greatest = &greatest_events[event->kind];

	if ((c = find(event->service, event->address, true)) != NULL) {
		age(c);
		counts.connections = c->connections;
		if (!event->is_question)
			c->events[event->kind]++;
		counts.rate = c->events[event->kind];
		if (counts.rate > greatest->events[event->kind])
			*greatest = *c;
	}
	channel_reply(r, PACKET_ANVIL_COUNTS, &counts);
}

/* A process is no more: take back what it counted. */
static void
on_closed(struct channel *channel, void *context)
{
	struct client	*c;
	int		 i;

	(void)context;
	for (i = 0; i < SOURCES; i++) {
		if (sources[i] != channel)
			continue;
		RB_FOREACH(c, clients, &clients) {
			c->connections -= c->by_source[i];
			c->by_source[i] = 0;
		}
		sources[i] = NULL;
	}
}

/* Forget the clients that are gone. */
static void
sweep(void)
{
	struct client	*c, *next;

	for (c = RB_MIN(clients, &clients); c != NULL; c = next) {
		next = RB_NEXT(clients, &clients, c);
		if (c->connections == 0 &&
		    clock_now() - c->unit_start >= set.rate_unit) {
			RB_REMOVE(clients, &clients, c);
			free(c);
			client_count--;
		}
	}
}

/* The greatest counts since the last report, as pflogsumm expects them. */
static void
report(void)
{
	static const char *const	names[ANVIL_KINDS] = { "message",
					    "recipient", "newtls", "auth" };
	int				i;

	if (greatest_rate.rate > 0)
		log_info("statistics: max connection rate %lld/%llds for (%s)",
		    (long long)greatest_rate.rate,
		    (long long)set.rate_unit / 1000, greatest_rate.key);
	if (greatest_count.connections > 0)
		log_info("statistics: max connection count %lld for (%s)",
		    (long long)greatest_count.connections,
		    greatest_count.key);
	for (i = 0; i < ANVIL_KINDS; i++)
		if (greatest_events[i].events[i] > 0)
			log_info("statistics: max %s rate %lld/%llds for (%s)",
			    names[i], (long long)greatest_events[i].events[i],
			    (long long)set.rate_unit / 1000,
			    greatest_events[i].key);
	if (greatest_size > 0)
		log_info("statistics: max cache size %zu", greatest_size);
	memset(&greatest_rate, 0, sizeof(greatest_rate));
	memset(&greatest_count, 0, sizeof(greatest_count));
	memset(greatest_events, 0, sizeof(greatest_events));
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
