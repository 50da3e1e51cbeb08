/*
 * dns_hosts.c - the hosts that receive for a domain (RFC 5321 5.1).
 *
 * MX records in the order of preference; without any, the domain itself; a
 * single "." says that nobody receives (RFC 7505). Or SRV records in the order
 * of dns_srv.c, and nothing instead of them. That a name does not exist, that
 * it has no such records, and that nobody could tell are three different
 * answers: only the last may be tried again.
 *
 * Addresses come from DNS, or from the hosts file first, or from the file for
 * those that DNS has not, as the question says (smtp_host_lookup).
 */
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"
#include "resolve/dns.h"

enum {
	HOSTS_LIMIT = 100, ADDRESSES_LIMIT = 40, LOCAL_LIMIT = 20,
	ADDRESSES_TOTAL = 450,	/* with as many hosts they fit a packet */
	FAMILIES = 2,
	AT_ONCE = 32		/* questions: each is a fiber */
};

/* When the hosts file counts. */
enum file_use { FILE_NEVER, FILE_FIRST, FILE_LAST };

struct search {
	struct pool	*pool;
	char		*name;		/* lower case, no final dot */
	enum file_use	 file;
	bool		 is_blind;	/* no MX records, SRV records */
	struct hosts	*to;
	size_t		 addresses;	/* of all hosts */
};

/* --- words --------------------------------------------------------------- */

/* The sentence for an answer that has no host. */
static char *
service_error(struct pool *pool, const char *name, enum answer_type type,
    const struct answer *a)
{
	const char	*what;

	switch (a->result) {
	case ANSWER_NO_NAME:
		what = "Host not found";
		break;
	case ANSWER_NO_DATA:
		what = "Host found but no data record of requested type";
		break;
	default:
		what = "Host not found, try again";
		break;
	}
	return pool_printf(pool, "Host or domain name not found. Name service "
	    "error for name=%s type=%s: %s%s%s%s", name, type_name(type),
	    what, a->why != NULL ? " (" : "", a->why != NULL ? a->why : "",
	    a->why != NULL ? ")" : "");
}

/* The word of packets.h for an answer. */
static enum hosts_result
result_of(enum answer_result result)
{
	switch (result) {
	case ANSWER_OK:
		return HOSTS_OK;
	case ANSWER_NO_DATA:
		return HOSTS_NONE;
	case ANSWER_NO_NAME:
		return HOSTS_NO_DOMAIN;
	default:
		return HOSTS_TEMPORARY;
	}
}

/* The whole lives as long as its shortest part. */
static void
lower_ttl(struct hosts *to, uint32_t ttl)
{
	if ((int64_t)ttl < to->ttl)
		to->ttl = ttl;
}

/* --- addresses ----------------------------------------------------------- */

/* Does inet_protocols list the family? */
static bool
is_wanted(const struct inetaddr *a)
{
	return a->family == AF_INET ? dns_set.wants_ipv4 : dns_set.wants_ipv6;
}

/* One more address of a host. */
static void
add_address(struct search *s, struct host_row *host, const struct inetaddr *a)
{
	char	text[INETADDR_TEXT];

	if (host->addresses == NULL)
		host->addresses = pool_array(s->pool, ADDRESSES_LIMIT,
		    sizeof(*host->addresses));
	if (host->count == ADDRESSES_LIMIT || !is_wanted(a) ||
	    s->addresses == ADDRESSES_TOTAL)
		return;
	s->addresses++;
	host->addresses[host->count++].address =
	    pool_strdup(s->pool, inetaddr_print(a, text, sizeof text));
}

/* The addresses that one answer holds. */
static void
add_answer(struct search *s, struct host_row *host, const struct query *q)
{
	struct inetaddr	a;
	size_t		i;

	for (i = 0; i < q->answer.count; i++) {
		memset(&a, 0, sizeof a);
		a.family = q->type == ANSWER_A ? AF_INET : AF_INET6;
		memcpy(a.bytes, q->answer.records[i].address,
		    q->type == ANSWER_A ? 4 : 16);
		add_address(s, host, &a);
	}
	if (q->answer.count > 0) {
		lower_ttl(s->to, q->answer.ttl);
		s->to->is_secure = s->to->is_secure && q->is_secure;
	}
}

