/*
 * limits.c - how much of us one client may have.
 *
 * Called by session.c at the greeting and after each command. Counts that
 * concern several processes are kept by anvil; a client in the exception
 * list is never counted.
 */

#include "smtpd/limits.h"

#include <errno.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "common/net/match.h"
#include "common/param/site.h"

#include "smtpd/replies.h"
#include "smtpd/settings.h"

enum { ANVIL_PATIENCE = 2000 };

const struct param limits_params[] = {
	PARAM_INT("smtpd_soft_error_limit", set.soft_errors, "10", 1, 100000,
	    "Errors of a client before each answer is delayed."),
	PARAM_INT("smtpd_hard_error_limit", set.hard_errors, "20", 1, 100000,
	    "Errors of a client before we hang up."),
	PARAM_TIME("smtpd_error_sleep_time", set.error_sleep, "1s", 0, 600,
	    "The delay of an answer past the soft limit."),
	PARAM_INT("smtpd_junk_command_limit", set.junk_limit, "100", 1,
	    10000000,
	    "Commands such as NOOP and RSET in a row without mail before each "
	    "counts as an error."),
	PARAM_INT("smtpd_client_connection_count_limit",
	    set.client_connections, "50", 0, 1000000,
	    "Connections of one client at once; 0 means no limit."),
	PARAM_INT("smtpd_client_connection_rate_limit", set.client_rate, "0",
	    0, 1000000,
	    "Connections of one client in anvil_rate_time_unit; 0 means no "
	    "limit."),
	PARAM_STRING("smtpd_client_event_limit_exceptions",
	    set.limit_exceptions, "$mynetworks", 0, 100000,
	    "Networks whose clients are not counted."),
	PARAM_END
};

static struct match	*excepted;
static unsigned		 slots_used;
static bool		 is_paused;

void
limits_prepare(void)
{
	struct pool	*pool;
	char		*why;

	pool = pool_new("exceptions", 0);
	excepted = match_networks(pool, set.limit_exceptions, &why);
	if (excepted == NULL)
		die("smtpd_client_event_limit_exceptions: %s", why);
}

bool
limits_excepts(const struct session *s)
{
	return match_address(excepted, &s->address);
}

/* Tell anvil, which answers with the counts that include this client. */
WAITS static int
count_client(struct session *s, struct anvil_counts *counts)
{
	struct anvil_connect	 event;
	struct pool		*pool;
	int			 result;

	pool = pool_new("anvil", 0);
	event.service = (char *)daemon_service();
	event.address = s->address_text;
	result = link_ask(to_anvil, PACKET_ANVIL_CONNECT, &event,
	    PACKET_ANVIL_COUNTS, counts, pool, clock_now() + ANVIL_PATIENCE,
	    false);
	pool_free(pool);
	return result;
}

int
limits_client(struct session *s)
{
	struct anvil_counts	counts;

	if (set.client_connections == 0 && set.client_rate == 0)
		return DONE;
	if (s->is_counted || limits_excepts(s))
		return DONE;

	/* Counts protect us from too much; their loss is no reason to close. */
	if (count_client(s, &counts) == -1) {
		if (errno == ECANCELED)
			return GONE;
		log_warning("cannot count client %s: anvil does not answer",
		    s->ident);
		return DONE;
	}
	s->is_counted = true;

	if (set.client_connections > 0 &&
	    counts.connections > set.client_connections) {
		log_warning("Connection concurrency limit exceeded: %lld from "
		    "%s for service %s", (long long)counts.connections,
		    s->ident, daemon_service());
		return say(s, REPLY_TOO_MANY_CONNECTIONS, site.myhostname,
		    s->address_text);
	}
	if (set.client_rate > 0 && counts.rate > set.client_rate) {
		log_warning("Connection rate limit exceeded: %lld from %s for "
		    "service %s", (long long)counts.rate, s->ident,
		    daemon_service());
		return say(s, REPLY_TOO_FAST, site.myhostname,
		    s->address_text);
	}
	return DONE;
}

void
limits_client_left(struct session *s)
{
	struct anvil_connect	 event;
	struct channel		*channel;

	event.service = (char *)daemon_service();
	event.address = s->address_text;
	channel = link_channel(to_anvil, 0, clock_now() + ANVIL_PATIENCE);
	if (channel != NULL)
		channel_post(channel, PACKET_ANVIL_DISCONNECT,
		    channel_next_id(channel), &event);
}

int
limits_errors(struct session *s)
{
	if (s->errors >= (unsigned)set.hard_errors) {
		log_info("too many errors after %s from %s", s->last_command,
		    s->ident);
		s->is_over = true;
		say(s, REPLY_TOO_MANY_ERRORS, site.myhostname);
		return REFUSED;
	}
	/* Only answers to errors are worth delaying, and each only once. */
	if (s->errors >= (unsigned)set.soft_errors &&
	    s->errors > s->delayed) {
		s->delayed = s->errors;
		io_flush(s->io);
		if (fiber_sleep(set.error_sleep) == -1)
			return GONE;
	}
	return DONE;
}

void
limits_junk(struct session *s)
{
	if (++s->junk > (unsigned)set.junk_limit)
		s->errors++;
}

int64_t
limits_hasten(int64_t usual)
{
	unsigned	limit;

	limit = daemon_limit();
	if (limit > 0 && slots_used >= limit - limit / 5 &&
	    set.overload_timeout < usual)
		return set.overload_timeout;
	return usual;
}

int64_t
limits_patience(void)
{
	return limits_hasten(set.timeout);
}

void
limits_slots_changed(unsigned visits)
{
	unsigned	limit;

	slots_used = visits;
	limit = daemon_limit();
	if (limit == 0 || daemon_is_draining())
		return;
	if (!is_paused && visits >= limit) {
		log_warning("service \"%s\" has reached its session limit "
		    "\"%u\": new clients may experience noticeable delays",
		    daemon_service(), limit);
		daemon_pause_listening();
		is_paused = true;
	} else if (is_paused && visits < limit) {
		daemon_resume_listening();
		is_paused = false;
	}
}
