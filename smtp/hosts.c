/*
 * hosts.c - which hosts take mail for a next hop, and in which order.
 *
 * Called by delivery.c. dns gives hosts with addresses; here they are put in
 * order, what smtp_dns_reply_filter does not want is dropped (records.c), and
 * ourselves are taken out, so that mail cannot run in a circle.
 */

#include "smtp/hosts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"
#include "common/daemon/daemon.h"
#include "common/ipc/link.h"
#include "common/ipc/packets.h"
#include "common/param/site.h"

#include "smtp/delivery.h"
#include "smtp/records.h"
#include "smtp/settings.h"

enum { DNS_PATIENCE = 60 * 1000, SMTP_PORT = 25, OWN_MAX = 64 };

const struct param hosts_params[] = {
	PARAM_STRING("smtp_tcp_port", set.tcp_port, "smtp", 1, 100,
	    "The port where a next hop names none."),
	PARAM_STRING("smtp_host_lookup", set.host_lookup, "dns", 3, 100,
	    "Where addresses of hosts come from: dns, native (the hosts file), "
	    "or both; dns first."),
	PARAM_STRING("smtp_dns_reply_filter", set.dns_reply_filter, "", 0, 0,
	    "Tables that see each DNS record (\"name. ttl IN type value\") and "
	    "may say IGNORE."),
	PARAM_STRING("use_srv_lookup", set.use_srv_lookup, "", 0, 1000,
	    "Services whose hosts are found by SRV records when a next hop is "
	    "domain:service."),
	PARAM_BOOL("ignore_srv_lookup_error", set.ignores_srv_error, "no",
	    "When SRV records cannot be had now, use MX records."),
	PARAM_BOOL("allow_srv_lookup_fallback", set.allows_srv_fallback, "no",
	    "When there are no SRV records, use MX records."),
	PARAM_INT("smtp_mx_address_limit", set.address_limit, "5", 0, 1000,
	    "Addresses to try for one next hop; 0 means all."),
	PARAM_BOOL("smtp_balance_inet_protocols", set.balances, "yes",
	    "Have IPv4 and IPv6 addresses among those of "
	    "smtp_mx_address_limit, when there are both."),
	PARAM_BOOL("smtp_randomize_addresses", set.randomizes, "yes",
	    "Shuffle the hosts of equal preference."),
	PARAM_STRING("smtp_address_preference", set.address_preference, "any",
	    3, 10, "Which addresses of one host come first: any, ipv4, ipv6."),
	PARAM_BOOL("smtp_defer_if_no_mx_address_found",
	    set.defers_no_mx_address, "no", "Try again later when no MX host "
	    "has an address, instead of returning the mail."),
	PARAM_END
};

static struct inetaddr	own[OWN_MAX];
static size_t		own_count;

/* --- ourselves ----------------------------------------------------------- */

/* The addresses in a list. False: there are other words in it. */
static bool
add_own(struct pool *pool, const char *list)
{
	struct inetaddr	  address;
	char		**words, *word;
	size_t		  i, count, len;
	bool		  has_names = false;

	words = text_words(pool, list, &count);
	for (i = 0; i < count; i++) {
		word = words[i];
		len = strlen(word);
		if (len > 2 && word[0] == '[' && word[len - 1] == ']') {
			word[len - 1] = '\0';
			word++;
		}
		if (!inetaddr_parse(&address, word))
			has_names = true;
		else if (own_count < OWN_MAX)
			own[own_count++] = address;
	}
	return !has_names;
}

/* Who listens at one address of a family, and no loopback, calls from there,
 * too, unless he says otherwise: others know us by it. */
static void
call_from_there(int family, char **bind_address)
{
	char	text[INETADDR_TEXT];
	size_t	i, n = 0, which = 0;

	for (i = 0; i < own_count; i++)
		if (own[i].family == family) {
			which = i;
			n++;
		}
	if (n == 1 && !inetaddr_is_loopback(&own[which]) &&
	    (*bind_address)[0] == '\0')
		*bind_address = mem_strdup(inetaddr_print(&own[which], text,
		    sizeof(text)));
}

/* inet_interfaces if it lists addresses, else all that this machine has: the
 * instance next door, on another address, is not us. And proxy_interfaces. */
