/*
 * main.c - smtp, the client: a fiber per delivery, conversations kept warm.
 *
 * It gets a message's descriptor from qmgr with the list of its recipients,
 * and owns nothing else: it can send what it was given, and no more. Started
 * as "lmtp" it speaks that.
 */

#include <string.h>

#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "common/daemon/peers.h"
#include "common/net/dial.h"
#include "common/param/site.h"
#include "common/tls/tls.h"

#include "smtp/auth.h"
#include "smtp/cache.h"
#include "smtp/content.h"
#include "smtp/delivery.h"
#include "smtp/login.h"
#include "smtp/nexthop.h"
#include "smtp/refusals.h"
#include "smtp/security.h"
#include "smtp/settings.h"
#include "smtp/starttls.h"

struct link	*to_dns, *to_resolve, *to_bounce;

static const struct param *const params[] = {
	delivery_params, hosts_params, session_params, transaction_params,
	content_params, cache_params, pix_params, xforward_params,
	security_params, starttls_params, tls_params, auth_params,
	login_params, refusals_params, peers_params, NULL
};

static const struct peer peers[] = {
	{ "qmgr", PACKET_DELIVER, on_deliver, ON_A_FIBER },
	{ NULL, 0, NULL, IN_ORDER }
};

/* Next hops of main.cf's that nothing could be sent to: mail would wait for
 * somebody to look why. */
static void
check_nexthops(void)
{
	static const char *const names[] = { "relayhost",
					     "smtp_fallback_relay" };
	struct pool	*pool = pool_new("next hops", 0);
	struct nexthop	*hops;
	const char	*list, *problem;
	char		*why;
	size_t		 count, i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		list = maincf_value(daemon_maincf(), pool, names[i], &why);
		if (list != NULL && *list != '\0' && (problem = nexthop_parse(
		    pool, list, false, "smtp", &hops, &count)) != NULL)
			log_warning("%s: %s; mail for it waits", names[i],
			    problem);
	}
	pool_free(pool);
}

/* While files can still be read. */
static void
before(void)
{
	hosts_prepare();
	peers_prepare(daemon_maincf());
	security_prepare();
	auth_prepare();
	starttls_prepare();
	if (daemon_is_checking() && !set.is_lmtp)
		check_nexthops();
}

WAITS static void
start(void)
{
	to_dns = link_new("dns", site_processes("dns"), NULL);
	to_resolve = link_new("resolve", site_processes("resolve"), NULL);
	to_bounce = link_new("bounce", site_processes("bounce"), NULL);
	dial_set_window(site.tcp_windowsize);
	transcript_prepare();
	channel_gather();
	cache_start();
}

/* Warm conversations end with QUIT, not with a broken connection. When the
 * system stops, no host keeps us waiting. */
static void
drain(void)
{
	cache_close_all();
	if (daemon_is_stopping())
		delivery_stop_all();
}

/* The name that we were started by. */
static bool
is_called_lmtp(const char *path)
{
	const char	*slash = strrchr(path, '/');

	return strcmp(slash == NULL ? path : slash + 1, "lmtp") == 0;
}

int
main(int argc, char **argv)
{
	bool		is_lmtp = is_called_lmtp(argv[0]);
	struct daemon	smtp = {
		.name = is_lmtp ? "lmtp" : "smtp",
		.params = settings_rows(params, is_lmtp),
		.peers = peers,
		.before = before,
		.start = start,
		.busy = delivery_count,
		.drain = drain,
		.stopping_time = 20 * 1000
	};

	return daemon_run(argc, argv, &smtp);
}
