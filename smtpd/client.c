/*
 * client.c - who is there: address, verified name, and whether we trust it.
 *
 * Called by session.c at both ends of a visit. The name is only believed when
 * it resolves back to the address; dns does both lookups.
 */

#include "smtpd/client.h"

#include <errno.h>
#include <string.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/net/match.h"
#include "common/param/site.h"

#include "smtpd/limits.h"
#include "smtpd/settings.h"

enum { REVERSE_PATIENCE = 20 * 1000 };

const struct param client_params[] = {
	PARAM_BOOL("smtpd_peername_lookup", set.wants_reverse, "yes",
	    "Look up and verify the client's name; without it every client is "
	    "\"unknown\"."),
	PARAM_STRING("smtpd_authorized_verp_clients", set.verp_clients, "", 0,
	    10000, "Names and networks of clients that may ask for XVERP."),
	PARAM_END
};

static struct match	*trusted;
static struct match	*verp_networks, *verp_names;

/* A list of networks and names, which are asked for in different ways. What
 * would have to be looked up lets nobody in. */
static void
prepare_verp(struct pool *pool)
{
	const char	*networks = "", *names = "";
	char	       **words, *why;
	size_t		 count, i;

	words = text_words(pool, set.verp_clients, &count);
	for (i = 0; i < count; i++) {
		if (match_networks(pool, words[i], &why) != NULL)
			networks = pool_printf(pool, "%s %s", networks,
			    words[i]);
		else
			names = pool_printf(pool, "%s %s", names, words[i]);
	}
	verp_networks = match_networks(pool, networks, &why);
	verp_names = match_names(pool, names, &why);
	if (verp_names == NULL)
		die("smtpd_authorized_verp_clients: %s", why);
	if (match_tables(verp_networks) != NULL ||
	    match_tables(verp_names) != NULL)
		die("smtpd_authorized_verp_clients: expected networks, names "
		    "or files; a lookup table is not supported here");
}

void
client_prepare(void)
{
	struct pool	*pool;
	const char	*table;
	char		*why;

	pool = pool_new("networks", 0);
	if ((trusted = match_networks(pool, site.mynetworks, &why)) == NULL)
		die("mynetworks: %s", why);
	if ((table = match_tables(trusted)) != NULL)
		die("mynetworks: %s: expected networks or files; a lookup "
		    "table is not supported here", table);
	prepare_verp(pool);
}

/* The verified name; "unknown" while dns cannot tell. */
WAITS static const char *
find_name(struct session *s)
{
	struct ask_reverse	 question;
	struct reverse		 answer;
	struct pool		*pool;
	const char		*name;

	if (!set.wants_reverse)
		return "unknown";

	pool = pool_new("reverse name", 0);
	question.address = s->address_text;
	name = "unknown";
	if (link_ask(to_dns, PACKET_ASK_REVERSE, &question, PACKET_REVERSE,
	    &answer, pool, clock_now() + REVERSE_PATIENCE, true) == 0) {
		name = pool_strdup(s->pool, answer.name);
		if (strcmp(name, "unknown") == 0 && answer.claimed[0] != '\0')
			log_warning("hostname %s does not resolve to address "
			    "%s", answer.claimed, s->address_text);
	}
	pool_free(pool);
	return name;
}

int
client_identify(struct session *s)
{
	struct sockaddr_storage	 peer;
	socklen_t		 len;

	len = sizeof(peer);
	memset(&peer, 0, sizeof(peer));
	if (getpeername(io_fd(s->io), (struct sockaddr *)&peer, &len) == -1)
		return -1;
	if (peer.ss_family != AF_INET && peer.ss_family != AF_INET6) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	inetaddr_from_sockaddr(&s->address, (struct sockaddr *)&peer);
	inetaddr_print(&s->address, s->address_text, sizeof(s->address_text));
	s->is_trusted = match_address(trusted, &s->address);

	s->name = find_name(s);
	s->may_verp = match_address(verp_networks, &s->address) ||
	    match_name(verp_names, s->name, false);
	s->ident = pool_printf(s->pool, "%s[%s]", s->name, s->address_text);
	return 0;
}

void
client_forget(struct session *s)
{
	if (s->is_counted)
		limits_client_left(s);
}