void
hosts_prepare(void)
{
	struct pool	*pool = pool_new("interfaces", 0);
	const char	*proxy;
	char		*why;
	int		 n;

	if (!add_own(pool, site.inet_interfaces)) {
		n = inetaddr_of_interfaces(own, OWN_MAX);
		own_count = n > 0 ? (size_t)n : 0;
	} else {
		call_from_there(AF_INET, &set.bind_address);
		call_from_there(AF_INET6, &set.bind_address6);
	}
	proxy = maincf_value(daemon_maincf(), pool, "proxy_interfaces", &why);
	if (proxy != NULL)
		(void)add_own(pool, proxy);
	pool_free(pool);
}

/* "This host on this network" (RFC 6890): a connection to it would be one to
 * ourselves. */
static bool
is_zero(const struct inetaddr *a)
{
	static const unsigned char	zeros[sizeof(a->bytes)];

	return memcmp(a->bytes, zeros, sizeof(zeros)) == 0;
}

/* Is this host us, by name or by an address? */
static bool
is_ourselves(const struct host_row *host)
{
	struct inetaddr	address;
	size_t		i, k;

	if (text_equal(host->name, site.myhostname))
		return true;
	for (i = 0; i < host->count; i++) {
		if (!inetaddr_parse(&address, host->addresses[i].address))
			continue;
		if (is_zero(&address))
			return true;
		for (k = 0; k < own_count; k++)
			if (inetaddr_equal(&address, &own[k]))
				return true;
	}
	return false;
}

/* RFC 5321 5.1: we, and every host that comes after us, are out. */
static int64_t
our_preference(const struct hosts *hosts)
{
	int64_t	below = INT64_MAX;
	size_t	i;

	for (i = 0; i < hosts->count; i++)
		if (hosts->hosts[i].preference < below &&
		    is_ourselves(&hosts->hosts[i]))
			below = hosts->hosts[i].preference;
	return below;
}

/* --- the order ----------------------------------------------------------- */

/* One row for each address, with what it is sorted by. */
struct choice {
	struct target	 target;
	int64_t		 preference;
	uint32_t	 chance;
	size_t		 place;		/* as the resolver gave them */
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
	return x->place < y->place ? -1 : 1;
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

/* The addresses of one host. Those of a family stay in the resolver's order
 * (RFC 5321 5.1), which spreads the load by itself; hosts, and the families of
 * one, are shuffled. SRV hosts come with ports, and in an order that their
 * weights have made already. */
static size_t
add_host(const struct host_row *host, const struct nexthop *hop,
    struct choice *choices, size_t n)
{
	const uint32_t	 chances[2] = { arc4random(), arc4random() };
	bool		 is_shuffled = set.randomizes && host->port == 0;
	struct choice	*c;
	size_t		 i;

