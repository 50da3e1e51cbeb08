/*
 * hosts.c - which hosts take mail for a next hop, and in which order.
 *
 * Called by delivery.c. dns gives hosts with addresses; here they are put in
 * order, and ourselves taken out, so that mail cannot run in a circle.
 */

#include "smtp/hosts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"
#include "common/ipc/link.h"
#include "common/ipc/packets.h"
#include "common/param/site.h"

#include "smtp/delivery.h"
#include "smtp/settings.h"

enum { DNS_PATIENCE = 60 * 1000, SMTP_PORT = 25, OWN_MAX = 64 };

const struct param hosts_params[] = {
	PARAM_INT("smtp_mx_address_limit", set.address_limit, "5", 0, 1000,
	    "Addresses to try in one delivery; 0 means all."),
	PARAM_INT("smtp_mx_session_limit", set.session_limit, "2", 0, 1000,
	    "Conversations to begin in one delivery; 0 means any number."),
	PARAM_BOOL("smtp_randomize_addresses", set.randomizes, "yes",
	    "Shuffle the addresses of hosts of equal preference."),
	PARAM_BOOL("smtp_skip_5xx_greeting", set.skips_5xx, "yes",
	    "A host that greets with 5xx is left for the next one."),
	PARAM_STRING("smtp_bind_address", set.bind_address, "", 0, 100,
	    "The IPv4 address to connect from."),
	PARAM_STRING("smtp_bind_address6", set.bind_address6, "", 0, 100,
	    "The IPv6 address to connect from."),
	PARAM_STRING("smtp_address_preference", set.address_preference, "any",
	    3, 10, "Which addresses of one host come first: any, ipv4, ipv6."),
	PARAM_END
};

/* Cut "[host]:port" up: the host alone, its port, and whether MX hosts are
 * wanted. NULL when the port is no port. */
static char *
split_nexthop(struct pool *pool, const char *nexthop, int64_t *port,
    bool *wants_mx)
{
	char	*host, *end;

	host = pool_strdup(pool, nexthop);
	*port = SMTP_PORT;
	*wants_mx = host[0] != '[';
	if (host[0] == '[') {
		host++;
		if ((end = strchr(host, ']')) == NULL)
			return NULL;
		*end++ = '\0';
		if (*end == ':' &&
		    text_integer(end + 1, 1, 65535, port) != NULL)
			return NULL;
		return host;
	}
	if ((end = strrchr(host, ':')) != NULL) {
		*end++ = '\0';
		if (text_integer(end, 1, 65535, port) != NULL)
			return NULL;
	}
	return host;
}

/* Is this host us, by name or by an address of our interfaces? */
static bool
is_ourselves(const struct host_row *host)
{
	struct inetaddr	own[OWN_MAX], address;
	size_t		i;
	int		n, k;

	if (text_equal(host->name, site.myhostname))
		return true;
	n = inetaddr_of_interfaces(own, OWN_MAX);
	for (i = 0; i < host->count; i++) {
		if (!inetaddr_parse(&address, host->addresses[i].address))
			continue;
		for (k = 0; k < n; k++)
			if (inetaddr_equal(&address, &own[k]))
				return true;
	}
	return false;
}

/* One row for each address, with what it is sorted by. */
struct choice {
	struct target	 target;
	int64_t		 preference;
	uint32_t	 chance;
	int		 family_rank;
};

static int
compare(const void *a, const void *b)
{
	const struct choice	*x = a, *y = b;

	if (x->preference != y->preference)
		return x->preference < y->preference ? -1 : 1;
	if (x->family_rank != y->family_rank)
		return x->family_rank - y->family_rank;
	if (x->chance != y->chance)
		return x->chance < y->chance ? -1 : 1;
	return 0;
}

static int
family_rank(int family)
{
	if (text_equal(set.address_preference, "ipv4"))
		return family == AF_INET ? 0 : 1;
	if (text_equal(set.address_preference, "ipv6"))
		return family == AF_INET6 ? 0 : 1;
	return 0;
}

