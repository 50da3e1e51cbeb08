#ifndef SMTP_HOSTS_H
#define SMTP_HOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/fiber/fiber.h"
#include "common/net/inetaddr.h"

#include "smtp/nexthop.h"

/* One address to try, in the order to try it. */
struct target {
	const char	*host;
	struct inetaddr	 address;	/* with port */
	char		 text[INETADDR_TEXT];
	const char	*path;		/* a UNIX socket; else NULL */
	bool		 may_be_us;	/* by its greeting we would know */
};

/* What to tell when there is nobody to try. */
struct hosts_failure {
	bool		 is_permanent;
	bool		 is_final;	/* fallback relays are not for this */
	bool		 is_ours;	/* it tells nothing of the domain */
	const char	*dsn, *text;
};

/* While the files are in sight: which addresses are our own. */
void		 hosts_prepare(void);

/*
 * The addresses for a next hop: of SRV or MX hosts by preference, equal ones
 * shuffled, without ourselves and whoever comes after us (RFC 5321 5.1); or
 * of one host. At least one, or -1 with *failure.
 */
WAITS int	 hosts_find(struct pool *, const struct nexthop *,
		    struct target **, size_t *count, struct hosts_failure *);

#endif
