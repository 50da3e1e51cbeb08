/*
 * main.c - local, virtual and pipe: deliver to the users of this machine, to
 * mailboxes of nobody's, and to programs.
 *
 * A fiber for each message from qmgr. What it has to do as a recipient it has
 * done by a process of that user (homes.c, helper.c, mailbox.c); itself it is
 * a user without rights in a jail with nothing but sockets.
 *
 * Which of the three a service is, the command of its line in master.cf tells.
 *
 * L1  Every recipient gets exactly one outcome; "sent" only after the mailbox
 *     said that the message is on stable storage, or cleanup that it took it.
 * L2  qmgr hears of each recipient as soon as it has its outcome: who dies in
 *     the middle of many gives none of them the mail twice but the one at hand.
 *     When qmgr dies, nobody after that one gets it.
 */
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "common/param/site.h"

#include "local/homes.h"
#include "local/local.h"
#include "local/locking.h"
#include "local/spool.h"
#include "local/turns.h"

struct link	*to_resolve, *to_helper, *to_cleanup;

static unsigned	 deliveries;

/* Another daemon may take so long. */
int64_t
local_deadline(void)
{
	return clock_now() + 60 * 1000;
}

/* --- one message --------------------------------------------------------- */

/* Is this what the service does? */
static bool
is_command(const char *name)
{
	return strcmp(daemon_command(), name) == 0;
}

/* Is there still a qmgr that wants to know? Another one will ask again. */
bool
is_asked(const struct delivery *d)
{
	return channel_is_open(d->request->channel);
}

/* Deliver to all recipients; qmgr hears of each at once (L2). */
WAITS static void
deliver_all(struct delivery *d, struct outcome_row *outcomes)
{
	bool			is_virtual = is_command("virtual");
	struct addressee	a;
	size_t			i, told = 0;

	for (i = 0; i < d->mail->count && is_asked(d); i++) {
		agent_report_some(d->request, outcomes + told, i - told);
		told = i;
		addressee_open(&a, d, &d->mail->recipients[i], &outcomes[i]);
		if (is_virtual)
			virtual_deliver(&a);
		else
			recipient_deliver(&a);
	}
	agent_report(d->request, outcomes + told, i - told);
}

/* DELIVER: each recipient in turn, then the answer to qmgr. */
WAITS static void
on_deliver(struct request *r)
{
	struct delivery		 d = { .pool = r->pool, .mail = r->object,
				    .request = r };
	struct outcome_row	*outcomes;

	deliveries++;
	log_number = daemon_session_number();
	pool_owns_fd(r->pool, d.mail->message);
	if (daemon_unsupported() != NULL) {
		agent_report_all(r, daemon_service(), OUTCOME_DEFERRED, 0,
		    "4.3.5", daemon_unsupported());
		deliveries--;
		return;
	}
	outcomes = pool_array(d.pool, d.mail->count, sizeof(*outcomes));
	if (is_command("pipe"))
		pipe_deliver(&d, outcomes);
	else
		deliver_all(&d, outcomes);
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
	alias_prepare();
	locking_prepare();
	log_name(site.syslog_name, daemon_command());
}

static const struct param *const	params[] = {
	recipient_params, reroute_params, spool_params, shell_params,
	expand_params, alias_params, nested_params, forward_params,
	errand_params, turns_params, virtual_params, locking_params,
	outcome_params, NULL
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
		.before = pipe_prepare,
		.start = start,
		.busy = busy
	};

	return daemon_run(argc, argv, &local);
}
