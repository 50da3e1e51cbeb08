/*
 * sites.c - which next hops are the same receivers.
 *
 * The site of a next hop that is looked up in DNS is its set of MX hosts,
 * sorted: domains that share receivers share concurrency and pace. The site of
 * a list of next hops is the union of theirs. What is no such name, and what
 * dns cannot tell now, is a site of its own. Answers are kept for a while,
 * within bounds: least recently asked goes first.
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
	bool			 is_us;
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

/* Drop everything: the settings have changed. */
void
sites_forget(void)
{
	struct known	*k;

	while ((k = TAILQ_FIRST(&used)) != NULL)
		forget(k);
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

/* What is known and not too old. */
static struct known *
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
	return k;
}

/* Keep the site of a next hop for a while. */
static void
remember(const char *nexthop, const struct site_answer *site_answer,
    int64_t seconds)
{
	size_t		 len = strlen(nexthop) + 1;
	size_t		 site_len = strlen(site_answer->name) + 1;
	struct known	*k;

	if ((k = recall_entry(nexthop)) != NULL)
		forget(k);
	else if (count == CACHE_MAX)
		forget(TAILQ_LAST(&used, known_list));
	k = mem_alloc(sizeof(*k) + len + site_len);
	memcpy(k->nexthop, nexthop, len);
	memcpy(k->nexthop + len, site_answer->name, site_len);
	k->site = k->nexthop + len;
	k->is_us = site_answer->is_us;
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

/* The names sorted, each once: "mx1.example.net,mx2.example.net". */
char *
site_join(struct pool *pool, char **names, size_t n)
{
	struct str	name;
	uint64_t	short_name;
	size_t		i;

	qsort(names, n, sizeof(*names), by_name);
	str_init(&name, pool, 0);
	for (i = 0; i < n; i++)
		if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
			str_addf(&name, "%s%s", i > 0 ? "," : "", names[i]);
	if (name.len <= NAME_LIMIT)
		return name.data;
	short_name = digest(name.data);
	return pool_printf(pool, "%.*s,+%zu,%016jx", NAME_LIMIT / 2,
	    names[0], n - 1, (uintmax_t)short_name);
}

/* "host", or "host:587". */
static char *
with_port(struct pool *pool, const char *host, const char *port)
{
	return *port == '\0' ? lower(pool, host) :
	    lower(pool, pool_printf(pool, "%s:%s", host, port));
}

/* The name of the hosts that dns found, or of the next hop itself. */
char *
site_name(struct pool *pool, const char *host, const char *port,
    const struct hosts *hosts)
{
	char	**names;
	size_t	  i;

	if (!hosts->had_mx || hosts->count == 0)
		return with_port(pool, host, port);
	names = pool_array(pool, hosts->count, sizeof(*names));
	for (i = 0; i < hosts->count; i++)
		names[i] = with_port(pool, hosts->hosts[i].name,
		    hosts->hosts[i].port == 0 ? port : pool_printf(pool,
		    "%jd", (intmax_t)hosts->hosts[i].port));
	return site_join(pool, names, hosts->count);
}

/* --- is it this host? ---------------------------------------------------- */

/* Is this MX host ourselves, by name or by address? */
static bool
host_is_us(const struct rules *r, const struct host_row *host)
{
	struct inetaddr	address;
	size_t		i, n;

	if (text_equal(host->name, r->myhostname))
		return true;
	for (i = 0; i < host->count; i++)
		for (n = 0; n < r->own_count; n++)
			if (inetaddr_parse(&address,
			    host->addresses[i].address) &&
			    inetaddr_equal(&address, &r->own_addresses[n]))
				return true;
	return false;
}

/* Is nobody better than we are? Hosts come by preference. */
static bool
we_are_best(const struct rules *r, const struct hosts *hosts)
{
	size_t	i;

	for (i = 0; i < hosts->count && hosts->hosts[i].preference ==
	    hosts->hosts[0].preference; i++)
		if (host_is_us(r, &hosts->hosts[i]))
			return true;
	return false;
}

/* --- asking -------------------------------------------------------------- */

/* After the user is dropped: dns must see who asks. */
void
sites_start(void)
{
	dns = link_new("dns", site_processes("dns"), NULL);
}

/* One question to dns; HOSTS_TEMPORARY when it does not answer. */
static WAITS void
ask_dns(struct pool *pool, const char *name, int64_t flags,
    struct hosts *hosts)
{
	struct ask_hosts	ask = { pool_strdup(pool, name), flags };

	memset(hosts, 0, sizeof(*hosts));
	if (link_ask(dns, PACKET_ASK_HOSTS, &ask, PACKET_HOSTS, hosts, pool,
	    clock_now() + ASK_TIME, true) == -1) {
		memset(hosts, 0, sizeof(*hosts));
		hosts->result = HOSTS_TEMPORARY;
	}
}

/* Are this port's hosts in SRV records? */
static bool
has_srv(const struct rules *r, struct pool *pool, const char *port)
{
	char	**words;
	size_t	  i, n;

	words = text_words(pool, r->set.srv_services, &n);
	for (i = 0; i < n; i++)
		if (text_equal(words[i], port))
			return true;
	return false;
}

/* SRV records, and whether MX records are the next thing to ask for. */
static WAITS bool
ask_srv(struct rules *r, struct pool *pool, const struct hop *hop,
    struct hosts *hosts)
{
	ask_dns(pool, pool_printf(pool, "_%s._tcp.%s", hop->port, hop->host),
	    HOSTS_WITH_SRV | HOSTS_NAMES_ONLY, hosts);
	switch (hosts->result) {
	case HOSTS_OK:
	case HOSTS_NULL_MX:
		return false;
	case HOSTS_TEMPORARY:
		return r->set.ignores_srv_error;
	default:
		return r->set.allows_srv_fallback;
	}
}

/* Look one next hop up; how long the answer is good, in seconds. */
static WAITS int64_t
look(struct rules *r, struct pool *pool, const struct hop *hop,
    const char *port, struct site_answer *to)
{
	struct hosts	hosts;
	bool		wants_us = *port == '\0' &&
			    *r->best_mx.name != '\0';

	if (!has_srv(r, pool, hop->port) || ask_srv(r, pool, hop, &hosts))
		ask_dns(pool, hop->host, HOSTS_WITH_MX |
		    (wants_us ? 0 : HOSTS_NAMES_ONLY), &hosts);
	if (hosts.result == HOSTS_TEMPORARY && hosts.count == 0)
		return KEEP_FAILURE;
	to->name = site_name(pool, hop->host, port, &hosts);
	to->is_us = wants_us && hosts.had_mx && we_are_best(r, &hosts);
	return hosts.ttl < KEEP_LEAST ? KEEP_LEAST :
	    hosts.ttl > KEEP_MOST ? KEEP_MOST : hosts.ttl;
}

/* The site of one next hop. */
static WAITS void
find_one(struct rules *r, struct pool *pool, const struct hop *hop,
    bool wants_mx, const char *usual_port, struct site_answer *to)
{
	const char		*port = port_number(hop->port);
	const char		*key;
	const struct known	*known;
	int64_t			 keep;

	if (strcmp(port, usual_port) == 0)
		port = "";
	to->is_us = false;
	to->name = hop->is_unix ? pool_printf(pool, "unix:%s", hop->host) :
	    with_port(pool, hop->has_brackets ? pool_printf(pool, "[%s]",
	    hop->host) : hop->host, port);
	if (!wants_mx || hop->is_unix || hop->has_brackets ||
	    *hop->host == '\0')
		return;
	key = pool_printf(pool, "%s:%s", hop->host, hop->port);
	if ((known = recall(key)) != NULL) {
		to->name = pool_strdup(pool, known->site);
		to->is_us = known->is_us;
		return;
	}
	keep = look(r, pool, hop, port, to);
	if (!r->is_old)		/* a reload has come in between */
		remember(key, to, keep);
}

/* The site of all next hops together. Only one alone can be us: in a list the
 * others would have to be tried. */
WAITS void
site_find(struct rules *r, struct pool *pool, const char *nexthop,
    enum transport_kind kind, struct site_answer *to)
{
	struct hop	*hops;
	struct str	 names;
	char		**words;
	size_t		 i, n;
	bool		 wants_mx = kind == TRANSPORT_SMTP &&
			    !text_equal(r->set.dns_support, "disabled");

	hops = hops_parse(pool, nexthop, &n);
	if (n == 1) {
		find_one(r, pool, &hops[0], wants_mx,
		    kind == TRANSPORT_LMTP ? "24" : "25", to);
		return;
	}
	to->is_us = false;
	to->name = lower(pool, nexthop);
	str_init(&names, pool, 0);
	for (i = 0; i < n; i++) {
		find_one(r, pool, &hops[i], wants_mx,
		    kind == TRANSPORT_LMTP ? "24" : "25", to);
		str_addf(&names, "%s,", to->name);
	}
	words = text_words(pool, names.data, &n);
	to->is_us = false;
	if (n > 0)
		to->name = site_join(pool, words, n);
}
