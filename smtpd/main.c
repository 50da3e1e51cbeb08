/*
 * main.c - smtpd, the receiver: a fiber per client, thousands per process.
 *
 * It owns sockets and memory, nothing else: no file, no table, no command.
 * What it must know it asks resolve, dns and anvil; mail goes to cleanup.
 */

#include "common/daemon/daemon.h"
#include "common/daemon/peers.h"
#include "common/ipc/answers.h"
#include "common/ipc/overrides.h"
#include "common/param/site.h"

#include "smtpd/auth.h"
#include "smtpd/client.h"
#include "smtpd/crowd.h"
#include "smtpd/data.h"
#include "smtpd/gate.h"
#include "smtpd/greet.h"
#include "smtpd/limits.h"
#include "smtpd/listed.h"
#include "smtpd/restrict.h"
#include "smtpd/session.h"
#include "smtpd/settings.h"
#include "smtpd/tls_settings.h"
#include "smtpd/transcript.h"
#include "smtpd/verify.h"

struct settings	 set;
struct link	*to_cleanup, *to_resolve, *to_dns, *to_anvil, *to_qmgr,
		*to_bounce, *to_auth;

static const struct param *const params[] = {
	session_params, greet_params, gate_params, offer_params,
	verify_params, envelope_params, data_params, footer_params,
	limits_params, crowd_params, rates_params, client_params, proxy_params,
	restrict_params, parameter_params, transcript_params,
	overrides_params, peers_params, unicode_params, server_tls_params,
	tls_client_params, tls_params, auth_params, login_params, NULL
};

/* While files can still be read. */
static void
before(void)
{
	client_prepare();
	limits_prepare();
	crowd_prepare();
	restrict_prepare();
	listed_prepare();
	data_prepare();
	gate_prepare();
	greet_prepare();
	verify_prepare();
	transcript_prepare();
	tls_settings_prepare();
	auth_prepare();
	overrides_start();
}

WAITS static void
start(void)
{
	to_cleanup = link_new("cleanup", site_processes("cleanup"), NULL);
	to_resolve = link_new("resolve", site_processes("resolve"),
	    answers_peers);
	to_dns = link_new("dns", site_processes("dns"), NULL);
	to_anvil = link_new("anvil", 1, NULL);
	to_qmgr = link_new("qmgr", 1, NULL);
	to_bounce = link_new("bounce", site_processes("bounce"), NULL);
	auth_start();
}

/* Idle clients hear 421 when the system stops; a reload leaves them alone. */
static void
drain(void)
{
	if (daemon_is_stopping())
		session_end_idle();
}

int
main(int argc, char **argv)
{
	static const struct daemon smtpd = {
		.name = "smtpd",
		.params = params,
		.before = before,
		.start = start,
		.session = session_run,
		.busy = session_count,
		.drain = drain,
	};

	return daemon_run(argc, argv, &smtpd);
}
