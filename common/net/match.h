#ifndef NET_MATCH_H
#define NET_MATCH_H

#include <stdbool.h>

#include "common/base/mem.h"
#include "common/net/inetaddr.h"

/*
 * Lists of networks and names as Postfix writes them: words separated by
 * white space or commas, "!" negates, "/file" is replaced by the file's
 * words, first match wins. A "type:table" word is kept for resolve to ask;
 * match_tables() names it so that a caller who cannot ask refuses service.
 */
struct match;

/* NULL with *why in the pool ("10.0.0.1/8: expected 10.0.0.0/8"): the caller
 * names the parameter. Files are read now. Networks cannot be host names. */
struct match	*match_networks(struct pool *, const char *list, char **why);
struct match	*match_names(struct pool *, const char *list, char **why);
/* Both sorts of words in one list, in whatever order. */
struct match	*match_clients(struct pool *, const char *list, char **why);
/* The first "type:table" word, NULL when there is none. */
const char	*match_tables(const struct match *);

bool		 match_address(const struct match *, const struct inetaddr *);
/* Domain itself, ".domain" patterns for sub-domains; case ignored. With
 * parents, "domain" matches sub-domains too. */
bool		 match_name(const struct match *, const char *name,
		    bool parents);
/* For match_clients(): the first word that fits address or name decides. */
bool		 match_client(const struct match *, const struct inetaddr *,
		    const char *name);

#endif
