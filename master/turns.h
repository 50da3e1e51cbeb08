#ifndef MASTER_TURNS_H
#define MASTER_TURNS_H

#include <stdbool.h>

#include "common/base/str.h"
#include "common/fiber/fiber.h"

/* Reloads, one after the other. */

/*
 * Have `act` done once from now on, by this fiber or by another that asked
 * meanwhile; who asks while one is on its way shares the next one with all
 * others who do. 0, or -1 with what was wrong added to *problems.
 */
WAITS int	 turns_take(WAITS int (*act)(struct str *problems),
		    struct str *problems);

/* Does anybody wait for the next one? */
bool		 turns_are_wanted(void);

#endif
