/*
 * rules.c - everything that one reading of main.cf says about addresses.
 */
#include <string.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/param/site.h"
#include "common/daemon/daemon.h"
#include "common/mail/address.h"
#include "resolve/resolve.h"

struct settings	set;

const struct param resolve_params[] = {
	PARAM_STRING("virtual_alias_maps", set.virtual_alias_maps, "", 0, 0,
	    "Tables that replace recipients by other ones, before anything "
	    "else is decided about them."),
	PARAM_STRING("virtual_alias_domains", set.virtual_alias_domains,
	    "$virtual_alias_maps", 0, 0,
	    "Domains whose addresses are all aliases, found in "
	    "virtual_alias_maps."),
	PARAM_STRING("canonical_maps", set.canonical_maps, "", 0, 0,
	    "Tables that say how addresses are written; a recipient who is "
	    "there exists."),
	PARAM_STRING("recipient_canonical_maps", set.recipient_canonical_maps,
	    "", 0, 0, "As canonical_maps, for recipients only."),
	PARAM_STRING("relocated_maps", set.relocated_maps, "", 0, 0,
	    "Tables of users and domains that are no more here, and where "
	    "they can be found."),
	PARAM_STRING("virtual_mailbox_maps", set.virtual_mailbox_maps, "", 0,
	    0, "Tables with all valid addresses of virtual_mailbox_domains; "
	    "empty: every address is valid."),
	PARAM_STRING("virtual_mailbox_domains", set.virtual_mailbox_domains,
	    "$virtual_mailbox_maps", 0, 0,
	    "Domains that are delivered by virtual_transport."),
	PARAM_STRING("relay_domains", set.relay_domains,
	    "${{$compatibility_level} <level {2} ? {$mydestination} : {}}",
	    0, 0,
	    "Domains, with their sub-domains, that we accept mail for and "
	    "pass on by relay_transport."),
	PARAM_STRING("relay_recipient_maps", set.relay_recipient_maps, "", 0,
	    0, "Tables with all valid addresses of relay_domains; empty: "
	    "every address is valid."),
	PARAM_STRING("local_recipient_maps", set.local_recipient_maps,
	    "proxy:unix:passwd.byname $alias_maps", 0, 0,
	    "Tables with all names or addresses of local recipients; empty: "
	    "every name is valid."),
	PARAM_STRING("alias_maps", set.alias_maps, "hash:/etc/aliases", 0, 0,
	    "Tables of aliases that local delivery uses."),
	PARAM_STRING("fast_flush_domains", set.fast_flush_domains,
	    "$relay_domains", 0, 0, "Domains whose waiting mail a client may "
	    "ask for by ETRN."),
	PARAM_STRING("transport_maps", set.transport_maps, "", 0, 0,
	    "Tables that say transport and next hop of addresses and "
	    "domains, against everything else."),
	PARAM_STRING("relayhost", set.relayhost, "", 0, 1000,
	    "Next hop of all mail that is not delivered here: host, [host], "
	    "host:port or [host]:port; without brackets its MX hosts."),
	PARAM_STRING("default_transport", set.default_transport, "smtp", 1,
	    255, "Transport, and next hop after a colon, for all other "
	    "domains."),
	PARAM_STRING("local_transport", set.local_transport,
	    "local:$myhostname", 1, 255,
	    "Transport, and next hop after a colon, for mydestination."),
	PARAM_STRING("virtual_transport", set.virtual_transport, "virtual", 1,
	    255, "Transport, and next hop after a colon, for "
	    "virtual_mailbox_domains."),
	PARAM_STRING("relay_transport", set.relay_transport, "relay", 1, 255,
	    "Transport, and next hop after a colon, for relay_domains."),
	PARAM_STRING("best_mx_transport", set.best_mx_transport, "", 0, 255,
	    "Transport, and next hop after a colon, for domains whose best "
	    "MX host is this one though no list here names them; empty: "
	    "that is a mail loop."),
	PARAM_STRING("sender_dependent_relayhost_maps",
	    set.sender_relayhosts, "", 0, 0,
	    "Tables that say a relayhost for senders and their @domain; "
	    "DUNNO ends the search."),
	PARAM_STRING("empty_address_relayhost_maps_lookup_key",
	    set.empty_sender_relayhost, "<>", 1, 255,
	    "What sender_dependent_relayhost_maps is asked for the null "
	    "sender."),
	PARAM_STRING("sender_dependent_default_transport_maps",
	    set.sender_transports, "", 0, 0,
	    "Tables that say a transport in place of default_transport for "
	    "senders and their @domain; DUNNO ends the search."),
	PARAM_STRING("empty_address_default_transport_maps_lookup_key",
	    set.empty_sender_transport, "<>", 1, 255,
	    "What sender_dependent_default_transport_maps is asked for the "
	    "null sender."),
	PARAM_STRING("smtp_dns_support_level", set.dns_support, "", 0, 32,
	    "disabled: look up no MX records for mail that goes out, as "
	    "disable_dns_lookups does."),
	PARAM_STRING("use_srv_lookup", set.srv_services, "", 0, 0,
	    "Services (the port names of next hops, as submission) whose "
	    "hosts are found by SRV records."),
	PARAM_BOOL("allow_srv_lookup_fallback", set.allows_srv_fallback,
	    "no", "Look up MX records where there are no SRV records."),
	PARAM_BOOL("ignore_srv_lookup_error", set.ignores_srv_error, "no",
	    "Look up MX records where nobody could tell the SRV records."),
	PARAM_STRING("proxy_interfaces", set.proxy_interfaces, "", 0, 0,
	    "Addresses by which others reach this host through a proxy or "
	    "an address translator."),
	PARAM_STRING("parent_domain_matches_subdomains",
	    set.parent_domain_matches_subdomains,
	    "debug_peer_list,fast_flush_domains,mynetworks,"
	    "permit_mx_backup_networks,qmqpd_authorized_clients,"
	    "relay_domains,smtpd_access_maps", 0, 0,
	    "Parameters in whose lists a domain stands for its sub-domains "
	    "too."),
	PARAM_BOOL("owner_request_special", address_owner_is_special, "yes",
	    "owner-NAME is who hears of failures of the alias NAME, and "
	    "neither owner-NAME nor NAME-request has an extension if \"-\" "
	    "is a recipient_delimiter."),
	PARAM_STRING("propagate_unmatched_extensions",
	    set.propagate_unmatched_extensions, "canonical, virtual", 0, 0,
	    "Kinds of tables whose results get the address extension that "
	    "the key did not have."),
	PARAM_STRING("empty_address_recipient", set.empty_address_recipient,
	    "MAILER-DAEMON", 1, 255,
	    "Who gets mail for the null address <>."),
	PARAM_BOOL("append_at_myorigin", set.append_at_myorigin, "yes",
	    "Complete addresses without a domain by myorigin."),
	PARAM_BOOL("append_dot_mydomain", set.append_dot_mydomain,
	    "${{$compatibility_level} <level {1} ? {yes} : {no}}",
	    "Complete domains without a dot by mydomain."),
	PARAM_BOOL("resolve_null_domain", set.resolve_null_domain, "no",
	    "Take user@ for user@myhostname instead of refusing it."),
	PARAM_BOOL("allow_percent_hack", set.allow_percent_hack, "yes",
	    "Take user%domain for user@domain, where nothing or a domain of "
	    "ours stands behind it."),
	PARAM_BOOL("swap_bangpath", set.swap_bangpath, "yes",
	    "Take site!user for user@site, where nothing or a domain of "
	    "ours stands behind it."),
	PARAM_BOOL("resolve_dequoted_address", set.resolve_dequoted_address,
	    "yes", "Look for @, ! and % in quoted local parts, too."),
	PARAM_BOOL("resolve_numeric_domain", set.resolve_numeric_domain,
	    "no", "Take user@192.0.2.1 for user@[192.0.2.1] instead of "
	    "refusing it."),
	PARAM_BOOL("show_user_unknown_table_name",
	    set.show_user_unknown_table_name, "yes",
	    "Name the kind of table when a recipient is unknown."),
	PARAM_INT("virtual_alias_recursion_limit",
	    set.virtual_alias_recursion_limit, "1000", 1, 10000,
	    "How deep virtual aliases may lead to each other."),
	PARAM_INT("virtual_alias_expansion_limit",
	    set.virtual_alias_expansion_limit, "1000", 1, 100000,
	    "How many addresses one recipient may become."),
	PARAM_INT("virtual_alias_address_length_limit",
	    set.virtual_alias_address_length_limit, "1000", 1, ADDRESS_MAX,
	    "Longest address that virtual aliases may make."),
	PARAM_END
};