	for (i = 0; i < host->count; i++) {
		c = &choices[n];
		if (!inetaddr_parse(&c->target.address,
		    host->addresses[i].address))
			continue;
		c->target.address.port = host->port != 0 ?
		    (uint16_t)host->port : hop->port;
		c->target.host = host->name;
		c->target.may_be_us = !set.is_lmtp &&
		    c->target.address.port == SMTP_PORT;
		inetaddr_print(&c->target.address, c->target.text,
		    sizeof(c->target.text));
		c->preference = host->preference;
		c->chance = !is_shuffled ? 0 :
		    chances[c->target.address.family == AF_INET6];
		c->place = n;
		c->family_rank = family_rank(c->target.address.family);
		n++;
	}
	return n;
}

/* How many of each family stay, so that both are among the first few. */
static void
share(const struct choice *choices, size_t n, size_t limit, size_t keep[2])
{
	size_t	have[2] = { 0, 0 }, half[2], i;
	int	first = n > 0 && choices[0].target.address.family == AF_INET6;

	for (i = 0; i < n; i++)
		have[choices[i].target.address.family == AF_INET6]++;
	half[first] = limit - limit / 2;
	half[!first] = limit / 2;
	for (i = 0; i < 2; i++)
		keep[i] = have[!i] < half[!i] ? limit - have[!i] : half[i];
	if (!set.balances)
		keep[0] = keep[1] = limit;
}

/* The first of them, up to smtp_mx_address_limit. */
static size_t
take_first(const struct choice *choices, size_t n, struct target *targets)
{
	size_t	limit = set.address_limit == 0 ? n :
		    (size_t)set.address_limit;
	size_t	keep[2], i, count = 0;
	int	family;

	share(choices, n, limit, keep);
	for (i = 0; i < n && count < limit; i++) {
		family = choices[i].target.address.family == AF_INET6;
		if (keep[family] == 0)
			continue;
		keep[family]--;
		targets[count++] = choices[i].target;
	}
	return count;
}

/* All addresses of all hosts up to a preference, in order. */
static size_t
sort_addresses(struct pool *pool, const struct hosts *hosts, int64_t below,
    const struct nexthop *hop, struct target **targets)
{
	struct choice	*choices;
	size_t		 total = 0, n = 0, i;

	for (i = 0; i < hosts->count; i++)
		total += hosts->hosts[i].count;
	choices = pool_array(pool, total + 1, sizeof(*choices));
	for (i = 0; i < hosts->count; i++)
		if (hosts->hosts[i].preference < below)
			n = add_host(&hosts->hosts[i], hop, choices, n);
	qsort(choices, n, sizeof(*choices), compare);
	*targets = pool_array(pool, n + 1, sizeof(**targets));
	return take_first(choices, n, *targets);
}

/* --- questions ----------------------------------------------------------- */

static int
fail(struct hosts_failure *failure, bool is_permanent, const char *dsn,
    const char *text)
{
	failure->is_permanent = is_permanent;
	failure->is_final = failure->is_ours = false;
	failure->dsn = dsn;
	failure->text = text;
	return -1;
}

/* It is we who cannot tell. */
static int
fail_here(struct hosts_failure *failure, const char *dsn, const char *text)
{
	(void)fail(failure, false, dsn, text);
	failure->is_ours = true;
	return -1;
}

/* An answer without hosts. */
static int
explain(const struct hosts *hosts, struct hosts_failure *failure)
{
	switch (hosts->result) {
	case HOSTS_NULL_MX:
		/* RFC 7505 4.1, 4.2 */
		(void)fail(failure, true, "5.1.10", hosts->text);
		failure->is_final = true;
		return -1;
	case HOSTS_NO_DOMAIN:
		return fail(failure, true, "5.4.4", hosts->text);
	case HOSTS_NONE:
		if (hosts->had_mx && set.defers_no_mx_address)
			return fail(failure, false, "4.4.4", hosts->text);
		return fail(failure, true, "5.4.4", hosts->text);
	default:
		return fail(failure, false, "4.4.3", hosts->text);
	}
}

/* smtp_host_lookup; localhost needs no name server (RFC 6761 6.3). */
static int64_t
lookup_flags(struct pool *pool, const char *name)
{
	char	**words;
	size_t	  i, count;
	int64_t	  flags = 0;

	words = text_words(pool, set.host_lookup, &count);
	for (i = 0; i < count; i++) {
		if (text_equal(words[i], "dns"))
			flags |= HOSTS_FROM_DNS;
		if (text_equal(words[i], "native"))
			flags |= HOSTS_FROM_FILE;
	}
	if (text_equal(name, "localhost"))
		flags |= HOSTS_FROM_FILE;
	return flags;
}

/* Ask dns, and take out what the filter does not want. */
WAITS static int
ask(struct pool *pool, const char *name, int64_t flags, struct hosts *hosts,
    struct hosts_failure *failure)
{
	struct ask_hosts	question;

