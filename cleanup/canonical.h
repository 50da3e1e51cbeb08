#ifndef CLEANUP_CANONICAL_H
#define CLEANUP_CANONICAL_H

#include "common/mail/mapping.h"

#include "cleanup/transaction.h"

/* What an address is; canonical_classes and its kin are sets of these. */
enum role { ENVELOPE_SENDER = 1, ENVELOPE_RECIPIENT = 2, HEADER_SENDER = 4,
    HEADER_RECIPIENT = 8 };

extern const struct param	canonical_params[];

/* Read the classes. */
void		 canonical_start(void);

/* Has anybody to be asked about addresses of these roles? */
bool		 canonical_asks(unsigned roles);

/* How addresses of envelopes are completed. */
const struct naming *canonical_naming(void);

/*
 * Make addresses of one role final, in place: whole, then as the canonical
 * tables say, then masqueraded. 0, or -1 with the refusal noted.
 */
WAITS int	 canonical_map(struct transaction *, struct pool *,
		    char **addresses, size_t count, enum role,
		    const struct naming *);

/* A field's value with its addresses made final, in the pool; NULL: it stays,
 * or the refusal is noted. */
WAITS char	*canonical_field(struct transaction *, struct pool *,
		    const char *value, size_t len, enum role,
		    const struct naming *);

#endif
