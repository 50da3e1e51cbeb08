#ifndef RESOLVE_RESOLVE_H
#define RESOLVE_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/fiber/fiber.h"
#include "common/ipc/channel.h"
#include "common/ipc/packets.h"
#include "common/map/map.h"
#include "common/net/inetaddr.h"
#include "common/param/param.h"

/*
 * What the files of the resolve program tell each other.
 */

/* --- rules.c: everything that one reading of main.cf says ---------------- */

struct settings {
	char	*virtual_alias_maps, *virtual_alias_domains;
	char	*virtual_mailbox_maps, *virtual_mailbox_domains;
	char	*relay_domains, *relay_recipient_maps;
	char	*local_recipient_maps, *alias_maps, *fast_flush_domains;
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
	bool			 has_stable_classes, has_stable_transports;

	struct domains		*mydestination, *virtual_alias_domains,
				*virtual_mailbox_domains, *relay_domains;
	struct table		*virtual_alias, *virtual_mailbox,
				*local_recipients, *relay_recipients,
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

/* --- tables.c: tables that notice when their files change ---------------- */

/* In the pool; closed with it. `parameter` is for the log. */
struct table	*table_new(struct pool *, const char *parameter,
		    const char *list);
/* Failures to open so far: all, or those that root would not have. */
unsigned	 tables_broken(bool only_denied);
bool		 table_is_empty(const struct table *);
/* Is every change of it noticed? */
bool		 table_is_stable(const struct table *);
/* Look at the files of all tables, once a second; a change is a new
 * generation. */
void		 tables_look(void);
WAITS enum map_result table_find(struct table *, struct pool *,
		    const char *key, char **value, char **why);
/* A key that tables of patterns are not asked for. */
WAITS enum map_result table_find_part(struct table *, struct pool *,
		    const char *key, char **value, char **why);
WAITS enum map_result table_find_address(struct table *, struct pool *,
		    const char *address, const char *delimiters,
		    bool domain_is_ours, char **value, char **extension,
		    char **why);

/* --- memory.c: facts about domains, until anything changes --------------- */

enum fact_kind { FACT_CLASS, FACT_IS_OURS, FACT_TRANSPORT, FACTS };
struct fact { bool is_known; int number; char *text; };

/* By name in lower case. May these rules use the memory for it at all? */
bool		 rules_remember(const struct rules *, enum fact_kind);
/* NULL, or what is known; good until the next wait. */
const struct fact *memory_recall(const char *name, enum fact_kind);
/* generation: when the finding out began. */
void		 memory_keep(const char *name, enum fact_kind,
		    int64_t generation, int number, const char *text);

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

/* --- rewrite.c ----------------------------------------------------------- */

/* The address with a domain, and with a whole one, its source route taken
 * off; NULL when it has an empty domain that must not be completed, or would
 * be too long. */
char		*address_complete(const struct rules *, struct pool *,
		    const char *address);
/* Behind the last @; never NULL after address_complete(). */
const char	*address_domain(const char *address);
char		*lower(struct pool *, const char *);
char		*reason(struct pool *, const char *);

/* --- target.c: whom an address really means ------------------------------ */

struct target {
	char			*address;	/* NULL: it is no address */
	const char		*domain;
	enum address_class	 class;
	bool			 is_routed;	/* it names another place for
						 * that domain to send it to */
};
/* 0, or -1 with *why: a temporary failure. */
WAITS int	 target_find(struct rules *, struct pool *,
		    const char *address, struct target *, char **why);

/* --- nexthop.c ----------------------------------------------------------- */

struct hop {
	const char	*host;		/* lower case, or a socket's path */
	const char	*port;		/* as written, "" when there is none */
	bool		 has_brackets, is_unix;
};
/* A list of next hops. */
struct hop	*hops_parse(struct pool *, const char *nexthop, size_t *count);
/* "submission" to "587"; what has no such name stays. */
const char	*port_number(const char *port);

/* --- the questions ------------------------------------------------------- */

WAITS void	 route_find(struct rules *, struct pool *,
		    const struct ask_route *, struct route *);
/* The same without the site, which may have to be asked for in DNS. */
WAITS void	 route_find_way(struct rules *, struct pool *,
		    const struct ask_route *, struct route *);
WAITS void	 recipient_check(struct rules *, struct pool *,
		    const struct ask_recipient *, struct recipient_answer *);
WAITS void	 expand_rows(struct rules *, struct pool *,
		    const struct ask_expand *, struct expanded *);
/* Open all tables that others may ask for, into the rules' pool. */
struct lookups	*lookups_new(struct rules *);
WAITS void	 lookup(struct rules *, struct pool *, const char *program,
		    const struct ask_lookup *, struct found *);
/* All "transport:nexthop" that local may pass mail for this address on to. */
WAITS const char **lookups_passing(struct rules *, struct pool *,
		    const char *address, size_t *count);
/* Whoever sends the answer closes its socket. */
WAITS void	 dial_find(struct rules *, struct pool *,
		    const struct ask_dial *, struct dialed *);

/* --- sites.c ------------------------------------------------------------- */

struct site_answer {
	char	*name;
	bool	 is_us;		/* we are the best MX host ourselves */
};
/* The set of hosts that will receive for these next hops, as a name. */
void		 sites_start(void);
void		 sites_forget(void);
WAITS void	 site_find(struct rules *, struct pool *, const char *nexthop,
		    enum transport_kind, struct site_answer *);
/* For tests: the set's name from what dns says. */
char		*site_name(struct pool *, const char *host, const char *port,
		    const struct hosts *);
char		*site_join(struct pool *, char **names, size_t count);

#endif