/* Which answer tells best why a host has no address: one that may change. */
static const struct query *
worst(const struct query *queries, size_t count)
{
	size_t	i;

	for (i = 0; i < count; i++)
		if (queries[i].answer.result == ANSWER_FAILED)
			return &queries[i];
	return &queries[0];
}

/* The questions about one host, in the families that are wanted. */
static size_t
add_queries(struct query *to, const char *name)
{
	size_t	n = 0;

	if (dns_set.wants_ipv4)
		to[n++] = (struct query){ .name = name, .type = ANSWER_A };
	if (dns_set.wants_ipv6)
		to[n++] = (struct query){ .name = name, .type = ANSWER_AAAA };
	return n;
}

/* Judge one host by its answers; text tells why it has no address. */
static void
judge(struct search *s, struct host_row *host, const struct query *queries,
    size_t count, char **text)
{
	const struct query	*q;
	size_t			 i;

	/* IPv6 first: who has it wants it used. */
	for (i = count; i-- > 0; )
		add_answer(s, host, &queries[i]);
	if (host->count > 0) {
		host->result = HOSTS_OK;
		return;
	}
	q = worst(queries, count);
	host->result = result_of(q->answer.result);
	if (host->result == HOSTS_OK)
		host->result = HOSTS_NONE;
	*text = service_error(s->pool, host->name, q->type, &q->answer);
}

/* Ask a few at a time, so that nobody's domain has us start fibers until there
 * are no stacks left. */
static WAITS void
ask_all(struct pool *pool, struct query *queries, size_t count)
{
	size_t	n;

	for (; count > 0; queries += n, count -= n) {
		n = count < AT_ONCE ? count : AT_ONCE;
		query_all(pool, queries, n);
	}
}

/* localhost and the hosts file: true when that settles the host. */
static bool
fill_from_file(struct search *s, struct host_row *host)
{
	struct inetaddr	 found[LOCAL_LIMIT];
	size_t		 i, n;

	n = local_addresses(host->name, found, LOCAL_LIMIT);
	for (i = 0; i < n; i++)
		add_address(s, host, &found[i]);
	if (host->count == 0)
		return false;
	host->result = HOSTS_OK;
	s->to->is_secure = false;
	return true;
}

/* The result of the whole: the best of any host. */
static void
sum_up(struct search *s, char *text)
{
	struct hosts	*to = s->to;
	bool		 has_temporary = false;
	size_t		 i;

	for (i = 0; i < to->count; i++) {
		if (to->hosts[i].result == HOSTS_OK) {
			to->text = pool_strdup(s->pool, "");
			return;
		}
		if (to->hosts[i].result == HOSTS_TEMPORARY)
			has_temporary = true;
	}
	to->text = text;
	to->result = has_temporary ? HOSTS_TEMPORARY : to->had_mx ||
	    to->count != 1 ? HOSTS_NONE : to->hosts[0].result;
}

/* Look all hosts up. The text is about the first that may be found later, or
 * about the last. */
static WAITS void
find_addresses(struct search *s)
{
	struct hosts	*to = s->to;
	struct host_row	*host;
	struct query	*queries, *next;
	char		*text = NULL, *why = NULL;
	size_t		 each = 0, n = 0;
	bool		 has_temporary = false;

	queries = pool_array(s->pool, to->count * FAMILIES, sizeof(*queries));
	for (host = to->hosts; host < to->hosts + to->count; host++)
		if (s->file != FILE_FIRST || !fill_from_file(s, host))
			n += each = add_queries(queries + n, host->name);
	ask_all(s->pool, queries, n);
	for (host = to->hosts, next = queries; host < to->hosts + to->count;
	    host++) {
		if (host->count > 0)
			continue;
		judge(s, host, next, each, &why);
		next += each;
		if (host->result == HOSTS_OK ||
		    (s->file == FILE_LAST && fill_from_file(s, host)))
			continue;
		if (!has_temporary)
			text = why;
		has_temporary |= host->result == HOSTS_TEMPORARY;
	}
	sum_up(s, text);
}

