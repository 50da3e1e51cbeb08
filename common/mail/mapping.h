#ifndef MAIL_MAPPING_H
#define MAIL_MAPPING_H

#include <stdbool.h>

#include "common/base/mem.h"

/*
 * What tables of addresses say (canonical, generic), as an address.
 */

/* What incomplete addresses get: @origin, .domain; NULL: they stay. */
struct naming {
	const char	*origin, *domain;
};

/* The address with a domain, and with a whole one. */
char		*mapping_whole(struct pool *, char *address,
		    const struct naming *);

/* "user@domain" and "+ext" to "user+ext@domain". */
char		*mapping_extend(struct pool *, const char *address,
		    const char *extension);

/*
 * A table's answer for this address: "@other.example" keeps its local part,
 * of several addresses the first counts, the extension is added if it is not
 * "". NULL when there is no address in it.
 */
char		*mapping_result(struct pool *, const char *address,
		    const char *value, const char *extension,
		    const struct naming *);

/* Is the word in a list of words separated by commas or white space? */
bool		 mapping_lists(const char *list, const char *word);

/*
 * masquerade_domains: what of this domain is shown, a pointer into it; NULL:
 * all of it. The first word counts that is the domain or a parent of it;
 * "!domain" keeps it whole.
 */
const char	*masquerade_domain(const char *list, const char *domain);

#endif
