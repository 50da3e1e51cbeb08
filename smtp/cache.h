#ifndef SMTP_CACHE_H
#define SMTP_CACHE_H

#include "smtp/session.h"

/* A warm conversation for this key, or NULL; it is the caller's now. */
struct connection *cache_take(const char *key);

/* Keep a conversation that is between transactions for the next message of
 * its key; or close it, when it was used enough. */
WAITS void	 cache_give(struct connection *);

/* Start the fiber that closes what nobody wanted; close all (draining). */
void		 cache_start(void);
WAITS void	 cache_close_all(void);

#endif
