#ifndef MAIL_SPANS_H
#define MAIL_SPANS_H

#include <stddef.h>

#include "common/base/mem.h"

/*
 * Where the addresses of a header's value stand, for those who rewrite them
 * and leave everything around as its author wrote it: `len` bytes of the value
 * at `at` are this address. Comments among them are told apart, to be put
 * behind the address again; NULL without.
 */
struct span {
	size_t		 at, len;
	char		*address;	/* canonical; may be a local part */
	char		*comments;
};

/* Lists, groups, display names, comments, folding, routes. What is not
 * understood has no span. */
void		 spans_find(struct pool *, const char *value, size_t len,
		    struct span **, size_t *count);

#endif
