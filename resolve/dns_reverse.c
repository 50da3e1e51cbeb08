/*
 * dns_reverse.c - the name of an address, believed only when the name has
 * that address.
 */
#include <string.h>

#include "common/base/str.h"
#include "common/base/text.h"
#include "resolve/dns.h"

enum { NAMES_TRIED = 3 };

/* "1.2.0.192.in-addr.arpa", or the nibbles under ip6.arpa. */
static char *
reverse_name(struct pool *pool, const struct inetaddr *a)
{
	struct str	name;
	int		i;

	if (a->family == AF_INET)
		return pool_printf(pool, "%u.%u.%u.%u.in-addr.arpa",
		    a->bytes[3], a->bytes[2], a->bytes[1], a->bytes[0]);
	str_init(&name, pool, 0);
	for (i = 15; i >= 0; i--)
		str_addf(&name, "%x.%x.", a->bytes[i] & 0xf,
		    a->bytes[i] >> 4);
	str_add(&name, "ip6.arpa");
	return name.data;
}

/* Is the address among those of the answer? */
static bool
has_address(const struct query *q, const struct inetaddr *a)
{
	size_t	i;

	for (i = 0; i < q->answer.count; i++)
		if (memcmp(q->answer.records[i].address, a->bytes,
		    a->family == AF_INET ? 4 : 16) == 0)
			return true;
	return false;
}

/* Ask for the names' own addresses. */
static WAITS void
verify(struct pool *pool, const struct inetaddr *a, const struct query *names,
    struct reverse *to)
{
	struct query	queries[NAMES_TRIED];
	size_t		i, n = 0;
	bool		is_temporary = false;

	for (; n < NAMES_TRIED && n < names->answer.count; n++)
		queries[n] = (struct query){
		    .name = names->answer.records[n].name,
		    .type = a->family == AF_INET ? ANSWER_A : ANSWER_AAAA };
	query_all(pool, queries, n);
	for (i = 0; i < n; i++) {
		if (has_address(&queries[i], a)) {
			to->result = HOSTS_OK;
			to->name = pool_strdup(pool, queries[i].name);
			text_lower(to->name);
			return;
		}
		if (queries[i].answer.result == ANSWER_FAILED)
			is_temporary = true;
	}
	to->result = is_temporary ? HOSTS_TEMPORARY : HOSTS_NONE;
}

/* Answer the question. */
WAITS void
reverse_find(struct pool *pool, const char *address, struct reverse *to)
{
	struct query	 q = { .type = ANSWER_PTR };
	struct inetaddr	 a;
	const char	*name;

	memset(to, 0, sizeof(*to));
	to->name = to->claimed = pool_strdup(pool, "unknown");
	to->result = HOSTS_NONE;
	if (!inetaddr_parse(&a, address))
		return;
	if ((name = local_name(&a)) != NULL) {
		to->result = HOSTS_OK;
		to->name = to->claimed = pool_strdup(pool, name);
		return;
	}
	q.name = reverse_name(pool, &a);
	query_all(pool, &q, 1);
	if (q.answer.result != ANSWER_OK) {
		if (q.answer.result == ANSWER_FAILED)
			to->result = HOSTS_TEMPORARY;
		return;
	}
	to->claimed = pool_strdup(pool, q.answer.records[0].name);
	text_lower(to->claimed);
	verify(pool, &a, &q, to);
}
