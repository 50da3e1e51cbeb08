#ifndef MAIL_IDN_H
#define MAIL_IDN_H

#include <stdbool.h>

#include "common/base/mem.h"

/*
 * Domains that are not ASCII: as people write them (U-labels) and as DNS and
 * old mail systems know them (A-labels, "xn--..."; RFC 5890, UTS 46). What is
 * "[a literal]", or ASCII already, stays as it is.
 */

/* enable_idna2003_compatibility. */
extern bool	 idn_is_transitional;

/* Was Postrider built with libidn2? */
bool		 idn_is_built_in(void);

/* The name in A-labels, in the pool: NULL, or what is wrong with it. */
const char	*idn_to_ascii(struct pool *, const char *domain, char **ascii);

/* The other way: what A-labels there are become U-labels if they are those of
 * them that come back as the same; other names are copied. */
char		*idn_to_unicode(struct pool *, const char *domain);

/* The same name in the other of its spellings; NULL when there is none. */
char		*idn_other(struct pool *, const char *domain);
/* user@domain likewise. */
char		*idn_other_address(struct pool *, const char *address);

/* user@domain with an ASCII domain: NULL, or what is wrong with that. */
const char	*idn_address(struct pool *, const char *address,
		    char **ascii);

/* Are the two the same name, whatever their spellings? */
bool		 idn_equal(const char *, const char *);

#endif
