/*
 * rates.c - how many messages and recipients a client may bring in a unit of
 * time.
 *
 * Called by envelope.c. anvil counts for all smtpd processes; clients in
 * smtpd_client_event_limit_exceptions are not counted. Attempts count, whether
 * they are accepted or not.
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
	PARAM_END
};

/* Count one event: how many there were with it, -1 when nobody counts. */
WAITS static int64_t
count(const struct session *s, enum anvil_kind kind)
{
	struct anvil_event	 event;
	struct anvil_counts	 counts;
	struct pool		*pool = pool_new("anvil", 0);
	int			 result;

	event.service = (char *)daemon_service();
	event.address = (char *)s->address_text;
	event.kind = kind;
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
	if ((n = count(s, kind)) <= limit)
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