/* --- hosts --------------------------------------------------------------- */

/* One more host. */
static struct host_row *
add_host(struct search *s, const char *name, uint16_t preference)
{
	struct host_row	*host = &s->to->hosts[s->to->count++];

	host->name = pool_strdup(s->pool, name);
	host->preference = preference;
	return host;
}

/* By preference, then by name, so that answers are alike each time. */
static int
by_preference(const void *a, const void *b)
{
	const struct answer_record	*x = a, *y = b;

	if (x->preference != y->preference)
		return x->preference < y->preference ? -1 : 1;
	return strcasecmp(x->name, y->name);
}

/* MX records to hosts. Beside other hosts a "." means nothing. */
static void
add_mx(struct search *s, struct answer *a)
{
	size_t	i, n = 0;

	for (i = 0; i < a->count; i++)
		if (*a->records[i].name != '\0')
			a->records[n++] = a->records[i];
	qsort(a->records, n, sizeof(*a->records), by_preference);
	for (i = 0; i < n && s->to->count < HOSTS_LIMIT; i++) {
		text_lower(a->records[i].name);
		add_host(s, a->records[i].name, a->records[i].preference);
	}
}

/* Ask for MX. true: go on to addresses. */
static WAITS bool
find_mx(struct search *s)
{
	struct query	 q = { .name = s->name, .type = ANSWER_MX };
	struct hosts	*to = s->to;

	query_all(s->pool, &q, 1);
	to->is_secure = q.is_secure;
	switch (q.answer.result) {
	case ANSWER_OK:
		break;
	case ANSWER_NO_DATA:
		add_host(s, s->name, 0);
		return true;
	case ANSWER_FAILED:
		if (dns_set.ignores_mx_error) {
			add_host(s, s->name, 0);
			return true;
		}
		/* FALLTHROUGH */
	default:
		to->result = result_of(q.answer.result);
		to->text = service_error(s->pool, s->name, ANSWER_MX,
		    &q.answer);
		return false;
	}
	to->had_mx = true;
	lower_ttl(to, q.answer.ttl);
	add_mx(s, &q.answer);
	if (to->count > 0)
		return true;
	to->result = HOSTS_NULL_MX;
	to->text = pool_printf(s->pool, "Domain %s does not accept mail "
	    "(nullMX)", s->name);
	return false;
}

/* Ask for SRV. true: go on to addresses. */
static WAITS bool
find_srv(struct search *s)
{
	struct query	 q = { .name = s->name, .type = ANSWER_SRV };
	struct hosts	*to = s->to;
	struct host_row	*host;
	size_t		 i;

	query_all(s->pool, &q, 1);
	to->is_secure = q.is_secure;
	if (q.answer.result != ANSWER_OK) {
		to->result = result_of(q.answer.result);
		to->text = service_error(s->pool, s->name, ANSWER_SRV,
		    &q.answer);
		return false;
	}
	to->had_mx = true;
	lower_ttl(to, q.answer.ttl);
	srv_order(q.answer.records, q.answer.count, arc4random_uniform);
	for (i = 0; i < q.answer.count && to->count < HOSTS_LIMIT; i++) {
		if (*q.answer.records[i].name == '\0')
			continue;
		text_lower(q.answer.records[i].name);
		host = add_host(s, q.answer.records[i].name,
		    q.answer.records[i].preference);
		host->port = q.answer.records[i].port;
	}
	if (to->count > 0)
		return true;
	to->result = HOSTS_NULL_MX;
	to->text = pool_printf(s->pool, "The service %s is not available (its "
	    "SRV record names no host)", s->name);
	return false;
}

