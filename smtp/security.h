#ifndef SMTP_SECURITY_H
#define SMTP_SECURITY_H

#include "common/tls/tls.h"

#include "smtp/delivery.h"

/*
 * How mail to one next hop is to be protected, by smtp_tls_policy_maps and
 * main.cf. Text that is NULL was not said.
 */
struct security {
	enum tls_level	  level;
	const char	 *protocols, *ciphers, *exclude;
	const char	**matches;	/* names, or fingerprints; "hostname"
					 * is the name of the host */
	size_t		  match_count;
	const char	 *servername;	/* for SNI: a name, or "hostname" */
	const char	 *anchors;	/* a file; no other authority counts */
	const char	 *text;		/* all this in one word: what must be
					 * equal to share a conversation */
};

/* Look once at what main.cf says; errors are logged, and defer the mail that
 * they are about. */
void		 security_prepare(void);
/* Does main.cf ask for TLS anywhere? */
bool		 security_is_wanted(void);

/*
 * What this next hop wants; -1 with the failure told when the table does not
 * answer, or has a mistake for it, or main.cf has one.
 */
WAITS int	 security_find(struct delivery *, const struct nexthop *,
		    struct security **, struct failure *);

/*
 * A value of smtp_tls_policy_maps: "level name=value ...", with match,
 * protocols, ciphers, exclude, servername, tafile, and what has no meaning
 * here: connection_reuse, enable_rpk. NULL, or what is wrong with it.
 */
const char	*security_parse(struct pool *, const char *value,
		    struct security *);
/* What main.cf says where the table did not; after security_prepare(). NULL,
 * or why that cannot be done. */
const char	*security_complete(struct pool *, const struct nexthop *,
		    struct security *);

#endif
