#ifndef SMTP_NEXTHOP_H
#define SMTP_NEXTHOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"

/* One of the places that a message may go to, as a route names it. */
enum nexthop_kind {
	NEXTHOP_DOMAIN,		/* "example.com:25": its MX hosts */
	NEXTHOP_HOST,		/* "[host]:25", "[192.0.2.1]" */
	NEXTHOP_UNIX		/* "unix:private/lmtp" */
};
struct nexthop {
	enum nexthop_kind	 kind;
	const char		*text;		/* as it was written */
	const char		*name;		/* host, domain, path */
	const char		*service;	/* as written, or default */
	uint16_t		 port;
};

/*
 * A list separated by commas and white space, tried in its order. For LMTP
 * there are no MX hosts; "unix:path" and "inet:host:port" are for LMTP only.
 * `port` is used where none is written. NULL, or what is wrong with which.
 */
const char	*nexthop_parse(struct pool *, const char *list, bool is_lmtp,
		    const char *port, struct nexthop **, size_t *count);

/* "25", "smtp", "submission": 0 if it is no port. */
uint16_t	 nexthop_port(const char *);

#endif
