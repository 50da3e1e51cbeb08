/*
 * limits.c - how much of us one client may have.
 *
 * Called by session.c at the greeting and after each command. Counts that
 * concern several processes are kept by anvil, by address or by network; a
 * client in the exception list is never counted. How full the house is, and
 * what follows from that, is in crowd.c.
 */

#include "smtpd/limits.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "common/net/match.h"
#include "common/param/site.h"

#include "smtpd/crowd.h"
#include "smtpd/replies.h"
#include "smtpd/settings.h"
#include "smtpd/turns.h"

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
	PARAM_INT("smtpd_client_ipv4_prefix_length", set.ipv4_prefix, "32", 0,
	    32, "The bits of an IPv4 address by which clients are counted: "
	    "those that have them in common share all limits."),
	PARAM_INT("smtpd_client_ipv6_prefix_length", set.ipv6_prefix, "64", 0,
	    128, "The same for IPv6; 64 and not Postfix's 84, since who has "
	    "one address of a network of 64 bits usually has all of them."),
	PARAM_STRING("smtpd_client_event_limit_exceptions",
	    set.limit_exceptions, "$mynetworks", 0, 100000,
	    "Networks whose clients are not counted."),
	PARAM_END
};

static struct match	*excepted;

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

bool
limits_is_friend(const struct session *s)
{
	return s->is_trusted || *s->login != '\0';
}

/* The network that the address is in. */
static void
mask(struct inetaddr *a, unsigned bits)
{
	unsigned	i, rest;

	for (i = 0; i < sizeof(a->bytes); i++, bits -= rest) {
		rest = bits < 8 ? bits : 8;
		a->bytes[i] &= (unsigned char)(0xff00 >> rest);
	}
}

/* A mapped address is an IPv4 address long before it comes here (inetaddr.h);
 * who came by XCLIENT without one is "unknown". */
char *
limits_counted_as(const struct session *s, char to[COUNTED_AS])
{
	struct inetaddr	network = s->address;
	bool		is_v6 = network.family == AF_INET6;
	unsigned	bits = (unsigned)(is_v6 ? set.ipv6_prefix :
			    set.ipv4_prefix);
	char		text[INETADDR_TEXT];

	if (network.family == 0 || bits == (is_v6 ? 128u : 32u)) {
		snprintf(to, COUNTED_AS, "%s", s->address_text);
		return to;
	}
	mask(&network, bits);
	snprintf(to, COUNTED_AS, "%s/%u", inetaddr_print(&network, text,
	    sizeof(text)), bits);
	return to;
}

/* Tell anvil, which answers with the counts that include this client. */
WAITS static int
count_client(struct session *s, struct anvil_counts *counts)
{
	struct anvil_connect	 event;
	struct pool		*pool;
	char			 key[COUNTED_AS];
	int			 result;

	pool = pool_new("anvil", 0);
	event.service = (char *)daemon_service();
	event.address = limits_counted_as(s, key);
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

	/* Counts protect us from too much; their loss is no reason to close.
	 * Who was only slow to answer counts us all the same, and must hear
	 * when we leave. */
	if (count_client(s, &counts) == -1) {
		s->is_counted = errno == ETIMEDOUT || errno == ECANCELED;
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
	char			 key[COUNTED_AS];

	event.service = (char *)daemon_service();
	event.address = limits_counted_as(s, key);
	channel = link_channel(to_anvil, 0, clock_now() + ANVIL_PATIENCE);
	if (channel != NULL)
		channel_post(channel, PACKET_ANVIL_DISCONNECT,
		    channel_next_id(channel), &event);
}

/* Was that one error too many? Strangers may make fewer of them when all
 * slots are in use; those that they made before are not held against them. */
static bool
has_erred_enough(struct session *s)
{
	bool	is_new = s->errors > s->seen_errors;

	s->seen_errors = s->errors;
	if (s->errors >= (unsigned)set.hard_errors)
		return true;
	return is_new && crowd_is_full() && !limits_is_friend(s) &&
	    s->errors >= (unsigned)set.full_errors;
}

int
limits_errors(struct session *s)
{
	if (has_erred_enough(s)) {
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
		(void)turn_flush(s, false);
		if (fiber_sleep(set.error_sleep) == -1)
			return GONE;
	}
	return DONE;
}

void
limits_junk(struct session *s)
{
	int64_t	limit = set.junk_limit;

	if (crowd_is_full() && !limits_is_friend(s) && set.full_junk < limit)
		limit = set.full_junk;
	if (++s->junk > (unsigned)limit)
		s->errors++;
}

