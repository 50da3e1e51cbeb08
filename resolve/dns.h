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
	char	*servers, *trust_anchor_file, *hosts_file;
	int64_t	 timeout;			/* milliseconds */
	bool	 disable_dns_lookups;
	bool	 wants_ipv4, wants_ipv6;	/* from inet_protocols */
};
extern struct dns_settings dns_set;

/* --- dns_unbound.c or dns_glibc.c: the way to the name servers ----------- */

enum raw_kind { RAW_BYTES, RAW_NO_NAME, RAW_NO_DATA, RAW_FAILED };

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

/* --- the questions ------------------------------------------------------- */

WAITS void	 hosts_find(struct pool *, const struct ask_hosts *,
		    struct hosts *);
WAITS void	 reverse_find(struct pool *, const char *address,
		    struct reverse *);

#endif
