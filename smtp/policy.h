#ifndef SMTP_POLICY_H
#define SMTP_POLICY_H

#include "smtp/security.h"

/* What security.c and the grammar of policies share; security_parse() is in
 * policy.c, too. */

/* Words between any of these separators become names to match, or
 * fingerprints at that level. NULL, or what is wrong. */
const char	*policy_add_matches(struct pool *, struct security *,
		    const char *list, const char *separators);
/* May it stand where a name for SNI is wanted? NULL: yes, or none. */
const char	*policy_check_name(const char *);

#endif
