#ifndef CLEANUP_MAILDROP_H
#define CLEANUP_MAILDROP_H

#include "common/fiber/fiber.h"

/* The fiber that drains maildrop/ for ever. */
WAITS void	 maildrop_drain(void *);
/* Files being brought now. */
unsigned	 maildrop_busy(void);

#endif
