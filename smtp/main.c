/*
 * main.c - smtp, the client: a fiber per delivery, conversations kept warm.
 *
 * It gets a message's descriptor from qmgr with the list of its recipients,
 * and owns nothing else: it can send what it was given, and no more.
 */

#include "common/daemon/daemon.h"
#include "common/param/site.h"

#include "smtp/cache.h"
#include "smtp/delivery.h"
#include "smtp/settings.h"

struct settings	 set;
struct link	*to_dns;

static const struct param *const params[] = {
	hosts_params, session_params, cache_params, NULL
};

static const struct peer peers[] = {
	{ "qmgr", PACKET_DELIVER, on_deliver, ON_A_FIBER },
	{ NULL, 0, NULL, IN_ORDER }
};

WAITS static void
start(void)
{
	to_dns = link_new("dns", site_processes("dns"), NULL);
	cache_start();
}

WAITS static void
say_quit(void *unused)
{
	(void)unused;
	cache_close_all();
}

/* Warm conversations end with QUIT, not with a broken connection. */
static void
drain(void)
{
	fiber_start(say_quit, NULL);
}

int
main(int argc, char **argv)
{
	static const struct daemon smtp = {
		.name = "smtp",
		.params = params,
		.peers = peers,
		.start = start,
		.busy = delivery_count,
		.drain = drain,
	};

	return daemon_run(argc, argv, &smtp);
}