static struct rules	*in_force;
static int64_t		 generation;

/* --- addresses of this host ---------------------------------------------- */

enum { OWN_MAX = 1000 };

/* One more address of this host. */
static void
add_own(struct rules *r, const struct inetaddr *address)
{
	if (r->own_count < OWN_MAX)
		r->own_addresses[r->own_count++] = *address;
}

/* Those of the words that are addresses. Names have no place here: asking for
 * them would need dns, which is not there yet. */
static void
add_own_words(struct rules *r, const char *parameter, const char *list)
{
	struct inetaddr	  address;
	char		**words, *word;
	size_t		  i, count;

	words = text_words(r->pool, list, &count);
	for (i = 0; i < count; i++) {
		word = words[i];
		if (*word == '[') {
			word++;
			word[strcspn(word, "]")] = '\0';
		}
		if (inetaddr_parse(&address, word))
			add_own(r, &address);
		else if (!text_equal(word, "all") &&
		    !text_equal(word, "loopback-only") &&
		    !text_equal(word, "localhost"))
			log_debug("%s: %s is not an address; user@[address] "
			    "is not known as ours by it", parameter, word);
	}
}

/* inet_interfaces and proxy_interfaces: whose literals are ours. */
static void
learn_own_addresses(struct rules *r)
{
	struct inetaddr	*found;
	int		 i, n;

	r->own_addresses = pool_array(r->pool, OWN_MAX,
	    sizeof(*r->own_addresses));
	found = pool_array(r->pool, OWN_MAX, sizeof(*found));
	n = inetaddr_of_interfaces(found, OWN_MAX);
	/* Behind the sandbox there may be no way to look again. */
	if (n == -1 && in_force != NULL)
		for (i = 0; i < (int)in_force->own_count; i++)
			add_own(r, &in_force->own_addresses[i]);
	for (i = 0; i < n; i++)
		if (text_equal(site.inet_interfaces, "all") ||
		    inetaddr_is_loopback(&found[i]))
			add_own(r, &found[i]);
	add_own_words(r, "inet_interfaces", site.inet_interfaces);
	add_own_words(r, "proxy_interfaces", r->set.proxy_interfaces);
}

