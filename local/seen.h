#ifndef LOCAL_SEEN_H
#define LOCAL_SEEN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/mem.h"

/*
 * Addresses that have been named already, without their case; in a pool.
 */
struct seen;

/* To remember so many at most; 0 is no limit. */
struct seen	*seen_new(struct pool *, size_t limit);

/* Was it named before? It is remembered if not, and if there is room. The
 * text has to live as long as the pool. */
bool		 seen_is(struct seen *, const char *address);

#endif
