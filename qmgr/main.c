/*
 * main.c - qmgr, the queue manager: the only scheduler, and the only writer
 * of a queue file after its commit.
 *
 * One process, one thread. scan.c brings messages into memory, route.c asks
 * where their recipients go, or filter.c says where all of them go first,
 * schedule.c says whose turn it is, lane.c and dispatch.c hand deliveries to
 * the agents, outcome.c ends a message (record.c writes down how, renew.c
 * brings it to cleanup again), sync.c sees that the disk knows,
 * again.c when it is tried again. evict.c keeps one site from filling the
 * memory; flush.c and control.c are what others can ask for.
 */
#include <errno.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "common/ipc/answers.h"
#include "common/param/site.h"
#include "common/queue/queue.h"
#include "qmgr/control.h"
#include "qmgr/dispatch.h"
#include "qmgr/evict.h"
#include "qmgr/filter.h"
#include "qmgr/flush.h"
#include "qmgr/inflow.h"
#include "qmgr/notify.h"
#include "qmgr/outcome.h"
#include "qmgr/patience.h"
#include "qmgr/renew.h"
#include "qmgr/retry.h"
#include "qmgr/route.h"
#include "qmgr/scan.h"
#include "qmgr/storm.h"
#include "qmgr/sync.h"
#include "qmgr/unfiled.h"
#include "qmgr/users.h"

enum { LOCK_PAUSE = 50, LOCK_PATIENCE = 5000 };

struct link	*to_resolve, *to_bounce;

static const struct param *const	params[] = {
	retry_params, transport_params, dispatch_params, evict_params,
	notify_params, storm_params, users_params, filter_params, NULL
};

static const struct peer	peers[] = {
	{ "cleanup",	PACKET_NEW_MAIL,	on_new_mail,	IN_ORDER },
	{ "cleanup",	PACKET_ASK_INFLOW,	on_ask_inflow,	IN_ORDER },
	{ "smtpd",	PACKET_FLUSH_SITE,	on_flush_site,	ON_A_FIBER },
	{ "*",		PACKET_QUEUE_COMMAND,	on_command,	ON_A_FIBER },
	{ NULL,		PACKET_NONE,		NULL,		IN_ORDER }
};

static const struct peer	agents[] = {
	{ "*",		PACKET_OUTCOME,		on_outcome,	IN_ORDER },
	{ NULL,		PACKET_NONE,		NULL,		IN_ORDER }
};

/* While master.cf is in sight. */
static void
before(void)
{
	transports_read();
	message_prepare();
	if (daemon_is_checking())
		return;
	if (queue_open(daemon_queue_fd(), 1u << QUEUE_INCOMING |
	    1u << QUEUE_DEFERRED | 1u << QUEUE_HOLD | 1u << QUEUE_CORRUPT) ==
	    -1)
		die("the queue directories below %s: %s",
		    site.queue_directory, strerror(errno));
}

/* Two schedulers would deliver everything twice. The lock is incoming/ itself,
 * which the queue command takes too when it works alone. */
static WAITS void
take_lock(void)
{
	int64_t	warn_at = clock_now() + LOCK_PATIENCE;

	while (flock(queue_dir_fd(QUEUE_INCOMING), LOCK_EX | LOCK_NB) == -1) {
		if (errno != EWOULDBLOCK)
			die("lock of incoming/: %s", strerror(errno));
		if (clock_now() >= warn_at) {
			log_warning("another program has locked the queue; "
			    "waiting for it");
			warn_at = NEVER;
		}
		if (fiber_sleep(LOCK_PAUSE) == -1)
			return;
	}
}

/* Connect, and begin with what is there. */
static WAITS void
start(void)
{
	to_resolve = link_new("resolve", site_processes("resolve"),
	    answers_peers);
	to_bounce = link_new("bounce", site_processes("bounce"), NULL);
	storm_start();
	renew_start();
	sync_start();
	transports_open(agents, on_agent_lost);
	take_lock();
	(void)retry_may_expire();	/* the clocks are compared from now */
	if (daemon_unsupported() != NULL)
		log_error("%s; all mail is deferred", daemon_unsupported());
	dispatch_start();
	scan_start();
}

/* Deliveries that are out, and what must still be written down. */
static unsigned
busy(void)
{
	return dispatch_in_flight() + outcome_settling() + unfiled_busy() +
	    (sync_is_idle() ? 0 : 1);
}

/* Hand nothing out any more. */
static void
drain(void)
{
	dispatch_drain();
	storm_drain();
	patience_drain();
	unfiled_drain();
	feed_wake();
	scan_now();
}

/* Read main.cf and master.cf again; master lends us both, since our jail hides
 * them. */
static WAITS void
reload(void)
{
	if (daemon_read_again() == -1)
		return;
	transports_read_again(agents, on_agent_lost);
	dispatch_revive();
	scan_now();
}

/* A cleanup process has gone, perhaps between a commit and its packet to us:
 * look for what it could not tell, and do not wait for the usual time. */
static void
on_closed(struct channel *channel, void *context)
{
	const char	*name = channel_name(channel);

	(void)context;
	if (name != NULL && strcmp(name, "cleanup") == 0)
		scan_now();
}

int
main(int argc, char **argv)
{
	static const struct daemon	qmgr = {
		.name = "qmgr",
		.params = params,
		.peers = peers,
		.before = before,
		.start = start,
		.closed = on_closed,
		.busy = busy,
		.drain = drain,
		.reload = reload,
	};

	return daemon_run(argc, argv, &qmgr);
}