/* --- transports ---------------------------------------------------------- */

/* transport:nexthop */
struct transport
transport_parse(struct pool *pool, const char *value)
{
	struct transport	 t;
	char			*name = pool_strdup(pool, value), *colon;

	name = text_trim(name);
	if ((colon = strchr(name, ':')) != NULL)
		*colon++ = '\0';
	t.name = text_trim(name);
	t.nexthop = colon == NULL ? "" : text_trim(colon);
	return t;
}

/* --- the rules ----------------------------------------------------------- */

/* Is the word in this list? */
static bool
lists(struct pool *pool, const char *list, const char *word)
{
	char	**words;
	size_t	  i, count;

	words = text_words(pool, list, &count);
	for (i = 0; i < count; i++)
		if (text_equal(words[i], word))
			return true;
	return false;
}

/* A list of domains in the style that parent_domain_... asks for. */
struct domains *
rules_domains(struct rules *r, const char *parameter, const char *list)
{
	return domains_new(r->pool, parameter, list,
	    lists(r->pool, r->set.parent_domain_matches_subdomains,
	    parameter) ? DOMAINS_PARENTS : DOMAINS_DOTS);
}

/* Are there tables about addresses, and do these say the same from one look at
 * their files to the next? */
static void
learn_what_matters(struct rules *r)
{
	struct table *const	addresses[] = {
		r->virtual_alias, r->canonical, r->recipient_canonical,
		r->relocated, r->transports
	};
	size_t			i;

	r->knows_senders = !table_is_empty(r->sender_relayhosts) ||
	    !table_is_empty(r->sender_transports);
	r->has_still_addresses = r->has_stable_classes &&
	    table_is_still(r->sender_relayhosts) &&
	    table_is_still(r->sender_transports);
	for (i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		r->knows_addresses |= !table_is_empty(addresses[i]);
		r->has_still_addresses &= table_is_still(addresses[i]);
	}
}

