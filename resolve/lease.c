/*
 * lease.c - how long an answer about an address holds, and for whom else.
 *
 * Until the files of tables are looked at again nothing changes what they say,
 * so whoever was told need not ask before; but tables that say something new at
 * any time (users, and databases, which are changed where they are) are asked
 * each time. Where no table knows addresses, what is before the @ does not
 * matter: this holds for addresses with nothing special in them, and those who
 * ask know which these are.
 *
 * L1  An answer is leased only if nothing has changed while it was found out,
 *     and no longer than until the next look at any file.
 */
#include <string.h>

#include "common/base/clock.h"
#include "common/ipc/channel.h"
#include "resolve/resolve.h"

/* L1: how long from now on. */
static int64_t
time_left(const struct rules *r, int64_t generation)
{
	int64_t	left = tables_next_look() - clock_now();

	if (r->is_old || generation != rules_generation() || left < 0)
		return 0;
	return left < LEASE_MAX ? left : LEASE_MAX;
}

/* What the tables that both questions look at have to do with it. */
static struct lease
general(const struct rules *r, int64_t generation)
{
	struct lease	lease = { 0 };

	if (!r->has_still_addresses)
		return lease;
	lease.time = time_left(r, generation);
	if (!r->knows_senders)
		lease.scope |= LEASE_ANY_SENDER;
	if (!r->knows_addresses)
		lease.scope |= LEASE_DOMAIN;
	return lease;
}

/* `known`: the table that must know recipients of this class, or NULL. */
struct lease
lease_recipient(const struct rules *r, int64_t generation,
    const struct table *known, const struct ask_recipient *ask,
    const struct recipient_answer *answer)
{
	struct lease	lease = general(r, generation);

	if (known != NULL && !table_is_still(known))
		lease.time = 0;
	if ((known != NULL && !table_is_empty(known)) ||
	    strcmp(answer->address, ask->address) != 0)
		lease.scope &= ~LEASE_DOMAIN;
	return lease;
}

/* A mailbox is a site of its own. */
struct lease
lease_route(const struct rules *r, int64_t generation,
    const struct ask_route *ask, const struct route *route)
{
	struct lease	lease = general(r, generation);

	if (transport_kind(route->transport) == TRANSPORT_MAILBOX ||
	    strcmp(route->recipient, ask->address) != 0)
		lease.scope &= ~LEASE_DOMAIN;
	return lease;
}

void
lease_end_all(void)
{
	struct empty	nothing = { 0 };

	channel_post_all("smtpd", PACKET_CHANGED, &nothing);
	channel_post_all("qmgr", PACKET_CHANGED, &nothing);
}
