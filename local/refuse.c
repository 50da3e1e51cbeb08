/*
 * refuse.c - the program error: the transports that refuse, postpone and
 * swallow.
 *
 * Which of them it is, master.cf tells: the command "discard" says sent, a
 * service with the name "retry" defers, every other one returns the mail. The
 * text is the next hop that resolve gave, an enhanced status code in front if
 * it has one: "error:5.1.1 this mailbox is closed".
 */
#include <string.h>
#include <unistd.h>

#include "common/daemon/agent.h"
#include "common/daemon/daemon.h"
#include "common/mail/dsn.h"

/* What a service does with mail. */
struct manner {
	const char	*service;
	enum outcome	 outcome;
	const char	*dsn;
};

static const struct manner	manners[] = {
	{ "retry",	OUTCOME_DEFERRED,	"4.0.0" },
	{ "discard",	OUTCOME_SENT,		"2.0.0" },
	{ NULL,		OUTCOME_BOUNCED,	"5.0.0" }
};

/* Ours, by the command or the service's name. */
static const struct manner *
find_manner(void)
{
	const struct manner	*m = manners;

	while (m->service != NULL &&
	    strcmp(m->service, daemon_service()) != 0 &&
	    strcmp(m->service, daemon_command()) != 0)
		m++;
	return m;
}

/* The code in front of the text, in the class of what we do; *text moves
 * behind it. */
static const char *
cut_dsn(struct pool *pool, const struct manner *m, const char **text)
{
	size_t	 len = dsn_find(*text, 0);
	char	*dsn;

	if (len == 0)
		return m->dsn;
	dsn = pool_strndup(pool, *text, len);
	dsn[0] = m->dsn[0];
	*text += len;
	*text += strspn(*text, " \t");
	return dsn;
}

/* DELIVER: the same for everybody. */
WAITS static void
on_deliver(struct request *r)
{
	const struct deliver	*mail = r->object;
	const struct manner	*m = find_manner();
	const char		*text = mail->nexthop, *dsn;

	if (mail->message != -1)
		close(mail->message);
	if (daemon_unsupported() != NULL) {
		agent_report_all(r, "none", OUTCOME_DEFERRED, 0, "4.3.5",
		    daemon_unsupported());
		return;
	}
	dsn = cut_dsn(r->pool, m, &text);
	agent_report_all(r, "none", m->outcome, 0, dsn, *text != '\0' ? text :
	    daemon_service());
}

static const struct peer	peers[] = {
	{ "qmgr",	PACKET_DELIVER,	on_deliver,	ON_A_FIBER },
	{ NULL,		PACKET_NONE,	NULL,		IN_ORDER }
};

/* Be error, retry or discard. */
int
main(int argc, char **argv)
{
	static const struct daemon	refuse = {
		.name = "error",
		.peers = peers
	};

	return daemon_run(argc, argv, &refuse);
}
