#ifndef CLEANUP_TICKET_H
#define CLEANUP_TICKET_H

#include <sys/types.h>

#include "common/fiber/fiber.h"
#include "common/ipc/packets.h"

/*
 * What makes a repeated submission harmless: a user's token is remembered
 * with the queue id that it got.
 */
struct ticket;

/*
 * A ticket for a submission with this token, to be given back. While another
 * one has the same token, wait. NULL: it was submitted before, and queue_id
 * tells as what; or with ECANCELED or ETIMEDOUT, then queue_id is "".
 */
WAITS struct ticket *ticket_take(uid_t, const char *token,
		    char queue_id[QUEUE_ID_MAX + 1], int64_t deadline);

/* It is queued under this id; or "", it failed and may be tried again. */
void		 ticket_give(struct ticket *, const char *queue_id);

#endif
