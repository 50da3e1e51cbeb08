#ifndef MASTER_ORPHANS_H
#define MASTER_ORPHANS_H

#include <sys/types.h>

/*
 * Daemons of which there must be one, and whose master was killed: the next
 * master ends them before it starts their successors. pid/NAME.pid keeps who
 * they are. The current directory is the queue's.
 */

/* Remember the process of this service. */
void	 orphans_note(const char *service, pid_t);
/* End those that are left; waits for that. Before the loop runs. */
void	 orphans_end(const char *service);

#endif
