#ifndef QMGR_PATIENCE_H
#define QMGR_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/fiber/fiber.h"

/* One wait after the other; all zero before the first. */
struct patience {
	int64_t		 pause;		/* the last one */
	unsigned	 last_tries;	/* since we are about to end */
};

/* Wait before the disk is tried once more; false when we end without. */
WAITS bool	 patience_wait(struct patience *);
/* Somebody waits for what these pauses keep back: all try now, if they have not
 * been told so for a second; else false. */
bool		 patience_hurry(void);
/* We are about to end. */
void		 patience_drain(void);

/* The next pause after one of so many milliseconds, 0: the first. */
int64_t		 patience_next(int64_t pause);

#endif
