/*
 * lookup.c - what a table says of somebody.
 *
 * Called by alias.c and reroute.c. resolve reads the tables, those of our own
 * line in master.cf if it has any.
 */
#include "common/daemon/daemon.h"

#include "local/local.h"

/* Ask for the keys. */
int
look_up(struct addressee *a, const char *parameter, struct key_row *keys,
    size_t count, struct found *found)
{
	struct pool		*pool = a->delivery->pool;
	struct ask_lookup	 ask = {
		.service = pool_printf(pool, "%s/unix", daemon_service()),
		.parameter = pool_strdup(pool, parameter),
		.how = LOOKUP_KEYS, .keys = keys, .count = count
	};

	if (link_ask(to_resolve, PACKET_ASK_LOOKUP, &ask, PACKET_FOUND, found,
	    pool, local_deadline(), true) == -1 ||
	    found->result == LOOKUP_TEMPORARY)
		return -1;
	return found->result == LOOKUP_FOUND;
}
