/*
 * peers.c - what the log shows of those we speak with: how much, and how.
 *
 * Called by smtpd and smtp at the beginning of a session, and by all who log
 * addresses. Lines of a session that is looked at closely are information, not
 * debug lines: the list is there to have them.
 */
#include "common/daemon/peers.h"

#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/net/match.h"
#include "common/param/site.h"

enum { SHOWN_ROOM = 1100, SHOWN_AT_ONCE = 4 };

static struct {
	struct pool	*pool;
	char		*list;
	int64_t		 level;
	struct match	*networks, *names;
	bool		 has_parents;
} peers;

const struct param peers_params[] = {
	PARAM_STRING("debug_peer_list", peers.list, "", 0, 0,
	    "Hosts whose sessions the log shows in detail: domains, networks "
	    "and files with such words. Lookup tables are not asked."),
	PARAM_INT("debug_peer_level", peers.level, "2", 1, 100,
	    "How much the log shows of the hosts of debug_peer_list: 1, what "
	    "is said; 2 and more, what is decided as well."),
	PARAM_END
};

/* Does "domain" in the list mean the domains below it as well? */
static bool
has_parents(struct maincf *mc, struct pool *pool)
{
	const char	*list;
	char		*why, **words;
	size_t		 i, count;

	list = maincf_value(mc, pool, "parent_domain_matches_subdomains",
	    &why);
	words = text_words(pool, list == NULL ? "" : list, &count);
	for (i = 0; i < count; i++)
		if (text_equal(words[i], "debug_peer_list"))
			return true;
	return false;
}

/* What is no network is a name. */
void
peers_prepare(struct maincf *mc)
{
	struct pool	*pool;
	const char	*networks = "", *names = "";
	char	       **words, *why;
	size_t		 i, count;

	if (peers.pool != NULL)
		pool_free(peers.pool);
	pool = peers.pool = pool_new("debug peers", 0);
	words = text_words(pool, peers.list, &count);
	for (i = 0; i < count; i++) {
		if (match_networks(pool, words[i], &why) != NULL)
			networks = pool_printf(pool, "%s %s", networks,
			    words[i]);
		if (match_names(pool, words[i], &why) != NULL)
			names = pool_printf(pool, "%s %s", names, words[i]);
		else
			log_warning("debug_peer_list: %s", why);
	}
	peers.networks = match_networks(pool, networks, &why);
	peers.names = match_names(pool, names, &why);
	if (peers.names != NULL && match_tables(peers.names) != NULL)
		log_warning("debug_peer_list: %s: tables are not asked",
		    match_tables(peers.names));
	peers.has_parents = has_parents(mc, pool);
}

int
peers_detail(const char *name, const struct inetaddr *address)
{
	bool	is_listed;

	is_listed = (peers.names != NULL &&
	    match_name(peers.names, name, peers.has_parents)) ||
	    (peers.networks != NULL && address != NULL &&
	    match_address(peers.networks, address));
	return (log_is_verbose() ? 1 : 0) +
	    (is_listed ? (int)peers.level : 0);
}

/* --- addresses ------------------------------------------------------------ */

/* The local part without its quotes, and the rest. */
static void
unquote(char *to, size_t size, const char *from)
{
	size_t	at = 0;
	bool	is_quoted = true;

	for (from++; *from != '\0' && at + 1 < size; from++) {
		if (is_quoted && *from == '"') {
			is_quoted = false;
			continue;
		}
		if (is_quoted && *from == '\\' && from[1] != '\0')
			from++;
		to[at++] = *from;
	}
	to[at] = '\0';
}

const char *
log_address(const char *address)
{
	static char	shown[SHOWN_AT_ONCE][SHOWN_ROOM];
	static unsigned	next;

	if (address[0] != '"' || site.log_address_format[0] != 'i')
		return address;
	next = (next + 1) % SHOWN_AT_ONCE;
	unquote(shown[next], SHOWN_ROOM, address);
	return shown[next];
}
