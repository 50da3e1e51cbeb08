#ifndef RESOLVE_RESOLVE_H
#define RESOLVE_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/mem.h"
#include "common/fiber/fiber.h"
#include "common/ipc/packets.h"
#include "resolve/rules.h"
#include "resolve/tables.h"

/*
 * The questions that resolve answers, and their parts.
 */

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
/* The values of a parameter that is no table, in main.cf and master.cf. */
const char	**lookups_values(struct rules *, struct pool *,
		    const char *parameter, size_t *count);
/* Has the one of this address moved? MAP_FOUND, and the words for it. */
WAITS enum map_result relocated_find(struct rules *, struct pool *,
		    const char *address, char **words, char **why);
/* Whoever sends the answer closes its socket. */
WAITS void	 dial_find(struct rules *, struct pool *,
		    const struct ask_dial *, struct dialed *);
/* A UNIX socket, below the queue directory or anywhere; -1 with errno, and
 * what to do about it. */
WAITS int	 dial_socket(const char *endpoint);
const char	*dial_advice(int error);
WAITS void	 sasl_dial(struct pool *, const struct ask_sasl *,
		    struct dialed *);

/* --- lease.c: how long an answer holds, and for whom else ---------------- */

/* generation: when the finding out began. */
struct lease	 lease_recipient(const struct rules *, int64_t generation,
		    const struct table *known, const struct ask_recipient *,
		    const struct recipient_answer *);
struct lease	 lease_route(const struct rules *, int64_t generation,
		    const struct ask_route *, const struct route *);
/* Tell those who hold any. */
void		 lease_end_all(void);

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
