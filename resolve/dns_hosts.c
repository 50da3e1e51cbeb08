/*
 * dns_hosts.c - the hosts that receive for a domain (RFC 5321 5.1).
 *
 * MX records in the order of preference; without any, the domain itself; a
 * single "." says that nobody receives (RFC 7505). That a name does not
 * exist, that it has no such records, and that nobody could tell are three
 * different answers: only the last may be tried again.
 */
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"
#include "resolve/dns.h"

enum {
	HOSTS_LIMIT = 100, ADDRESSES_LIMIT = 40, LOCAL_LIMIT = 20,
	FAMILIES = 2,
	AT_ONCE = 32		/* questions: each is a fiber */
};

struct search {
	struct pool	*pool;
	char		*name;		/* lower case, no final dot */
	bool		 names_only;
	struct hosts	*to;
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
add_address(struct pool *pool, struct host_row *host,
    const struct inetaddr *a)
{
	char	text[INETADDR_TEXT];

	if (host->addresses == NULL)
		host->addresses = pool_array(pool, ADDRESSES_LIMIT,
		    sizeof(*host->addresses));
	if (host->count == ADDRESSES_LIMIT || !is_wanted(a))
		return;
	host->addresses[host->count++].address =
	    pool_strdup(pool, inetaddr_print(a, text, sizeof text));
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
		add_address(s->pool, host, &a);
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

/* Look all hosts up; the whole has the best result of any host. */
static WAITS void
find_addresses(struct search *s)
{
	struct hosts	*to = s->to;
	struct query	*queries;
	char		*text = NULL;
	size_t		 i, each = 0, n = 0;
	bool		 has_ok = false, has_temporary = false;

	queries = pool_array(s->pool, to->count * FAMILIES, sizeof(*queries));
	for (i = 0; i < to->count; i++)
		n += each = add_queries(queries + n, to->hosts[i].name);
	ask_all(s->pool, queries, n);
	for (i = 0; i < to->count; i++) {
		judge(s, &to->hosts[i], queries + i * each, each, &text);
		if (to->hosts[i].result == HOSTS_OK)
			has_ok = true;
		if (to->hosts[i].result == HOSTS_TEMPORARY &&
		    !has_temporary) {
			has_temporary = true;
			to->text = text;
		}
	}
	if (has_ok) {
		to->text = pool_strdup(s->pool, "");
		return;
	}
	to->result = has_temporary ? HOSTS_TEMPORARY : to->had_mx ||
	    to->count != 1 ? HOSTS_NONE : to->hosts[0].result;
	if (!has_temporary)
		to->text = text;
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
	add_address(s->pool, host, &a);
	if (host->count == 0) {
		s->to->result = host->result = HOSTS_NONE;
		s->to->text = pool_printf(s->pool, "address %s: inet_protocols "
		    "does not list its family", plain);
	}
	return true;
}

/* localhost and the hosts file. */
static bool
find_local(struct search *s)
{
	struct inetaddr	 found[LOCAL_LIMIT];
	struct host_row	*host;
	size_t		 i, n;

	n = local_addresses(s->name, found, LOCAL_LIMIT);
	if (n == 0)
		return false;
	host = add_host(s, s->name, 0);
	for (i = 0; i < n; i++)
		add_address(s->pool, host, &found[i]);
	if (host->count > 0)
		return true;
	s->to->count = 0;
	return false;
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

/* Answer the question. */
WAITS void
hosts_find(struct pool *pool, const struct ask_hosts *ask, struct hosts *to)
{
	struct search	s = { .pool = pool, .to = to };
	bool		wants_mx = (ask->flags & HOSTS_WITH_MX) != 0 &&
			    !dns_set.disable_dns_lookups;

	memset(to, 0, sizeof(*to));
	to->ttl = INT32_MAX;
	to->text = pool_strdup(pool, "");
	to->hosts = pool_array(pool, HOSTS_LIMIT, sizeof(*to->hosts));
	s.name = clean_name(pool, ask->name);
	if (find_literal(&s) || ((!wants_mx || text_equal(s.name,
	    "localhost")) && find_local(&s)))
		return;
	if (!answer_is_host_name(s.name)) {
		to->result = HOSTS_NO_DOMAIN;
		to->text = pool_printf(pool, "Host or domain name not found. "
		    "%.255s is not a valid domain name", s.name);
		return;
	}
	to->is_secure = true;
	if (!wants_mx)
		add_host(&s, s.name, 0);
	else if (!find_mx(&s))
		return;
	if ((ask->flags & HOSTS_NAMES_ONLY) == 0)
		find_addresses(&s);
}
