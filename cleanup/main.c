/*
 * main.c - cleanup makes messages final and commits them.
 *
 * Four programs bring mail, in packets over their channels: smtpd, pickup,
 * bounce and local. intake.c collects the packets, headers.c and alias.c
 * complete the message, canonical.c their addresses; inspect.c and checks.c
 * look at its content if that is asked for. write.c writes its queue file,
 * commit.c commits it, answers, and tells qmgr.
 */
#include "common/daemon/daemon.h"

#include <errno.h>
#include <string.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/queue/queue.h"

#include "cleanup/batch.h"
#include "cleanup/canonical.h"
#include "cleanup/checks.h"
#include "cleanup/clients.h"
#include "cleanup/inflow.h"
#include "cleanup/inspect.h"
#include "cleanup/lookup.h"
#include "cleanup/room.h"
#include "cleanup/transaction.h"
#include "cleanup/unicode.h"

struct settings	set;

static const struct param main_params[] = {
	PARAM_INT("cleanup_sync_threads", set.sync_threads, "16", 1, 64,
	    "How many messages a cleanup process brings to the disk at the "
	    "same moment; the file system merges them."),
	PARAM_END
};

static const struct param *const tables[] = {
	main_params, intake_params, sevenbit_params, header_params,
	lookup_params, canonical_params, inspect_params, checks_params,
	alias_params, copies_params, unicode_params, inflow_params,
	batch_params, NULL
};

#define BRINGS_MAIL(name)						\
	{ name, PACKET_MAIL, on_mail, IN_ORDER },			\
	{ name, PACKET_RECIPIENTS, on_recipients, IN_ORDER },		\
	{ name, PACKET_CONTENT, on_content, IN_ORDER },			\
	{ name, PACKET_ABANDON, on_abandon, IN_ORDER }

static const struct peer peers[] = {
	BRINGS_MAIL("smtpd"),
	BRINGS_MAIL("pickup"),
	BRINGS_MAIL("bounce"),
	BRINGS_MAIL("local"),
	{ NULL, 0, NULL, 0 }
};

/* Remove what cleanup processes left behind when they died. */
static void
reap(void *unused)
{
	struct queue_walk	*walk;
	char			 id[QUEUE_ID_MAX + 1];
	mode_t			 mode;
	int64_t			 mtime, size;

	(void)unused;
	fiber_name("reaper");
	if ((walk = queue_walk_start(QUEUE_INCOMING)) == NULL)
		return;
	while (queue_walk_next(walk, id, &mode, &mtime, &size) == 1) {
		if (!queue_is_complete(mode) && queue_reap(id) == 1)
			log_info("%s: an unfinished file, taken away", id);
		fiber_breathe();
	}
	queue_walk_end(walk);
}

/* Threads are counted, and interfaces looked at, before the sandbox. */
static void
before(void)
{
	clients_before();
	commit_before();
}

/* Open the queue and the ways to the others. */
static void
start(void)
{
	if (queue_open(daemon_queue_fd(), 1u << QUEUE_INCOMING) == -1)
		die("cannot open incoming/ in the queue directory: %s",
		    strerror(errno));
	canonical_start();
	inspect_start();
	unicode_start();
	clients_start();
	lookup_start();
	commit_start();
	fiber_start(transaction_sweep, NULL);
	fiber_start(reap, NULL);
	unwanted_start();
}

int
main(int argc, char **argv)
{
	static const struct daemon	cleanup = {
		.name = "cleanup",
		.params = tables,
		.peers = peers,
		.before = before,
		.start = start,
		.busy = transaction_count
	};

	return daemon_run(argc, argv, &cleanup);
}
