#ifndef MASTER_CONTROL_H
#define MASTER_CONTROL_H

#include <stdbool.h>

#include "common/fiber/fiber.h"
#include "common/base/str.h"

/*
 * private/control: what `postrider` says to a running master. Only root, or
 * the instance's only user, may open it.
 */

/* What the verbs do; main.c has it. */
struct control_acts {
	/* Re-read the configuration: 0, or -1 with what is wrong. */
	WAITS int	(*reload)(struct str *problems);
	/* End everything; returns when only the log program is left. */
	WAITS void	(*stop)(bool is_now);
	/* After the answer to stop was sent. */
	void		(*leave)(void);
	int64_t		 started;		/* clock_now() */
};

/* Listen. NULL, or why not. The current directory is the queue's. */
const char	*control_open(const struct control_acts *);
void		 control_close(void);

#endif
