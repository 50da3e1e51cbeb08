/*
 * keys.c - signs TLS handshakes for smtpd and smtp, which have no private key.
 *
 * All identities of main.cf and master.cf are loaded as root, before the doors
 * close; from then on there is no file in reach, and no request that gives a
 * key out. What may be signed is in keys_sign.c (K1, K2), who has which
 * certificates in keys_store.c, the keys of session tickets in keys_ticket.c.
 *
 * When certificates change on disk, master starts another process and tells
 * this one to drain: it serves the handshakes that began with its
 * certificates, for DRAIN_TIME at most, then wipes its keys and goes.
 */
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "common/ipc/packets.h"
#include "common/param/site.h"
#include "common/tls/wallet.h"
#include "master/keys_sign.h"
#include "master/keys_store.h"
#include "master/keys_ticket.h"

enum {
	DRAIN_TIME = 60 * 1000,
	LOOK_EVERY = 50,		/* while draining, milliseconds */
	SWEEP_EVERY = 5 * 1000,
	LINES = 10, LINES_TIME = 60 * 1000	/* of refusals, in the log */
};

static const struct param *const params[] = { wallet_params, NULL };

static bool	is_over;		/* drained, and wiped */

/* Refusals, and how many of them the log still gets. */
static struct {
	uint64_t	all, untold;
	int64_t		since;
	unsigned	lines;
} refusals;

/* --- refusals ------------------------------------------------------------- */

/* A new minute for the log; what it did not get is told as a number. */
static void
begin_lines(void)
{
	if (refusals.since != 0 &&
	    clock_now() - refusals.since < LINES_TIME)
		return;
	if (refusals.untold > 0)
		log_warning("%ju more requests were refused",
		    (uintmax_t)refusals.untold);
	refusals.untold = 0;
	refusals.lines = LINES;
	refusals.since = clock_now();
}

/* A request was refused. */
static void
note_refusal(const struct request *r, const char *why)
{
	refusals.all++;
	begin_lines();
	if (refusals.lines == 0) {
		refusals.untold++;
		return;
	}
	refusals.lines--;
	log_warning("refused to %s (process %jd, user %jd): %s", r->peer,
	    (intmax_t)r->pid, (intmax_t)r->uid, why);
}

/* --- requests ------------------------------------------------------------- */

/* On which side of TLS is this program? */
static enum tls_role
role_of(const struct request *r)
{
	return strcmp(r->peer, "smtpd") == 0 ? TLS_SERVER : TLS_CLIENT;
}

static void
on_certificates(struct request *r)
{
	const struct ask_certificates	*ask = r->object;
	struct certificates		 answer;

	keys_store_find(ask, role_of(r), r->pool, &answer);
	(void)channel_reply(r, PACKET_CERTIFICATES, &answer);
}

static WAITS void
on_signature(struct request *r)
{
	struct signature	 answer = { { "", 0 },
				    (char *)(uintptr_t)"" };
	const char		*why;

	why = keys_sign(r->object, role_of(r), r->pool, &answer.data);
	if (why != NULL) {
		note_refusal(r, why);
		answer.text = (char *)(uintptr_t)why;
	}
	(void)channel_reply(r, PACKET_SIGNATURE, &answer);
}

static void
on_tickets(struct request *r)
{
	const struct ask_tickets	*ask = r->object;
	struct ticket_keys		 answer = { 0 };

	/* Who is leaving seals nothing new. */
	if (!daemon_is_draining() && keys_ticket_rows(ask->service,
	    ask->lifetime, clock_wall_us() / 1000, r->pool, &answer) == -1) {
		note_refusal(r, "no keys for tickets can be made");
		answer.count = 0;
	}
	(void)channel_reply(r, PACKET_TICKETS, &answer);
}

static const struct peer peers[] = {
	{ "smtpd", PACKET_ASK_CERTIFICATES, on_certificates, IN_ORDER },
	{ "smtpd", PACKET_ASK_SIGNATURE, on_signature, ON_A_FIBER },
	{ "smtpd", PACKET_ASK_TICKETS, on_tickets, IN_ORDER },
	{ "smtp", PACKET_ASK_CERTIFICATES, on_certificates, IN_ORDER },
	{ "smtp", PACKET_ASK_SIGNATURE, on_signature, ON_A_FIBER },
	{ NULL, 0, NULL, IN_ORDER }
};

/* --- life ----------------------------------------------------------------- */

/* Load everything. --check ends with what is wrong: so "postrider check" tells
 * it, and master knows before it replaces us. */
static void
before(void)
{
	keys_store_load(daemon_maincf(), site.config_directory);
	if (daemon_is_checking() && !keys_store_is_good())
		exit(1);
}

/* Fiber: wipe what is over. */
static WAITS void
keep_house(void *unused)
{
	(void)unused;
	fiber_name("sweep");
	while (fiber_sleep(SWEEP_EVERY) == 0) {
		keys_ticket_sweep(clock_wall_us() / 1000);
		begin_lines();
	}
}

static WAITS void
start(void)
{
	keys_sign_start();
	fiber_start(keep_house, NULL);
}

/* Fiber: serve who began with us, then wipe everything. */
static WAITS void
finish(void *unused)
{
	int64_t	until = clock_now() + DRAIN_TIME;

	(void)unused;
	fiber_name("finish");
	while ((channel_connected() > 0 || keys_sign_busy() > 0) &&
	    clock_now() < until && !daemon_is_stopping())
		if (fiber_sleep(LOOK_EVERY) == -1)
			break;
	while (keys_sign_busy() > 0 && fiber_sleep(LOOK_EVERY) == 0)
		continue;
	keys_store_wipe();
	keys_ticket_wipe();
	is_over = true;
}

/* DRAIN: once; a stop that follows is noticed by itself. */
static void
drain(void)
{
	static bool	is_begun;

	if (!is_begun)
		fiber_start(finish, NULL);
	is_begun = true;
}

/* Signatures under way; while draining, one until all is wiped. */
static unsigned
busy(void)
{
	return keys_sign_busy() + (daemon_is_draining() && !is_over);
}

int
main(int argc, char **argv)
{
	static const struct daemon keys = {
		.name = "keys",
		.params = params,
		.peers = peers,
		.before = before,
		.start = start,
		.busy = busy,
		.drain = drain,
	};

	return daemon_run(argc, argv, &keys);
}
