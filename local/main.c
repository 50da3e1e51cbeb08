/*
 * main.c - local: delivers to the users of this machine.
 *
 * A fiber for each message from qmgr. What it has to do as a recipient it has
 * done by a process of that user (homes.c, helper.c, mailbox.c); itself it is
 * a user without rights in a jail with nothing but sockets.
 *
 * L1  Every recipient gets exactly one outcome; "sent" only after the mailbox
 *     said that the message is on stable storage, or cleanup that it took it.
 */
#include <stdarg.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/daemon/daemon.h"
#include "common/mail/address.h"
#include "common/param/site.h"

#include "local/homes.h"
#include "local/local.h"
#include "local/spool.h"

enum { TEXT_MAX = 1000 };

struct settings	 set;
struct link	*to_resolve, *to_helper, *to_cleanup;

static unsigned	 deliveries;

/* Another daemon may take so long. */
int64_t
local_deadline(void)
{
	return clock_now() + 60 * 1000;
}

/* --- outcomes ------------------------------------------------------------ */

/* Does the new outcome outweigh the one there is? */
static bool
outweighs(int64_t new, int64_t old)
{
	static const int	weight[] = {
		[OUTCOME_SENT] = 1, [OUTCOME_BOUNCED] = 2,
		[OUTCOME_REROUTED] = 3, [OUTCOME_DEFERRED] = 4
	};

	return old == OUTCOME_OPEN || weight[new] > weight[old];
}

/* Log what happened and add it up. */
int
addressee_settle(struct addressee *a, enum outcome outcome, int64_t flags,
    const char *dsn, const char *format, ...)
{
	struct pool		*pool = a->delivery->pool;
	struct outcome_row	 row = { .number = a->row->number };
	static char		 nothing[1];
	struct str		 text;
	va_list			 ap;

	str_init(&text, pool, TEXT_MAX);
	va_start(ap, format);
	str_addv(&text, format, ap);
	va_end(ap);

	row.outcome = outcome;
	row.flags = flags;
	row.dsn = pool_strdup(pool, dsn);
	row.text = text.data;
	row.remote = row.diagnostic = nothing;
	a->times.done_us = clock_wall_us();
	if (a->times.ready_us == 0)
		a->times.ready_us = a->times.done_us;
	if (outcome != OUTCOME_REROUTED)
		agent_log(a->delivery->mail, a->row, "local", 0, &a->times,
		    &row);
	if (outweighs(outcome, a->outcome->outcome))
		*a->outcome = row;
	return outcome == OUTCOME_SENT || outcome == OUTCOME_REROUTED ? 0 : -1;
}

/* Will this recipient be tried again? */
bool
addressee_is_deferred(const struct addressee *a)
{
	return a->outcome->outcome == OUTCOME_DEFERRED;
}

/* --- one message --------------------------------------------------------- */

/* Take a recipient's address apart. */
static void
describe(struct addressee *a)
{
	struct pool	*pool = a->delivery->pool;
	const char	*local, *domain;
	size_t		 len, user_len;

	address_split(a->row->address, &local, &len, &domain);
	a->domain = pool_strdup(pool, domain != NULL ? domain : "");
	a->name = address_unquote_local(pool, local, len);
	text_lower(a->name);
	a->user = a->name;
	if (site.recipient_delimiter[0] != '\0' &&
	    address_split_extension(a->name, strlen(a->name),
	    site.recipient_delimiter, &user_len)) {
		a->user = pool_strndup(pool, a->name, user_len);
		a->extension = a->name + user_len + 1;
	}
}

/* Deliver to one recipient. */
WAITS static void
deliver_to(struct delivery *d, struct deliver_row *row,
    struct outcome_row *outcome)
{
	struct addressee	a = { .delivery = d, .row = row,
				    .outcome = outcome };

	outcome->number = row->number;
	outcome->outcome = OUTCOME_OPEN;
	a.times.start_us = clock_wall_us();
	describe(&a);
	recipient_deliver(&a);
}

/* DELIVER: each recipient in turn, then the answer to qmgr. */
WAITS static void
on_deliver(struct request *r)
{
	struct delivery		 d = { .pool = r->pool, .mail = r->object };
	struct outcome_row	*outcomes;
	size_t			 i;

	deliveries++;
	log_number = daemon_session_number();
	pool_owns_fd(r->pool, d.mail->message);
	if (daemon_unsupported() != NULL) {
		agent_report_all(r, "local", OUTCOME_DEFERRED, 0, "4.3.5",
		    daemon_unsupported());
		deliveries--;
		return;
	}
	outcomes = pool_array(d.pool, d.mail->count, sizeof(*outcomes));
	for (i = 0; i < d.mail->count; i++)
		deliver_to(&d, &d.mail->recipients[i], &outcomes[i]);
	agent_report(r, outcomes, d.mail->count);
	deliveries--;
}

/* --- main ---------------------------------------------------------------- */

/* Deliveries that run. */
static unsigned
busy(void)
{
	return deliveries;
}

/* Prepare the ways to the others. */
WAITS static void
start(void)
{
	to_resolve = link_new("resolve", site_processes("resolve"), NULL);
	to_helper = link_new("helper", site_processes("helper"), NULL);
	to_cleanup = link_new("cleanup", site_processes("cleanup"), NULL);
	homes_start();
}

static const struct param *const	params[] = {
	recipient_params, reroute_params, spool_params, NULL
};

static const struct peer	peers[] = {
	{ "qmgr",	PACKET_DELIVER,	on_deliver,	ON_A_FIBER },
	{ NULL,		PACKET_NONE,	NULL,		IN_ORDER }
};

/* Be local. */
int
main(int argc, char **argv)
{
	static const struct daemon	local = {
		.name = "local",
		.params = params,
		.peers = peers,
		.start = start,
		.busy = busy
	};

	return daemon_run(argc, argv, &local);
}
