#ifndef CLEANUP_FAIR_H
#define CLEANUP_FAIR_H

#include <sys/types.h>

#include "common/fiber/fiber.h"

/*
 * Places that users share: who waits gets one when it is his user's turn, and
 * the users take turns, however many of their fibers wait. No user has more
 * than his share at a time.
 */
struct fair;

struct fair	*fair_new(unsigned places, unsigned each);
/* 0, or -1: ETIMEDOUT, ECANCELED. */
WAITS int	 fair_take(struct fair *, uid_t, int64_t deadline);
void		 fair_give(struct fair *, uid_t);

#endif
