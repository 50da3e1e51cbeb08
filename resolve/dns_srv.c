/*
 * dns_srv.c - the order in which the hosts of a service are tried (RFC 2782).
 *
 * The least priority first; among equals a lottery for each place, in which a
 * record has as many tickets as its weight says.
 */
#include <stdlib.h>
#include <string.h>

#include "resolve/dns.h"

/* By priority; those of no weight in front, as the RFC wants it, and the rest
 * by name, so that chance alone decides. */
static int
by_priority(const void *a, const void *b)
{
	const struct answer_record	*x = a, *y = b;

	if (x->preference != y->preference)
		return x->preference < y->preference ? -1 : 1;
	if ((x->weight == 0) != (y->weight == 0))
		return x->weight == 0 ? -1 : 1;
	return strcasecmp(x->name, y->name);
}

/* Who wins the next place among these. */
static size_t
draw(const struct answer_record *records, size_t count,
    uint32_t (*below)(uint32_t))
{
	uint32_t	total = 0, ticket;
	size_t		i;

	for (i = 0; i < count; i++)
		total += records[i].weight;
	if (total == 0)		/* nobody has a ticket: all alike */
		return below((uint32_t)count);
	ticket = below(total + 1);
	for (i = 0; i + 1 < count; i++) {
		if (ticket <= records[i].weight)
			break;
		ticket -= records[i].weight;
	}
	return i;
}

/* Fill the places of one priority. */
static void
shuffle(struct answer_record *records, size_t count,
    uint32_t (*below)(uint32_t))
{
	struct answer_record	winner;
	size_t			n;

	for (; count > 1; records++, count--) {
		n = draw(records, count, below);
		winner = records[n];
		memmove(records + 1, records, n * sizeof(*records));
		*records = winner;
	}
}

/* Put all into the order in which to try them. */
void
srv_order(struct answer_record *records, size_t count,
    uint32_t (*below)(uint32_t))
{
	size_t	first, end;

	if (count == 0)
		return;
	qsort(records, count, sizeof(*records), by_priority);
	for (first = 0; first < count; first = end) {
		for (end = first + 1; end < count && records[end].preference ==
		    records[first].preference; end++)
			;
		shuffle(records + first, end - first, below);
	}
}
