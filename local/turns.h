#ifndef LOCAL_TURNS_H
#define LOCAL_TURNS_H

#include "local/local.h"

/*
 * Commands for one recipient, so many at a time as
 * local_destination_concurrency_limit says.
 */
struct turns;
extern const struct param	turns_params[];

/* Wait for a place and hold it until it is given back: 0, or -1 when that
 * would take too long. */
WAITS int	 turn_take(const struct addressee *, struct turns **);
void		 turn_give(struct turns *);

#endif
