#ifndef CLEANUP_PERMIT_H
#define CLEANUP_PERMIT_H

#include <sys/types.h>

#include "common/fiber/fiber.h"

#include "cleanup/drop.h"

/* Open the way to resolve. */
void		 permit_start(void);

/* Why a user may not post: for good (EX_NOPERM), or not now (EX_TEMPFAIL). */
struct refusal {
	int		 exit_status;
	const char	*login;		/* his name, "" when it is not known */
};

/* May the user of this number post this? NULL, or a sentence with *refusal;
 * texts are in the pool. */
WAITS const char	*permit(struct pool *, const struct drop *, uid_t,
			    struct refusal *);

#endif
