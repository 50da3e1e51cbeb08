#ifndef NET_HAPROXY_H
#define NET_HAPROXY_H

#include <stdbool.h>
#include <stddef.h>

#include "common/net/inetaddr.h"

/*
 * The header that a proxy sends in front of a connection to tell whose it is:
 * PROXY protocol, versions 1 (a line) and 2 (binary), as HAProxy's
 * specification has them.
 */
enum {
	HAPROXY_DECIDED = 107,		/* bytes by which all is known */
	HAPROXY_LENGTH_MAX = 4096	/* of a whole header; what is longer
					 * than that is refused */
};

struct haproxy {
	bool		 is_proxied;	/* else the peer speaks for itself:
					 * UNKNOWN, LOCAL, UNSPEC */
	struct inetaddr	 client, server; /* with ports */
	size_t		 length;	/* of the header; version 2: with what
					 * follows the addresses, which may not
					 * be there yet */
	const char	*why;		/* HAPROXY_BAD: a sentence */
};

/*
 * The header at the start of these bytes. MORE: they are all of it, and do
 * not decide; never with HAPROXY_DECIDED bytes. A mapped IPv4 address comes
 * out as IPv4.
 */
enum haproxy_result { HAPROXY_MORE, HAPROXY_OK, HAPROXY_BAD };
enum haproxy_result haproxy_parse(struct haproxy *, const void *data,
		    size_t len);

#endif