/* Open everything. */
static void
fill(struct rules *r)
{
	const struct settings	*s = &r->set;

	r->local = transport_parse(r->pool, s->local_transport);
	r->virtual = transport_parse(r->pool, s->virtual_transport);
	r->relay = transport_parse(r->pool, s->relay_transport);
	r->standard = transport_parse(r->pool, s->default_transport);
	r->best_mx = transport_parse(r->pool, s->best_mx_transport);
	r->propagates_virtual = lists(r->pool,
	    s->propagate_unmatched_extensions, "virtual");

	r->mydestination = rules_domains(r, "mydestination",
	    site.mydestination);
	r->relay_domains = rules_domains(r, "relay_domains", s->relay_domains);
	r->virtual_alias_domains = domains_new(r->pool,
	    "virtual_alias_domains", s->virtual_alias_domains, DOMAINS_PLAIN);
	r->virtual_mailbox_domains = domains_new(r->pool,
	    "virtual_mailbox_domains", s->virtual_mailbox_domains,
	    DOMAINS_PLAIN);

	r->virtual_alias = table_new(r->pool, "virtual_alias_maps",
	    s->virtual_alias_maps);
	r->virtual_mailbox = table_new(r->pool, "virtual_mailbox_maps",
	    s->virtual_mailbox_maps);
	r->local_recipients = table_new(r->pool, "local_recipient_maps",
	    s->local_recipient_maps);
	r->relay_recipients = table_new(r->pool, "relay_recipient_maps",
	    s->relay_recipient_maps);
	r->canonical = table_new(r->pool, "canonical_maps",
	    s->canonical_maps);
	r->recipient_canonical = table_new(r->pool,
	    "recipient_canonical_maps", s->recipient_canonical_maps);
	r->relocated = table_new(r->pool, "relocated_maps",
	    s->relocated_maps);
	r->transports = table_new(r->pool, "transport_maps",
	    s->transport_maps);
	r->sender_relayhosts = table_new(r->pool,
	    "sender_dependent_relayhost_maps", s->sender_relayhosts);
	r->sender_transports = table_new(r->pool,
	    "sender_dependent_default_transport_maps", s->sender_transports);
	r->lookups = lookups_new(r);
	r->has_stable_transports = table_is_stable(r->transports);
	r->has_stable_classes = domains_are_stable(r->mydestination) &&
	    domains_are_stable(r->relay_domains) &&
	    domains_are_stable(r->virtual_alias_domains) &&
	    domains_are_stable(r->virtual_mailbox_domains);
	learn_what_matters(r);
}

/* New rules; the old ones go when nobody uses them any more. They stay when
 * the new ones need root, who is in this process no longer. */
void
rules_load(void)
{
	struct pool	*pool = pool_new("rules", 0);
	struct rules	*r = pool_alloc(pool, sizeof(*r)), *old = in_force;
	unsigned	 denied = tables_broken(true);

	r->pool = pool;
	r->set = set;
	r->myorigin = site.myorigin;
	r->mydomain = site.mydomain;
	r->myhostname = site.myhostname;
	r->delimiters = site.recipient_delimiter;
	learn_own_addresses(r);
	fill(r);
	if (old != NULL && tables_broken(true) != denied) {
		log_info("only root may read some table: leaving, so that a "
		    "fresh process opens it");
		pool_free(pool);
		daemon_leave();
		return;
	}
	in_force = r;
	rules_changed();
	sites_forget();
	lease_end_all();
	if (old != NULL) {
		old->is_old = true;
		old->users++;
		rules_release(old);
	}
}

/* Only the rules in force have a memory; what tables say that change unseen
 * is not kept in it. */
bool
rules_remember(const struct rules *r, enum fact_kind kind)
{
	return !r->is_old && (kind == FACT_TRANSPORT ?
	    r->has_stable_transports : r->has_stable_classes);
}

/* The rules in force, which stay until released. */
struct rules *
rules_hold(void)
{
	CLAIM(in_force != NULL);
	tables_look();
	in_force->users++;
	return in_force;
}

/* Done with these rules. */
void
rules_release(struct rules *r)
{
	CLAIM(r->users > 0);
	if (--r->users == 0 && r->is_old)
		pool_free(r->pool);
}

/* The number of the present state of things. */
int64_t
rules_generation(void)
{
	return generation;
}

/* What was known about routes may be wrong now. The clock makes generations
 * grow across restarts, too. */
void
rules_changed(void)
{
	int64_t	now = clock_wall_us();

	generation = now > generation ? now : generation + 1;
}
