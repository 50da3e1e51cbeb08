#ifndef SMTP_CACHE_H
#define SMTP_CACHE_H

#include "smtp/session.h"

/*
 * What two deliveries must agree in to share a conversation: the host that it
 * is with, by name, address and port or path, where we came from, and how it
 * is to be protected (a word without blanks: security.h).
 */
const char	*cache_endpoint(struct pool *, const struct target *,
		    const char *protection);
/* Of an endpoint: where the host is, by whatever name. */
const char	*cache_place(const char *endpoint);

/* A warm conversation that was used for this next hop with this protection, or
 * one that is with this endpoint; or NULL. It is the caller's now. */
struct connection *cache_take_nexthop(const char *nexthop,
		    const char *protection);
struct connection *cache_take_endpoint(const char *endpoint);

/* Keep a conversation that is between transactions for the next message, to
 * be found by this next hop or its endpoint; or close it, when it was used
 * enough or nobody wants it kept. */
WAITS void	 cache_give(struct connection *, const struct nexthop *);

/* Start the fiber that closes what nobody wanted; close all (draining). */
void		 cache_start(void);
void		 cache_close_all(void);

#endif
