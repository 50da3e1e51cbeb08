#ifndef LOCAL_PERMITS_H
#define LOCAL_PERMITS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Inside helper: as whom the lines of master.cf let the service pipe run its
 * commands. Nobody else may be asked for with a group of choice.
 */
void	 permits_read(void);

/* gid: -1 for the user's own. root: what chroot= says, or NULL. */
bool	 permits_pipe(const char *user, int64_t gid, const char *root);

#endif
