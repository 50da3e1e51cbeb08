/*
 * delivery.c - one message, its recipients, until each has an answer.
 *
 * Called for each PACKET_DELIVER from qmgr, on a fiber of its own: take a
 * warm conversation or try the hosts in turn, and let transaction.c speak.
 *
 * P1  Every recipient gets exactly one outcome, and "sent" only after the
 *     host's 2yz to the final dot.
 * P2  A recipient that a host has answered for is not offered to another.
 */

#include "smtp/delivery.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/daemon/daemon.h"

#include "smtp/cache.h"
#include "smtp/hosts.h"
#include "smtp/settings.h"

static unsigned	 deliveries;

unsigned
delivery_count(void)
{
	return deliveries;
}

void
delivery_settle(struct delivery *d, size_t n, const struct connection *c,
    enum outcome outcome, const char *dsn, const char *text,
    const char *diagnostic)
{
	struct outcome_row	*row = &d->outcomes[n];

	row->outcome = outcome;
	row->dsn = pool_strdup(d->pool, dsn);
	row->text = pool_strdup(d->pool, text);
	row->remote = c == NULL ? "" : pool_printf(d->pool, "dns; %s",
	    c->host);
	row->diagnostic = pool_strdup(d->pool, diagnostic);
	if (outcome == OUTCOME_SENT && c != NULL && !c->has_dsn)
		row->flags |= OUTCOME_RELAYED;
	d->open--;

	d->times.done_us = clock_wall_us();
	agent_log(d->mail, &d->mail->recipients[n],
	    c != NULL ? c->relay : "none", c != NULL ? c->uses : 0, &d->times,
	    row);
}

/* Nobody is left to try: the open ones get what the last host said. */
static void
settle_rest(struct delivery *d)
{
	size_t	i;

	if (d->times.ready_us == 0)
		d->times.ready_us = clock_wall_us();
	for (i = 0; i < d->mail->count; i++) {
		if (d->outcomes[i].outcome != OUTCOME_OPEN)
			continue;
		if (!d->had_session && !d->is_permanent)
			d->outcomes[i].flags |= OUTCOME_SITE_FAILED;
		delivery_settle(d, i, NULL, d->is_permanent ?
		    OUTCOME_BOUNCED : OUTCOME_DEFERRED, d->dsn, d->why, "");
	}
}

/* Speak with this host; the conversation stays warm if it ended well. */
WAITS static void
use(struct delivery *d, struct connection *c)
{
	d->had_session = true;
	d->times.ready_us = clock_wall_us();
	c->uses++;
	if (transaction_run(d, c) == 0)
		cache_give(c);
	else
		connection_close(c);
}

/*
 * A conversation that earlier mail left. One that broke before the host said
 * anything tells nothing about the host: as if it had not been there.
 */
WAITS static void
try_warm(struct delivery *d)
{
	struct connection	*c;
	size_t			 before;

	if ((c = cache_take(d->mail->nexthop)) == NULL)
		return;
	before = d->open;
	use(d, c);
	if (d->open == before)
		d->had_session = false;
}

/* The hosts of the next hop, best first, until nobody is open. */
WAITS static void
try_hosts(struct delivery *d)
{
	struct hosts_failure	 failure;
	struct target		*targets;
	struct connection	*c;
	size_t			 count, i, tried, sessions;

	if (hosts_find(d->pool, d->mail->nexthop, &targets, &count,
	    &failure) == -1) {
		d->why = failure.text;
		d->dsn = failure.dsn;
		d->is_permanent = failure.is_permanent;
		return;
	}
	tried = sessions = 0;
	for (i = 0; i < count && d->open > 0; i++) {
		if ((set.address_limit > 0 &&
		    tried++ >= (size_t)set.address_limit) ||
		    (set.session_limit > 0 &&
		    sessions >= (size_t)set.session_limit))
			break;
		c = connection_open(d->pool, &targets[i], d->mail->nexthop,
		    &d->why, &d->dsn, &d->is_permanent);
		if (c == NULL) {
			log_info("%s", d->why);
			continue;
		}
		sessions++;
		use(d, c);
	}
}

void
on_deliver(struct request *r)
{
	struct delivery	 d;
	size_t		 i;

	deliveries++;
	log_number = daemon_session_number();
	memset(&d, 0, sizeof(d));
	d.pool = r->pool;
	d.request = r;
	d.mail = r->object;
	pool_owns_fd(r->pool, d.mail->message);

	if (daemon_unsupported() != NULL) {
		agent_report_all(r, "none", OUTCOME_DEFERRED, 0, "4.3.5",
		    daemon_unsupported());
		deliveries--;
		return;
	}
	d.outcomes = pool_array(d.pool, d.mail->count, sizeof(*d.outcomes));
	d.open = d.mail->count;
	for (i = 0; i < d.mail->count; i++) {
		d.outcomes[i].number = d.mail->recipients[i].number;
		d.outcomes[i].outcome = OUTCOME_OPEN;
	}
	d.times.start_us = clock_wall_us();
	d.dsn = "4.4.1";
	d.why = "no host could be reached";

	try_warm(&d);
	if (d.open > 0)
		try_hosts(&d);
	settle_rest(&d);
	agent_report(r, d.outcomes, d.mail->count);
	deliveries--;
}
