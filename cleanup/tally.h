#ifndef CLEANUP_TALLY_H
#define CLEANUP_TALLY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/param/param.h"

/*
 * How much of maildrop/ each user has filled: postdrop counts, pickup counts
 * again. `dir` is a descriptor of maildrop/.
 */
extern const struct param	tally_params[];

/* Count a file more (or less) of the user's. 0, or -1: EDQUOT he has as much
 * as he may; or why it cannot be counted. */
int		 tally_add(int dir, uid_t, int64_t files, int64_t bytes);
/* What is really there. With nothing there the tally goes. */
void		 tally_set(int dir, uid_t, int64_t files, int64_t bytes);
/* Is this a tally's name? Whose? */
bool		 tally_is_name(const char *name, uid_t *);

#endif
