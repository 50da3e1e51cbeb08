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
	char	*local_recipient_maps, *alias_maps;
	char	*transport_maps, *relayhost;
	char	*default_transport, *local_transport, *virtual_transport,
		*relay_transport;
	char	*proxy_interfaces;
	char	*parent_domain_matches_subdomains;
	char	*propagate_unmatched_extensions;
	char	*empty_address_recipient;
	bool	 append_at_myorigin, append_dot_mydomain, resolve_null_domain;
	bool	 show_user_unknown_table_name;
	int64_t	 virtual_alias_recursion_limit, virtual_alias_expansion_limit;
	int64_t	 virtual_alias_address_length_limit;
};
extern struct settings set;
extern const struct param resolve_params[];

enum address_class { CLASS_LOCAL, CLASS_VIRTUAL_ALIAS, CLASS_VIRTUAL_MAILBOX,
    CLASS_RELAY, CLASS_DEFAULT };

/* What serves a transport's name in master.cf. */
enum transport_kind { TRANSPORT_SMTP, TRANSPORT_MAILBOX, TRANSPORT_OTHER };

struct transport {
	const char	*name;
	const char	*nexthop;	/* "": the recipient's domain */
};

struct table;
struct domains;

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
	struct transport	 local, virtual, relay, standard;
	struct inetaddr		*own_addresses;
	size_t			 own_count;
	bool			 propagates_virtual;

	struct domains		*mydestination, *virtual_alias_domains,
				*virtual_mailbox_domains, *relay_domains;
	struct table		*virtual_alias, *virtual_mailbox,
				*local_recipients, *relay_recipients,
				*transports, *aliases;
};

/* Make new rules from `set` and `site`, put them in force. */
void		 rules_load(void);
struct rules	*rules_hold(void);
void		 rules_release(struct rules *);
/* Grows with each reload and each table that changed; alike in all workers
 * only by chance. */
int64_t		 rules_generation(void);
void		 rules_changed(void);
/* Read master.cf, to know which transports are smtp's. */
void		 transports_load(void);
enum transport_kind transport_kind(const char *name);
/* "transport:nexthop" cut at its first colon. */
struct transport transport_parse(struct pool *, const char *value);

/* --- tables.c: tables that notice when their files change ---------------- */

/* In the pool; closed with it. `parameter` is for the log. */
struct table	*table_new(struct pool *, const char *parameter,
		    const char *list);
/* Failures to open so far: all, or those that root would not have. */
unsigned	 tables_broken(bool only_denied);
bool		 table_is_empty(const struct table *);
WAITS enum map_result table_find(struct table *, struct pool *,
		    const char *key, char **value, char **why);
/* A key that tables of patterns are not asked for. */
WAITS enum map_result table_find_part(struct table *, struct pool *,
		    const char *key, char **value, char **why);
WAITS enum map_result table_find_address(struct table *, struct pool *,
		    const char *address, const char *delimiters,
		    bool domain_is_ours, char **value, char **extension,
		    char **why);

/* --- classes.c ----------------------------------------------------------- */

/* A list of domains, patterns, /files and tables. `matches_parents`: an entry
 * stands for its sub-domains too, else ".entry" does; `is_plain`: neither. */
enum domain_style { DOMAINS_PLAIN, DOMAINS_DOTS, DOMAINS_PARENTS };
struct domains	*domains_new(struct pool *, const char *parameter,
		    const char *list, enum domain_style);
WAITS enum map_result domains_match(struct domains *, struct pool *,
		    const char *name, char **why);
/* 0, or -1 with *why: a temporary failure. */
WAITS int	 class_of(struct rules *, struct pool *, const char *domain,
		    enum address_class *, char **why);
/* Is a local part at this domain a key of its own in our tables? */
WAITS int	 domain_is_ours(struct rules *, struct pool *,
		    const char *domain, bool *is_ours, char **why);
const char	*class_name(enum address_class);

/* --- rewrite.c ----------------------------------------------------------- */

/* The address with a domain, and with a whole one; NULL when it has an empty
 * domain that must not be completed, or would be too long. */
char		*address_complete(const struct rules *, struct pool *,
		    const char *address);
/* Behind the last @; never NULL after address_complete(). */
const char	*address_domain(const char *address);
char		*lower(struct pool *, const char *);
char		*reason(struct pool *, const char *);

/* --- the questions ------------------------------------------------------- */

WAITS void	 route_find(struct rules *, struct pool *, const char *address,
		    struct route *);
WAITS void	 recipient_check(struct rules *, struct pool *,
		    const char *address, struct recipient_answer *);
WAITS void	 expand_rows(struct rules *, struct pool *,
		    const struct ask_expand *, struct expanded *);
WAITS void	 lookup(struct rules *, struct pool *, const char *service,
		    const struct ask_lookup *, struct found *);

/* The set of hosts that will receive for this next hop, as a name. */
void		 sites_start(void);
WAITS char	*site_of(struct pool *, const char *nexthop);
/* For tests: the set's name from what dns says. */
char		*site_name(struct pool *, const char *nexthop, const char *port,
		    const struct hosts *);

#endif
