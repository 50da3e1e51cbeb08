#ifndef CLEANUP_BRING_H
#define CLEANUP_BRING_H

#include <sys/types.h>

#include "common/fiber/fiber.h"
#include "common/ipc/packets.h"

#include "cleanup/drop.h"
#include "cleanup/source.h"

extern const struct param	bring_params[];

/* Open the way to cleanup. */
void		 bring_start(void);

/*
 * Hand a message over to cleanup: the envelope, and content_length bytes of
 * the file from `offset` on, made CRLF. *queued lives in the pool. 0, or -1
 * with errno when there is no answer.
 */
WAITS int	 bring(struct pool *, const struct drop *, uid_t uid,
		    struct source *, int64_t offset, struct queued *queued);

/* The same with this envelope, for content whose lines end as on the wire. */
WAITS int	 bring_again(struct pool *, struct mail *, struct source *,
		    int64_t offset, int64_t length, struct queued *queued);

/* The same for text that we wrote ourselves, from the null sender; flags as
 * MAIL_IS_8BIT. */
WAITS int	 bring_text(struct pool *, char *recipient, int64_t flags,
		    const char *text, size_t len, struct queued *queued);

#endif