	question.name = (char *)(uintptr_t)name;
	question.flags = flags | lookup_flags(pool, name);
	if (link_ask(to_dns, PACKET_ASK_HOSTS, &question, PACKET_HOSTS, hosts,
	    pool, clock_now() + DNS_PATIENCE, true) == -1)
		return fail_here(failure, "4.4.3",
		    "the name service does not answer");
	if (set.dns_reply_filter[0] == '\0' || hosts->result != HOSTS_OK)
		return 0;
	switch (records_filter(pool, name, flags, hosts)) {
	case RECORDS_LEFT:
		return 0;
	case RECORDS_NONE:
		return fail(failure, false, "4.7.0", pool_printf(pool,
		    "unable to look up host %s: DNS reply filter drops all "
		    "results", name));
	default:
		return fail_here(failure, "4.3.0", pool_printf(pool,
		    "the table of %s cannot be asked now",
		    settings_name("smtp_dns_reply_filter")));
	}
}

/* Are the hosts of this next hop found by SRV records? */
static bool
wants_srv(struct pool *pool, const struct nexthop *hop)
{
	char	**words;
	size_t	  i, count;

	if (hop->kind != NEXTHOP_DOMAIN)
		return false;
	words = text_words(pool, set.use_srv_lookup, &count);
	for (i = 0; i < count; i++)
		if (text_equal(words[i], hop->service))
			return true;
	return false;
}

/* SRV (RFC 6186, RFC 2782). 1: go on with MX records. */
WAITS static int
ask_srv(struct pool *pool, const struct nexthop *hop, struct hosts *hosts,
    struct hosts_failure *failure)
{
	if (!wants_srv(pool, hop))
		return 1;
	if (ask(pool, pool_printf(pool, "_%s._tcp.%s", hop->service,
	    hop->name), HOSTS_WITH_SRV, hosts, failure) == -1)
		return set.ignores_srv_error ? 1 : -1;
	if (hosts->result == HOSTS_OK)
		return 0;
	if (hosts->result == HOSTS_TEMPORARY && set.ignores_srv_error)
		return 1;
	return (hosts->result == HOSTS_NONE ||
	    hosts->result == HOSTS_NO_DOMAIN) && set.allows_srv_fallback ?
	    1 : explain(hosts, failure);
}

/* We are among the hosts, and the better ones have no address: mail goes in a
 * circle, unless the name service knows more of them later. */
static int
fail_among_hosts(struct pool *pool, const struct nexthop *hop,
    const struct hosts *hosts, int64_t below, struct hosts_failure *failure)
{
	size_t	i;

	(void)fail(failure, true, "5.4.6", pool_printf(pool,
	    "mail for %s loops back to myself", hop->name));
	for (i = 0; i < hosts->count; i++)
		if (hosts->hosts[i].preference < below &&
		    hosts->hosts[i].result == HOSTS_TEMPORARY)
			(void)fail(failure, false, "4.4.3", pool_printf(pool,
			    "the name service does not tell the address of "
			    "%s now, which comes before us for %s",
			    hosts->hosts[i].name, hop->name));
	failure->is_final = true;
	return -1;
}

/* A path needs no question. */
static int
find_path(struct pool *pool, const struct nexthop *hop,
    struct target **targets, size_t *count)
{
	*targets = pool_alloc(pool, sizeof(**targets));
	(*targets)->host = site.myhostname;
	(*targets)->path = hop->name;
	*count = 1;
	return 0;
}

int
hosts_find(struct pool *pool, const struct nexthop *hop,
    struct target **targets, size_t *count, struct hosts_failure *failure)
{
	struct hosts	hosts;
	int64_t		below = INT64_MAX;
	int		got;

	if (hop->kind == NEXTHOP_UNIX)
		return find_path(pool, hop, targets, count);
	if ((got = ask_srv(pool, hop, &hosts, failure)) == 1)
		got = ask(pool, hop->name, hop->kind == NEXTHOP_DOMAIN ?
		    HOSTS_WITH_MX : 0, &hosts, failure);
	if (got == -1)
		return -1;
	if (hosts.result != HOSTS_OK)
		return explain(&hosts, failure);

	if (hop->kind == NEXTHOP_DOMAIN && hop->port == SMTP_PORT)
		below = our_preference(&hosts);
	*count = sort_addresses(pool, &hosts, below, hop, targets);
	if (*count > 0) {
		/* Whoever falls back sends to us again. */
		failure->is_final = below != INT64_MAX;
		return 0;
	}
	if (below != INT64_MAX)
		return fail_among_hosts(pool, hop, &hosts, below, failure);
	return fail(failure, false, "4.4.3", pool_printf(pool,
	    "no address of a host for %s could be found", hop->name));
}