/* "[192.0.2.1]", "[IPv6:2001:db8::1]", or either without brackets. */
static bool
find_literal(struct search *s)
{
	struct host_row	*host;
	struct inetaddr	 a;
	char		 plain[INETADDR_TEXT], *text = s->name;
	size_t		 len = strlen(text);

	if (len > 2 && text[0] == '[' && text[len - 1] == ']')
		text = pool_strndup(s->pool, text + 1, len - 2);
	if (text_starts(text, "ipv6:"))
		text += strlen("ipv6:");
	if (!inetaddr_parse(&a, text))
		return false;
	host = add_host(s, inetaddr_print(&a, plain, sizeof plain), 0);
	add_address(s, host, &a);
	if (host->count == 0) {
		s->to->result = host->result = HOSTS_NONE;
		s->to->text = pool_printf(s->pool, "address %s: inet_protocols "
		    "does not list its family", plain);
	}
	return true;
}

/* Names in brackets are hosts, names without a final dot are as good. */
static char *
clean_name(struct pool *pool, const char *name)
{
	char	*copy = pool_strdup(pool, name);
	size_t	 len;

	text_lower(copy);
	len = strlen(copy);
	if (len > 1 && copy[len - 1] == '.')
		copy[len - 1] = '\0';
	return copy;
}

/* What the question says about the hosts file; without a word it is for those
 * who name a host themselves. */
static enum file_use
use_of_file(int64_t flags, bool is_blind)
{
	bool	wants_records = (flags & (HOSTS_WITH_MX | HOSTS_WITH_SRV)) != 0;

	if (is_blind)
		return FILE_FIRST;
	switch (flags & (HOSTS_FROM_DNS | HOSTS_FROM_FILE)) {
	case HOSTS_FROM_DNS:
		return FILE_NEVER;
	case HOSTS_FROM_FILE:
		return FILE_FIRST;
	case 0:
		return wants_records ? FILE_NEVER : FILE_FIRST;
	default:
		return FILE_LAST;
	}
}

/* The hosts whose addresses are wanted. false: there are none. */
static WAITS bool
find_hosts(struct search *s, int64_t flags)
{
	s->to->is_secure = true;
	if ((flags & HOSTS_WITH_SRV) != 0)
		return find_srv(s);
	if ((flags & HOSTS_WITH_MX) != 0 && !s->is_blind)
		return find_mx(s);
	add_host(s, s->name, 0);
	return true;
}

/* What the name itself is, and all that is known of it. */
static WAITS void
find_name(struct search *s, int64_t flags)
{
	struct hosts	*to = s->to;

	if (find_literal(s))
		return;
	/* RFC 6761 6.3: no server may say what localhost is. */
	if (text_equal(s->name, "localhost")) {
		(void)fill_from_file(s, add_host(s, s->name, 0));
		return;
	}
	if (!answer_is_host_name(s->name)) {
		to->result = HOSTS_NO_DOMAIN;
		to->text = pool_printf(s->pool, "Host or domain name not "
		    "found. %.255s is not a valid domain name", s->name);
		return;
	}
	if (find_hosts(s, flags) && (flags & HOSTS_NAMES_ONLY) == 0)
		find_addresses(s);
}

/* Answer the question. */
WAITS void
hosts_find(struct pool *pool, const struct ask_hosts *ask, bool is_blind,
    struct hosts *to)
{
	struct search	s = { .pool = pool, .to = to };

	memset(to, 0, sizeof(*to));
	to->ttl = INT32_MAX;
	to->text = pool_strdup(pool, "");
	to->hosts = pool_array(pool, HOSTS_LIMIT, sizeof(*to->hosts));
	s.name = clean_name(pool, ask->name);
	s.is_blind = is_blind || dns_set.disable_dns_lookups;
	s.file = use_of_file(ask->flags, s.is_blind);
	find_name(&s, ask->flags);
}

/* Answer for the first of a short name's completions that exists. */
WAITS void
hosts_search(struct pool *pool, const struct ask_hosts *ask, struct hosts *to)
{
	struct ask_hosts	 question = *ask;
	const char		**name = search_names(pool, ask->name);
	bool			 is_blind = text_equal(dns_set.support,
				    "disabled");

	for (; *name != NULL; name++) {
		question.name = pool_strdup(pool, *name);
		hosts_find(pool, &question, is_blind, to);
		if (to->result != HOSTS_NO_DOMAIN)
			return;
	}
}
