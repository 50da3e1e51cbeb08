#ifndef IPC_STATUS_H
#define IPC_STATUS_H

#include "common/ipc/packets.h"

/*
 * smtp_delivery_status_filter and its kin: tables that have another status and
 * text for the outcome of a delivery. The agent asks; what the answer is worth
 * is decided here, for all of them.
 */

/* "X.Y.Z text", as the tables are asked: never longer than a key may be. */
char		*status_key(struct pool *, const char *dsn, const char *text);

/*
 * What the table that this parameter names answered for `status`: another one,
 * or `status` itself. One that is for good is not if the table could not be
 * asked, because it might have said so.
 */
const char	*status_answer(struct pool *, const char *queue_id,
		    const char *parameter, const char *status,
		    const struct found *);

/* Make it the outcome. It may make now of for good, but neither of sent. */
void		 status_take(struct pool *, const char *queue_id,
		    const char *before, const char *after, enum outcome *,
		    const char **dsn, const char **text);

#endif
