#ifndef SMTP_ALLOWANCE_H
#define SMTP_ALLOWANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"

/*
 * How much a host wants of one conversation, as it said by LIMITS (RFC 9422),
 * and how much it has had. 0 is no limit.
 */
struct allowance {
	int64_t		 mails;		/* MAIL commands: MAILMAX */
	int64_t		 recipients;	/* of a transaction: RCPTMAX */
	int64_t		 domains;	/* in all: RCPTDOMAINMAX */
	int64_t		 mails_had;
	const char	**domains_had;
	size_t		 count, room;
};

/* What stands behind LIMITS in the answer to EHLO, in place of what an earlier
 * answer said. A limit that is malformed is none (RFC 9422 3.7). */
void		 allowance_learn(struct allowance *, const char *words);

/* May there be another MAIL? Then allowance_note_mail(). */
bool		 allowance_has_mail(const struct allowance *);
void		 allowance_note_mail(struct allowance *);

/* May there be a recipient in the domain of this address, beside so many in
 * the transaction? Then it is noted. The pool is the conversation's. */
bool		 allowance_take(struct allowance *, struct pool *,
		    size_t recipients, const char *address);

#endif
