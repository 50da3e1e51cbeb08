#ifndef RESOLVE_DNS_H
#define RESOLVE_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/dns/answer.h"
#include "common/fiber/fiber.h"
#include "common/ipc/packets.h"
#include "common/net/inetaddr.h"

/*
 * What the files of the dns program tell each other.
 */
struct dns_settings {
	char	*servers, *trust_anchor_file, *hosts_file, *resolver_options,
		*support;
	int64_t	 timeout;			/* milliseconds */
	bool	 disable_dns_lookups, ignores_mx_error;
	bool	 wants_ipv4, wants_ipv6;	/* from inet_protocols */
};
extern struct dns_settings dns_set;

/* --- dns_unbound.c or dns_glibc.c: the way to the name servers ----------- */

enum raw_kind { RAW_BYTES, RAW_FAILED };

struct raw_answer {
	enum raw_kind		 kind;
	const unsigned char	*bytes;		/* in the pool */
	size_t			 len;
	bool			 is_secure;	/* DNSSEC validated */
	const char		*why;		/* FAILED */
};

/* While files can still be read. */
void		 backend_prepare(void);
/* Behind the closed doors, on a fiber. */
void		 backend_start(void);
WAITS void	 backend_query(struct pool *, const char *name,
		    enum answer_type, int64_t deadline, struct raw_answer *);

/* --- dns_query.c: one question, or several at once ----------------------- */

struct query {
	const char		*name;
	enum answer_type	 type;
	struct answer		 answer;
	bool			 is_secure;
};

/* Ask all at once, wait for all; answers are in the pool. What takes longer
 * than dns_timeout is ANSWER_FAILED. */
WAITS void	 query_all(struct pool *, struct query *, size_t count);
const char	*type_name(enum answer_type);

/* --- dns_local.c: names without DNS -------------------------------------- */

void		 local_read(void);
/* Addresses of localhost or a name of the hosts file; how many. */
size_t		 local_addresses(const char *name, struct inetaddr *to,
		    size_t room);
/* The name of an address, NULL when the file has none. */
const char	*local_name(const struct inetaddr *);

/* --- dns_search.c: short names ------------------------------------------- */

/* smtp_dns_resolver_options, and the file with the domains. */
void		 search_read(const char *options, const char *path);
/* What to try in place of a name, in order, ended by NULL. */
const char	**search_names(struct pool *, const char *name);

/* --- dns_srv.c ----------------------------------------------------------- */

/* Priority, then chance by weight; below(n) draws from 0 to n - 1. */
void		 srv_order(struct answer_record *, size_t count,
		    uint32_t (*below)(uint32_t));

/* --- the questions ------------------------------------------------------- */

/* For the way out, with smtp_dns_support_level and smtp_dns_resolver_options:
 * a short name is completed where that is asked for. */
WAITS void	 hosts_search(struct pool *, const struct ask_hosts *,
		    struct hosts *);
/* is_blind: ask for no MX records, as with disable_dns_lookups. */
WAITS void	 hosts_find(struct pool *, const struct ask_hosts *,
		    bool is_blind, struct hosts *);
WAITS void	 reverse_find(struct pool *, const char *address,
		    struct reverse *);

#endif
