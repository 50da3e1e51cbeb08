/*
 * orders.c - what a daemon and master say to each other, over descriptor 3.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/daemon/inside.h"
#include "common/ipc/packets.h"
#include "common/param/lent.h"
#include "common/param/site.h"

enum {
	WITHOUT_MASTER = 10 * 1000	/* the longest life without one */
};

static struct channel	*master;
static unsigned		 reloads_running;

/* DRAIN: no new work; what runs ends in its own time. */
static void
on_drain(struct request *r)
{
	(void)r;
	daemon_drain(false, 0);
}

/* What came with RELOAD is what is read. */
static void
take_files(struct request *r)
{
	struct reload	*files = r->object;

	lent_file(pool_printf(r->pool, "%s/main.cf", site.config_directory),
	    files->main_cf);
	lent_file(pool_printf(r->pool, "%s/master.cf", site.config_directory),
	    files->master_cf);
	if (files->origin[0] != '\0')
		lent_file(files->origin, files->origin_file);
	else if (files->origin_file != -1)
		close(files->origin_file);
}

/* RELOAD, for daemons that can do it in place. The files of configuration
 * come with it, since a jail hides them; the last one who reads closes them. */
static WAITS void
on_reload(struct request *r)
{
	take_files(r);
	reloads_running++;
	daemon_reload();
	if (--reloads_running == 0)
		lent_give_back();
}

/* ASK_STATUS: how are you? */
static void
on_ask_status(struct request *r)
{
	struct status	status = {
		.sessions = daemon_sessions(),
		.fibers = (int64_t)fiber_count(),
		.requests = (int64_t)channel_total(),
		.malformed = (int64_t)channel_malformed(),
		.note = (char *)(uintptr_t)
		    (daemon_is_draining() ? "draining" : "")
	};

	(void)channel_reply(r, PACKET_STATUS, &status);
}

static const struct peer	orders[] = {
	{ "master",	PACKET_DRAIN,		on_drain,	IN_ORDER },
	{ "master",	PACKET_RELOAD,		on_reload,	ON_A_FIBER },
	{ "master",	PACKET_ASK_STATUS,	on_ask_status,	IN_ORDER },
	{ NULL,		PACKET_NONE,		NULL,		IN_ORDER }
};

/* Master is gone: nobody restarts us, nobody hands us a listener. */
static void
on_lost(struct channel *c, void *context)
{
	(void)c;
	(void)context;
	if (!daemon_is_draining())
		log_debug("master is gone, leaving");
	daemon_drain(true, WITHOUT_MASTER);
}

/* Say HELLO. */
void
orders_open(const char *service)
{
	struct hello	hello = { (char *)(uintptr_t)service, IPC_VERSION };

	if (fs_set_nonblocking(HANDOVER_MASTER, true) == -1)
		die("this program is started by master");
	master = channel_new(HANDOVER_MASTER, false, orders, on_lost, NULL);
	channel_set_name(master, "master");
	(void)channel_post(master, PACKET_HELLO, 0, &hello);
}

/* We serve from now on. */
void
orders_ready(void)
{
	struct empty	nothing = { 0 };

	if (channel_is_open(master))
		(void)channel_post(master, PACKET_READY, 0, &nothing);
}
