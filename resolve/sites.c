/*
 * sites.c - which next hops are the same receivers.
 *
 * The site of a next hop that is looked up in DNS is its set of MX hosts,
 * sorted: domains that share receivers share concurrency and pace. What is
 * no such name, and what dns cannot tell now, is a site of its own. Answers
 * are kept for a while, within bounds: least recently asked goes first.
 */
#include <sys/queue.h>
#include <sys/tree.h>

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/str.h"
#include "common/base/text.h"
#include "common/ipc/link.h"
#include "common/param/site.h"
#include "resolve/resolve.h"

enum {
	CACHE_MAX	= 20000,	/* names */
	KEEP_LEAST	= 60,		/* seconds */
	KEEP_MOST	= 3600,
	KEEP_FAILURE	= 30,
	ASK_TIME	= 10000,	/* milliseconds */
	NAME_LIMIT	= 400		/* of a site in full */
};

struct known {
	RB_ENTRY(known)		 entry;
	TAILQ_ENTRY(known)	 by_use;
	int64_t			 until;
	const char		*site;		/* behind the next hop */
	char			 nexthop[];
};

static struct link	*dns;

RB_HEAD(known_tree, known);
static TAILQ_HEAD(known_list, known) used = TAILQ_HEAD_INITIALIZER(used);
static struct known_tree	 tree = RB_INITIALIZER(&tree);
static size_t			 count;

/* The order of next hops. */
static int
by_nexthop(const struct known *a, const struct known *b)
{
	return strcmp(a->nexthop, b->nexthop);
}

/* RB_GENERATE_STATIC wants a macro that libbsd does not have. */
RB_GENERATE_INTERNAL(known_tree, known, entry, by_nexthop,
    __attribute__((unused)) static)

/* --- what is kept -------------------------------------------------------- */

/* Drop what is known of a next hop. */
static void
forget(struct known *k)
{
	RB_REMOVE(known_tree, &tree, k);
	TAILQ_REMOVE(&used, k, by_use);
	count--;
	free(k);
}

/* What is known of a next hop, however old. */
static struct known *
recall_entry(const char *nexthop)
{
	struct known	*k = RB_ROOT(&tree);
	int		 order;

	while (k != NULL && (order = strcmp(nexthop, k->nexthop)) != 0)
		k = order < 0 ? RB_LEFT(k, entry) : RB_RIGHT(k, entry);
	return k;
}

/* The site, NULL when it is not known or too old. */
static const char *
recall(const char *nexthop)
{
	struct known	*k = recall_entry(nexthop);

	if (k == NULL)
		return NULL;
	if (k->until < clock_now()) {
		forget(k);
		return NULL;
	}
	TAILQ_REMOVE(&used, k, by_use);
	TAILQ_INSERT_HEAD(&used, k, by_use);
	return k->site;
}

/* Keep the site of a next hop for a while. */
static void
remember(const char *nexthop, const char *site_text, int64_t seconds)
{
	size_t		 len = strlen(nexthop) + 1;
	size_t		 site_len = strlen(site_text) + 1;
	struct known	*k;

	if ((k = recall_entry(nexthop)) != NULL)
		forget(k);
	else if (count == CACHE_MAX)
		forget(TAILQ_LAST(&used, known_list));
	k = mem_alloc(sizeof(*k) + len + site_len);
	memcpy(k->nexthop, nexthop, len);
	memcpy(k->nexthop + len, site_text, site_len);
	k->site = k->nexthop + len;
	k->until = clock_now() + seconds * 1000;
	(void)RB_INSERT(known_tree, &tree, k);
	TAILQ_INSERT_HEAD(&used, k, by_use);
	count++;
}

/* --- the name of a set --------------------------------------------------- */

/* The order of host names. */
static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* FNV-1a: a short name for a long set. */
static uint64_t
digest(const char *at)
{
	uint64_t	hash = 0xcbf29ce484222325;

	for (; *at != '\0'; at++)
		hash = (hash ^ (unsigned char)*at) * 0x100000001b3;
	return hash;
}

/* "mx1.example.net,mx2.example.net", ":port" behind it when not 25. */
char *
site_name(struct pool *pool, const char *nexthop, const char *port,
    const struct hosts *hosts)
{
	struct str	 name;
	char		**names;
	size_t		 i;

	if (!hosts->had_mx || hosts->count == 0)
		return lower(pool, nexthop);
	names = pool_array(pool, hosts->count, sizeof(*names));
	for (i = 0; i < hosts->count; i++)
		names[i] = lower(pool, hosts->hosts[i].name);
	qsort(names, hosts->count, sizeof(*names), by_name);
	str_init(&name, pool, 0);
	for (i = 0; i < hosts->count; i++)
		if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
			str_addf(&name, "%s%s", i > 0 ? "," : "", names[i]);
	if (name.len > NAME_LIMIT) {
		uint64_t	short_name = digest(name.data);

		str_clear(&name);
		str_addf(&name, "%.*s,+%zu,%016jx", NAME_LIMIT / 2, names[0],
		    hosts->count - 1, (uintmax_t)short_name);
	}
	if (*port != '\0')
		str_addf(&name, ":%s", port);
	return name.data;
}

/* --- asking -------------------------------------------------------------- */

/* After the user is dropped: dns must see who asks. */
void
sites_start(void)
{
	dns = link_new("dns", site_processes("dns"), NULL);
}

/* Cut "host:port"; the port is "" when there is none. */
static void
cut_port(struct pool *pool, const char *nexthop, char **host,
    const char **port)
{
	char	*colon;

	*host = pool_strdup(pool, nexthop);
	*port = "";
	if ((colon = strrchr(*host, ':')) == NULL ||
	    strchr(*host, ':') != colon)
		return;
	*colon = '\0';
	*port = strcmp(colon + 1, "25") == 0 || text_equal(colon + 1, "smtp") ?
	    "" : colon + 1;
}

/* The site of a next hop of an SMTP transport. */
WAITS char *
site_of(struct pool *pool, const char *nexthop)
{
	struct ask_hosts	 ask = { .flags = HOSTS_WITH_MX |
				     HOSTS_NAMES_ONLY };
	struct hosts		 hosts = { 0 };
	char			*name = lower(pool, nexthop);
	const char		*port, *known;
	int64_t			 keep = KEEP_FAILURE;

	/* Literals, hosts without MX, lists of them, sockets. */
	if (strpbrk(name, "[]/, \t") != NULL || *name == '\0')
		return name;
	if ((known = recall(name)) != NULL)
		return pool_strdup(pool, known);
	cut_port(pool, name, &ask.name, &port);
	known = name;
	if (*ask.name != '\0' && link_ask(dns, PACKET_ASK_HOSTS, &ask,
	    PACKET_HOSTS, &hosts, pool, clock_now() + ASK_TIME, true) == 0 &&
	    hosts.result == HOSTS_OK) {
		known = site_name(pool, name, port, &hosts);
		keep = hosts.ttl < KEEP_LEAST ? KEEP_LEAST :
		    hosts.ttl > KEEP_MOST ? KEEP_MOST : hosts.ttl;
	}
	remember(name, known, keep);
	return pool_strdup(pool, known);
}
