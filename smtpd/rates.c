/*
 * rates.c - how many messages and recipients a client may bring in a unit of
 * time, and how many TLS sessions it may begin.
 *
 * Called by envelope.c, starttls.c and auth.c. anvil counts for all smtpd
 * processes; clients in smtpd_client_event_limit_exceptions are not counted.
 * Attempts count, whether they are accepted or not.
 */

#include "smtpd/rates.h"

#include <errno.h>

#include "common/base/log.h"
#include "common/daemon/daemon.h"

#include "smtpd/limits.h"
#include "smtpd/replies.h"
#include "smtpd/settings.h"

enum { ANVIL_PATIENCE = 2000 };

const struct param rates_params[] = {
	PARAM_INT("smtpd_client_message_rate_limit", set.message_rate, "0", 0,
	    1000000000,
	    "Messages that one client may begin in anvil_rate_time_unit; 0 "
	    "means no limit."),
	PARAM_INT("smtpd_client_recipient_rate_limit", set.recipient_rate, "0",
	    0, 1000000000,
	    "Recipients that one client may name in anvil_rate_time_unit; 0 "
	    "means no limit."),
	PARAM_INT("smtpd_client_auth_rate_limit", set.auth_rate, "0", 0,
	    1000000000,
	    "AUTH commands of one client in anvil_rate_time_unit; 0 means no "
	    "limit."),
	PARAM_INT("smtpd_client_new_tls_session_rate_limit", set.new_tls_rate,
	    "0", 0, 1000000000,
	    "TLS sessions that one client may begin in anvil_rate_time_unit, "
	    "those it resumes not counted; 0 means no limit."),
	PARAM_END
};

/* Count one event, or only ask: how many there were with it, -1 when nobody
 * counts. */
WAITS static int64_t
count(const struct session *s, enum anvil_kind kind, bool is_question)
{
	struct anvil_event	 event;
	struct anvil_counts	 counts;
	struct pool		*pool = pool_new("anvil", 0);
	char			 key[COUNTED_AS];
	int			 result;

	event.service = (char *)daemon_service();
	event.address = limits_counted_as(s, key);
	event.kind = kind;
	event.is_question = is_question;
	result = link_ask(to_anvil, PACKET_ANVIL_EVENT, &event,
	    PACKET_ANVIL_COUNTS, &counts, pool, clock_now() + ANVIL_PATIENCE,
	    false);
	pool_free(pool);
	if (result == 0)
		return counts.rate;
	/* Counts protect us from too much; their loss is no reason to refuse
	 * mail. */
	if (errno != ECANCELED)
		log_warning("cannot count client %s: anvil does not answer",
		    s->ident);
	return -1;
}

/* Is it too much? */
WAITS static bool
is_over(const struct session *s, enum anvil_kind kind, int64_t limit,
    const char *what)
{
	int64_t	n;

	if (limit == 0 || limits_excepts(s))
		return false;
	if ((n = count(s, kind, false)) <= limit)
		return false;
	log_warning("%s rate limit exceeded: %lld from %s for service %s",
	    what, (long long)n, s->ident, daemon_service());
	return true;
}

int
rates_message(struct session *s)
{
	if (!is_over(s, ANVIL_MESSAGE, set.message_rate,
	    "Message delivery request"))
		return DONE;
	return say(s, REPLY_TOO_MUCH_MAIL, s->address_text);
}

int
rates_recipient(struct session *s)
{
	if (!is_over(s, ANVIL_RECIPIENT, set.recipient_rate,
	    "Recipient address"))
		return DONE;
	return say(s, REPLY_RECIPIENTS_TOO_FAST, s->address_text);
}

int
rates_auth(struct session *s)
{
	if (!is_over(s, ANVIL_AUTH, set.auth_rate, "AUTH command"))
		return DONE;
	return say(s, REPLY_TOO_MANY_LOGINS, s->address_text);
}

/* Whether a session is resumed is known when the handshake is over, which is
 * late for saving its cost: the limit is asked about before, and what was new
 * is counted afterwards. */
int
rates_new_tls(struct session *s)
{
	int64_t	n;

	if (set.new_tls_rate == 0 || limits_excepts(s))
		return DONE;
	if ((n = count(s, ANVIL_NEW_TLS, true)) < set.new_tls_rate)
		return DONE;
	log_warning("New TLS session rate limit exceeded: %lld from %s for "
	    "service %s", (long long)n + 1, s->ident, daemon_service());
	return say(s, REPLY_TOO_MANY_TLS, s->address_text);
}

void
rates_count_tls(const struct session *s)
{
	if (set.new_tls_rate > 0 && !limits_excepts(s))
		(void)count(s, ANVIL_NEW_TLS, false);
}
