/*
 * etrn.c - ETRN: a client asks for what waits for its domain (RFC 1985).
 *
 * Called through commands.c. qmgr decides which domains may ask
 * (fast_flush_domains) and tries their mail; smtpd_etrn_restrictions tell who
 * may. The first few are free, the rest cost what NOOP costs.
 */

#include <errno.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/daemon/daemon.h"
#include "common/mail/address.h"

#include "smtpd/commands.h"
#include "smtpd/limits.h"
#include "smtpd/replies.h"
#include "smtpd/restrict.h"
#include "smtpd/settings.h"

enum { FREE_OF_COST = 3, QMGR_PATIENCE = 30 * 1000 };

/* Log a refusal as those of other commands are, and say it. */
WAITS static int
refuse(struct session *s, const char *domain, const char *line)
{
	log_info("NOQUEUE: reject: ETRN from %s: %s; data=<%s> proto=%s "
	    "helo=<%s>", s->ident, line, domain,
	    s->is_extended ? "ESMTP" : "SMTP", s->helo);
	return say_line(s, line);
}

/* May this client ask? NULL, or why not, in `line`. */
static const char *
objection(struct session *s, const char *domain, char line[REPLY_LINE])
{
	if (daemon_unsupported() != NULL)
		return reply_text(line, REPLY_MISCONFIGURED);
	return restrict_etrn(s, domain, line);
}

/* Ask qmgr, and tell what it said. */
WAITS static int
flush(struct session *s, char *domain)
{
	struct flush_site	 question = { domain };
	struct flushed		 answer = { 0 };
	struct pool		*pool = pool_new("etrn", 0);
	char			 line[REPLY_LINE];

	if (link_ask(to_qmgr, PACKET_FLUSH_SITE, &question, PACKET_FLUSHED,
	    &answer, pool, clock_now() + QMGR_PATIENCE, true) == -1) {
		log_warning("ETRN %s from %s: %s", domain, s->ident,
		    strerror(errno));
		answer.result = FLUSH_LATER;
	}
	pool_free(pool);
	switch (answer.result) {
	case FLUSH_STARTED:
		if (answer.count == 0)
			return say(s, REPLY_ETRN_STARTED, domain);
		return say(s, REPLY_ETRN_COUNTED, (long long)answer.count,
		    domain);
	case FLUSH_NONE:
		return say(s, REPLY_ETRN_NONE, domain);
	case FLUSH_REFUSED:
		return refuse(s, domain, reply_text(line, REPLY_ETRN_REFUSED,
		    domain));
	default:
		return say(s, REPLY_ETRN_LATER, domain);
	}
}

/* RFC 1985 5. "@domain" wants the domains below it as well; it gets what waits
 * for the domain itself, as from Postfix. */
int
command_etrn(struct session *s, char *args)
{
	char	 line[REPLY_LINE];
	char	*domain = text_trim(args);

	if (++s->etrns > FREE_OF_COST)
		limits_junk(s);
	if (!extension_is_offered(s, "ETRN"))
		return say(s, REPLY_NO_COMMAND, "ETRN");
	if (s->helo[0] == '\0')
		return say(s, REPLY_NEED_HELO);
	if (s->mail != NULL)
		return say(s, REPLY_IN_TRANSACTION);
	if (*domain == '\0' || domain[strcspn(domain, " \t")] != '\0')
		return say(s, REPLY_ETRN_SYNTAX);
	if (*domain == '#')
		return say(s, REPLY_ETRN_QUEUE, domain);
	if (*domain == '@')
		domain++;
	if (strlen(domain) > DOMAIN_MAX || !domain_is_valid(domain, true))
		return say(s, REPLY_BAD_SYNTAX, "ETRN domain");

	if (objection(s, domain, line) != NULL)
		return refuse(s, domain, line);
	return flush(s, domain);
}
