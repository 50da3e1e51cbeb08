/*
 * main.c - resolve: what is this address, where does it go, what does this
 * parameter's table say?
 *
 * Everybody may ask only what his work needs; a question names a parameter,
 * never a table. Answers that cannot be had are temporary failures.
 */
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "resolve/resolve.h"
#include "resolve/tokens.h"

/* Never fail open: a setting that we should act upon and do not makes
 * everybody wait. */
static char *
refusal(struct pool *pool)
{
	const char	*unsupported = daemon_unsupported();

	return unsupported == NULL ? NULL : pool_printf(pool,
	    "Server configuration error: %.900s", unsupported);
}

/* ASK_ROUTE, from qmgr. */
static WAITS void
on_route(struct request *r)
{
	struct rules	*rules = rules_hold();
	struct route	 answer;
	char		*why;

	route_find(rules, r->pool, r->object, &answer);
	rules_release(rules);
	if ((why = refusal(r->pool)) != NULL) {
		answer.result = ROUTE_TEMPORARY;
		answer.dsn = pool_strdup(r->pool, "4.3.5");
		answer.text = why;
	}
	(void)channel_reply(r, PACKET_ROUTE, &answer);
}

/* ASK_RECIPIENT, from smtpd. */
static WAITS void
on_recipient(struct request *r)
{
	struct rules		*rules = rules_hold();
	struct recipient_answer	 answer;
	char			*why;

	recipient_check(rules, r->pool, r->object, &answer);
	rules_release(rules);
	if ((why = refusal(r->pool)) != NULL) {
		answer.result = RECIPIENT_TEMPORARY;
		answer.text = why;
	}
	(void)channel_reply(r, PACKET_RECIPIENT, &answer);
}

/* ASK_EXPAND, from cleanup. */
static WAITS void
on_expand(struct request *r)
{
	struct rules	*rules = rules_hold();
	struct expanded	 answer;

	expand_rows(rules, r->pool, r->object, &answer);
	rules_release(rules);
	if (channel_reply(r, PACKET_EXPANDED, &answer) == 0)
		return;
	/* More than one packet holds: cleanup asks in smaller pieces. */
	memset(&answer, 0, sizeof answer);
	answer.result = ROUTE_TEMPORARY;
	answer.text = pool_strdup(r->pool, "the aliases of these "
	    "recipients are too many for one answer");
	(void)channel_reply(r, PACKET_EXPANDED, &answer);
}

/* ASK_LOOKUP, from those who have rows in lookup.c. */
static WAITS void
on_lookup(struct request *r)
{
	struct rules	*rules = rules_hold();
	struct found	 answer;

	lookup(rules, r->pool, r->peer, r->object, &answer);
	rules_release(rules);
	if (channel_reply(r, PACKET_FOUND, &answer) == 0)
		return;
	answer.result = LOOKUP_TEMPORARY;
	answer.value = answer.extension = pool_strdup(r->pool, "");
	answer.text = pool_strdup(r->pool, "the value in the table is too "
	    "long");
	(void)channel_reply(r, PACKET_FOUND, &answer);
}

/* ASK_DIAL, from smtp. */
static WAITS void
on_dial(struct request *r)
{
	const struct ask_dial	*ask = r->object;
	struct rules		*rules = rules_hold();
	struct dialed		 answer;

	dial_find(rules, r->pool, ask, &answer);
	rules_release(rules);
	(void)channel_reply(r, PACKET_DIALED, &answer);
	if (ask->message != -1)
		close(ask->message);
	if (answer.socket != -1)
		close(answer.socket);
}

/* ASK_TOKEN, from smtp. */
static WAITS void
on_token(struct request *r)
{
	struct token	answer;

	pool_make_secret(r->pool);
	token_find(r->pool, r->object, &answer);
	(void)channel_reply(r, PACKET_TOKEN, &answer);
}

/* ASK_SASL, from smtpd. */
static WAITS void
on_sasl(struct request *r)
{
	struct dialed	answer;

	sasl_dial(r->pool, r->object, &answer);
	(void)channel_reply(r, PACKET_DIALED, &answer);
	if (answer.socket != -1)
		close(answer.socket);
}

static const struct peer peers[] = {
	{ "qmgr",	PACKET_ASK_ROUTE,	on_route,	ON_A_FIBER },
	{ "smtpd",	PACKET_ASK_RECIPIENT,	on_recipient,	ON_A_FIBER },
	{ "cleanup",	PACKET_ASK_EXPAND,	on_expand,	ON_A_FIBER },
	{ "local",	PACKET_ASK_ROUTE,	on_route,	ON_A_FIBER },
	{ "local",	PACKET_ASK_LOOKUP,	on_lookup,	ON_A_FIBER },
	{ "smtp",	PACKET_ASK_LOOKUP,	on_lookup,	ON_A_FIBER },
	{ "smtp",	PACKET_ASK_DIAL,	on_dial,	ON_A_FIBER },
	{ "smtp",	PACKET_ASK_TOKEN,	on_token,	ON_A_FIBER },
	{ "smtpd",	PACKET_ASK_LOOKUP,	on_lookup,	ON_A_FIBER },
	{ "smtpd",	PACKET_ASK_SASL,	on_sasl,	ON_A_FIBER },
	{ "cleanup",	PACKET_ASK_LOOKUP,	on_lookup,	ON_A_FIBER },
	{ "qmgr",	PACKET_ASK_LOOKUP,	on_lookup,	ON_A_FIBER },
	{ "pickup",	PACKET_ASK_LOOKUP,	on_lookup,	ON_A_FIBER },
	{ NULL,		PACKET_NONE,		NULL,		IN_ORDER }
};

/* As root: load the name service's modules, open tables that others may not
 * read, see the interfaces. */
static void
before(void)
{
	(void)getpwnam("root");
	(void)getgrnam("root");
	services_load();
	rules_load();
	if (daemon_unsupported() != NULL)
		log_error("%s; all mail waits", daemon_unsupported());
	if (daemon_is_checking() && tables_broken(false) > 0)
		exit(EX_CONFIG);		/* each was told */
}

/* In the jail. */
static WAITS void
start(void)
{
	sites_start();
	tokens_start();
}

/* main.cf may have changed. */
static WAITS void
reload(void)
{
	if (daemon_read_again() == -1)
		return;
	services_load();
	rules_load();
	tokens_forget();
	log_info("reload -- tables and settings read again");
}

/* The resolve program. */
int
main(int argc, char **argv)
{
	static const struct param *const	params[] = {
		resolve_params, NULL
	};
	static const struct daemon		resolve = {
		.name = "resolve", .params = params, .peers = peers,
		.before = before, .start = start, .reload = reload
	};

	return daemon_run(argc, argv, &resolve);
}
