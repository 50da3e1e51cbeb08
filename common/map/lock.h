#ifndef MAP_LOCK_H
#define MAP_LOCK_H

/* For readers; never waits. 0, or -1 with EAGAIN when somebody writes. */
int	 map_lock_shared(int fd);
/* For the one who writes; waits for the readers. 0 or -1. */
int	 map_lock_exclusive(int fd);
void	 map_unlock(int fd);

#endif
