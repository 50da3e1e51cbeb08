#ifndef CLEANUP_POSTERS_H
#define CLEANUP_POSTERS_H

#include "common/fiber/fiber.h"

/*
 * maildrop/ user by user: finds what lies there, and hands it out in an order
 * that is fair.
 */
/* Begin, and look for ever. */
WAITS void	 posters_drain(void *);
/* Files that are handed out now. */
unsigned	 posters_busy(void);

#endif
