#ifndef RESOLVE_RULES_H
#define RESOLVE_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/fiber/fiber.h"
#include "common/map/map.h"
#include "common/net/inetaddr.h"
#include "common/param/param.h"

/*
 * What main.cf and master.cf say: the rules that answers follow, the programs
 * behind the names of transports, and which domains are ours.
 */

/* --- rules.c: everything that one reading of main.cf says ---------------- */

struct settings {
	char	*virtual_alias_maps, *virtual_alias_domains;
	char	*virtual_mailbox_maps, *virtual_mailbox_domains;
	char	*relay_domains, *relay_recipient_maps;
	char	*local_recipient_maps, *alias_maps, *fast_flush_domains;
	char	*canonical_maps, *recipient_canonical_maps, *relocated_maps;
	char	*transport_maps, *relayhost;
	char	*default_transport, *local_transport, *virtual_transport,
		*relay_transport, *best_mx_transport;
	char	*sender_relayhosts, *sender_transports;
	char	*empty_sender_relayhost, *empty_sender_transport;
	char	*proxy_interfaces;
	char	*parent_domain_matches_subdomains;
	char	*propagate_unmatched_extensions;
	char	*empty_address_recipient;
	char	*dns_support, *srv_services;
	bool	 append_at_myorigin, append_dot_mydomain, resolve_null_domain;
	bool	 allow_percent_hack, swap_bangpath, resolve_dequoted_address,
		 resolve_numeric_domain;
	bool	 allows_srv_fallback, ignores_srv_error;
	bool	 show_user_unknown_table_name;
	int64_t	 virtual_alias_recursion_limit, virtual_alias_expansion_limit;
	int64_t	 virtual_alias_address_length_limit;
};
extern struct settings set;
extern const struct param resolve_params[];

enum address_class { CLASS_LOCAL, CLASS_VIRTUAL_ALIAS, CLASS_VIRTUAL_MAILBOX,
    CLASS_RELAY, CLASS_DEFAULT };

/* What serves a transport's name in master.cf. */
enum transport_kind { TRANSPORT_SMTP, TRANSPORT_LMTP, TRANSPORT_MAILBOX,
    TRANSPORT_OTHER };

struct transport {
	const char	*name;
	const char	*nexthop;	/* "": the recipient's domain */
};

struct table;
struct domains;
struct lookups;

/*
 * The rules in force are immutable but for the contents of tables. A fiber
 * holds the rules it began with until it is done; a reload replaces them.
 */
struct rules {
	struct pool		*pool;
	unsigned		 users;
	bool			 is_old;

	const char		*myorigin, *mydomain, *myhostname, *delimiters;
	struct settings		 set;
	struct transport	 local, virtual, relay, standard, best_mx;
	struct inetaddr		*own_addresses;
	size_t			 own_count;
	bool			 propagates_virtual;
	bool			 has_stable_classes, has_stable_transports,
				 has_still_addresses;
	bool			 knows_addresses, knows_senders; /* in tables */

	struct domains		*mydestination, *virtual_alias_domains,
				*virtual_mailbox_domains, *relay_domains;
	struct table		*virtual_alias, *virtual_mailbox,
				*local_recipients, *relay_recipients,
				*canonical, *recipient_canonical, *relocated,
				*transports, *sender_relayhosts,
				*sender_transports;
	struct lookups		*lookups;
};

/* Make new rules from `set` and `site`, put them in force. */
void		 rules_load(void);
struct rules	*rules_hold(void);
void		 rules_release(struct rules *);
/* Grows with each reload and each table that changed; alike in all workers
 * only by chance. */
int64_t		 rules_generation(void);
void		 rules_changed(void);
/* A list of domains in the style that parent_domain_matches_... asks for. */
struct domains	*rules_domains(struct rules *, const char *parameter,
		    const char *list);
/* "transport:nexthop" cut at its first colon. */
struct transport transport_parse(struct pool *, const char *value);

/* --- services.c: what master.cf says ------------------------------------- */

void		 services_load(void);
enum transport_kind transport_kind(const char *name);
/* The program of "relay/unix"; smtp for lmtp, too. */
const char	*service_program(struct pool *, const char *service);
/* Main.cf (service "", program NULL), then every line with settings of its
 * own, whose main.cf is gone when `each` returns. */
void		 services_walk(void (*each)(void *, const char *service,
		    const char *program, struct maincf *), void *);

/* --- classes.c ----------------------------------------------------------- */

/* A list of domains, patterns, /files and tables. `matches_parents`: an entry
 * stands for its sub-domains too, else ".entry" does; `is_plain`: neither. */
enum domain_style { DOMAINS_PLAIN, DOMAINS_DOTS, DOMAINS_PARENTS };
struct domains	*domains_new(struct pool *, const char *parameter,
		    const char *list, enum domain_style);
WAITS enum map_result domains_match(struct domains *, struct pool *,
		    const char *name, char **why);
bool		 domains_are_stable(const struct domains *);
/* 0, or -1 with *why: a temporary failure. */
WAITS int	 class_of(struct rules *, struct pool *, const char *domain,
		    enum address_class *, char **why);
/* Is a local part at this domain a key of its own in our tables? */
WAITS int	 domain_is_ours(struct rules *, struct pool *,
		    const char *domain, bool *is_ours, char **why);
const char	*class_name(enum address_class);

#endif
