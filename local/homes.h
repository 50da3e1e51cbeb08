#ifndef LOCAL_HOMES_H
#define LOCAL_HOMES_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/fiber/fiber.h"
#include "common/ipc/channel.h"
#include "common/ipc/packets.h"

/*
 * Processes that run as recipients, kept warm for some seconds after the last
 * message so that a busy mailbox costs one fork.
 */
struct home {
	struct become		 who;		/* as it was asked for */
	char			*user, *path, *shell;	/* of the database */
	uid_t			 uid;
	struct channel		*channel;

	/* private */
	struct pool		*pool;
	unsigned		 uses;
	bool			 is_opening;
	int64_t			 last_use;
	TAILQ_ENTRY(home)	 next;
};

enum home_result { HOME_OK, HOME_TEMPORARY, HOME_UNKNOWN };

void			 homes_start(void);

/* The process of whom is asked for, started if need be; give it back. Else
 * *why, in the pool. */
WAITS enum home_result	 home_take(struct pool *, const struct become *,
			    struct home **, const char **why);
void			 home_give(struct home *);

#endif
