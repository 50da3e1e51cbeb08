#ifndef CLEANUP_MAILDROP_H
#define CLEANUP_MAILDROP_H

#include <stdbool.h>

#include "common/fiber/fiber.h"

/* Bring this file to cleanup. True when its name is done with; false: it is to
 * be tried again later. */
WAITS bool	 maildrop_bring(const char *id);
/* Remove this one, which is not complete, if nobody writes it any more. */
void		 maildrop_reap(const char *id);

#endif
