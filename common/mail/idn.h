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

/* The same name in its other spellings, as people write it in tables; the
 * list, which has none for most names, ends with NULL. */
enum { IDN_OTHERS = 2 };
void		 idn_others(struct pool *, const char *domain,
		    char *others[IDN_OTHERS + 1]);
/* user@domain likewise. */
void		 idn_other_addresses(struct pool *, const char *address,
		    char *others[IDN_OTHERS + 1]);

/* user@domain with an ASCII domain: NULL, or what is wrong with that. */
const char	*idn_address(struct pool *, const char *address,
		    char **ascii);

#endif
