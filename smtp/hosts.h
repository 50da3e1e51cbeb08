#ifndef SMTP_HOSTS_H
#define SMTP_HOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/fiber/fiber.h"
#include "common/net/inetaddr.h"

/* One address to try, in the order to try it. */
struct target {
	const char	*host;
	struct inetaddr	 address;	/* with port */
	char		 text[INETADDR_TEXT];
};

/* What to tell when there is nobody to try. */
struct hosts_failure {
	bool		 is_permanent;
	const char	*dsn, *text;
};

/*
 * The addresses for a next hop "domain", "[host]", "host:port",
 * "[192.0.2.1]:25": MX hosts by preference, equal ones shuffled, without
 * ourselves and whoever comes after us (RFC 5321 5.1). At least one, or -1
 * with *failure.
 */
WAITS int	 hosts_find(struct pool *, const char *nexthop,
		    struct target **, size_t *count, struct hosts_failure *);

#endif
