/*
 * clients.c - whose headers are rewritten.
 *
 * Mail that was posted here or that we wrote ourselves is ours. Of mail from
 * the network it is what local_header_rewrite_clients says: words that name a
 * property of the client, and tables, which resolve is asked about. What local
 * passes on has been rewritten when it came, if it had to be.
 */
#include "cleanup/clients.h"

#include <string.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/net/inetaddr.h"
#include "common/net/match.h"
#include "common/param/site.h"

#include "cleanup/lookup.h"

enum { OWN_MAX = 256 };

static struct inetaddr	 found[OWN_MAX], own[OWN_MAX];
static int		 found_count, own_count;
static struct match	*networks;
static bool		 permits_own, permits_networks, permits_logins, asks;

/* Behind the sandbox there is no way to look. */
void
clients_before(void)
{
	found_count = inetaddr_of_interfaces(found, OWN_MAX);
}

/* Note an address that mail comes in by. */
static void
add_own(const struct inetaddr *address)
{
	if (own_count < OWN_MAX)
		own[own_count++] = *address;
}

/* Those of inet_interfaces: all, loopback-only, or addresses. */
static void
learn_own(struct pool *pool)
{
	char		**words = text_words(pool, site.inet_interfaces,
			    &(size_t){ 0 });
	struct inetaddr	  address;
	int		  i;

	for (i = 0; i < found_count; i++)
		if (text_equal(site.inet_interfaces, "all") ||
		    inetaddr_is_loopback(&found[i]))
			add_own(&found[i]);
	for (; *words != NULL; words++) {
		if (**words == '[') {
			(*words)++;
			(*words)[strcspn(*words, "]")] = '\0';
		}
		if (inetaddr_parse(&address, *words))
			add_own(&address);
	}
}

/* One word of the list. */
static void
take_word(const char *word)
{
	if (text_equal(word, "permit_inet_interfaces"))
		permits_own = true;
	else if (text_equal(word, "permit_mynetworks"))
		permits_networks = true;
	else if (text_equal(word, "permit_sasl_authenticated"))
		permits_logins = true;
	else if (strchr(word, ':') != NULL)
		asks = true;
	else if (!text_equal(word, "check_address_map") &&
	    !text_equal(word, "permit_tls_clientcerts") &&
	    !text_equal(word, "permit_tls_all_clientcerts"))
		die("local_header_rewrite_clients: %s: expected permit_..., "
		    "or a table behind check_address_map", word);
}

/* Read the list. */
void
clients_start(void)
{
	struct pool	*pool = pool_new("clients", 0);
	char		*at, *word, *why;

	at = pool_strdup(pool, table_value(LIST_REWRITE_CLIENTS));
	while ((word = text_next_word(&at)) != NULL)
		take_word(word);
	learn_own(pool);
	networks = match_networks(pool, site.mynetworks, &why);
	if (networks == NULL && permits_networks)
		die("mynetworks: %s", why);
}

/* Are there tables? */
bool
clients_ask(void)
{
	return asks;
}

/* Is this address ours? */
static bool
is_own(const struct inetaddr *address)
{
	int	i;

	for (i = 0; i < own_count; i++)
		if (inetaddr_equal(&own[i], address))
			return true;
	return false;
}

/* What the words say. */
static bool
is_permitted(const struct mail *m)
{
	struct inetaddr	address;

	if (permits_logins && *m->login != '\0')
		return true;
	if (!inetaddr_parse(&address, m->client_address))
		return false;
	return (permits_own && is_own(&address)) ||
	    (permits_networks && match_address(networks, &address));
}

/* From near? */
bool
clients_is_near(const struct mail *m)
{
	struct inetaddr	address;

	return inetaddr_parse(&address, m->client_address) &&
	    (is_own(&address) ||
	    (networks != NULL && match_address(networks, &address)));
}

/* What the tables say. */
WAITS static bool
is_in_table(struct transaction *t)
{
	struct key_row	key = { t->mail.client_address };
	struct found	answer;

	table_ask(t->pool, LIST_REWRITE_CLIENTS, LOOKUP_DOMAIN, &key, 1,
	    &answer);
	if (answer.result != LOOKUP_TEMPORARY)
		return answer.result == LOOKUP_FOUND;
	log_warning("%s: %s: %s", t->queue_id,
	    table_name(LIST_REWRITE_CLIENTS), answer.text);
	transaction_refuse(t, 451,
	    "451 4.3.0 Error: temporary lookup failure");
	return false;
}

/* Ours? */
WAITS bool
clients_is_ours(struct transaction *t)
{
	const struct mail	*m = &t->mail;

	if (m->flags & (MAIL_IS_FORWARD | MAIL_FROM_OTHERS))
		return false;
	if (m->flags & MAIL_FROM_OURS)
		return true;
	if (strcmp(m->origin, "smtpd") != 0)
		return true;
	return is_permitted(m) || (asks && is_in_table(t));
}