/* All addresses of all hosts up to a preference, sorted. */
static size_t
sort_addresses(struct pool *pool, const struct hosts *hosts, int64_t below,
    int64_t port, struct target **targets)
{
	const struct host_row	*host;
	struct choice		*choices, *c;
	size_t			 total, n, i, k;

	total = 0;
	for (i = 0; i < hosts->count; i++)
		total += hosts->hosts[i].count;
	choices = pool_array(pool, total + 1, sizeof(*choices));
	n = 0;
	for (i = 0; i < hosts->count; i++) {
		host = &hosts->hosts[i];
		for (k = 0; k < host->count && host->preference < below; k++) {
			c = &choices[n];
			if (!inetaddr_parse(&c->target.address,
			    host->addresses[k].address))
				continue;
			c->target.address.port = (uint16_t)port;
			c->target.host = host->name;
			inetaddr_print(&c->target.address, c->target.text,
			    sizeof(c->target.text));
			c->preference = host->preference;
			c->chance = set.randomizes ? arc4random() : (uint32_t)n;
			c->family_rank = family_rank(c->target.address.family);
			n++;
		}
	}
	qsort(choices, n, sizeof(*choices), compare);
	*targets = pool_array(pool, n + 1, sizeof(**targets));
	for (i = 0; i < n; i++)
		(*targets)[i] = choices[i].target;
	return n;
}

static int
fail(struct hosts_failure *failure, bool is_permanent, const char *dsn,
    const char *text)
{
	failure->is_permanent = is_permanent;
	failure->dsn = dsn;
	failure->text = text;
	return -1;
}

/* An answer without hosts. */
static int
explain(struct pool *pool, const struct hosts *hosts, const char *name,
    struct hosts_failure *failure)
{
	switch (hosts->result) {
	case HOSTS_NULL_MX:
		/* RFC 7505 4.1, 4.2 */
		return fail(failure, true, "5.1.10", pool_printf(pool,
		    "Domain %s does not accept mail (nullMX)", name));
	case HOSTS_NO_DOMAIN:
		return fail(failure, true, "5.4.4", hosts->text);
	case HOSTS_NONE:
		return fail(failure, true, "5.4.4", hosts->text);
	default:
		return fail(failure, false, "4.4.3", hosts->text);
	}
}

int
hosts_find(struct pool *pool, const char *nexthop, struct target **targets,
    size_t *count, struct hosts_failure *failure)
{
	struct ask_hosts	 question;
	struct hosts		 hosts;
	int64_t			 port, below;
	size_t			 i;
	bool			 wants_mx;

	question.name = split_nexthop(pool, nexthop, &port, &wants_mx);
	if (question.name == NULL)
		return fail(failure, false, "4.3.5", pool_printf(pool,
		    "bad next hop \"%s\": expected host, [host] or "
		    "[host]:port", nexthop));
	question.flags = wants_mx ? HOSTS_WITH_MX : 0;
	if (link_ask(to_dns, PACKET_ASK_HOSTS, &question, PACKET_HOSTS, &hosts,
	    pool, clock_now() + DNS_PATIENCE, true) == -1)
		return fail(failure, false, "4.4.3",
		    "the name service does not answer");
	if (hosts.result != HOSTS_OK)
		return explain(pool, &hosts, question.name, failure);

	/* RFC 5321 5.1: we, and every host that comes after us, are out. */
	below = INT64_MAX;
	if (hosts.had_mx && port == SMTP_PORT)
		for (i = 0; i < hosts.count; i++)
			if (hosts.hosts[i].preference < below &&
			    is_ourselves(&hosts.hosts[i]))
				below = hosts.hosts[i].preference;

	*count = sort_addresses(pool, &hosts, below, port, targets);
	if (*count > 0)
		return 0;
	if (below != INT64_MAX)
		return fail(failure, true, "5.4.6", pool_printf(pool,
		    "mail for %s loops back to myself", question.name));
	return fail(failure, false, "4.4.3", pool_printf(pool,
	    "no address of a host for %s could be found", question.name));
}
