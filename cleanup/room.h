#ifndef CLEANUP_ROOM_H
#define CLEANUP_ROOM_H

#include "cleanup/transaction.h"

/*
 * Room in the queue's file system for what is on its way. None of these waits;
 * each refuses the transaction with 452 when there is none.
 */

/* A transaction begins: is there room for all that it says it brings? */
void		 room_open(struct transaction *);
/* More of it has come, or has been written. */
void		 room_follow(struct transaction *);
/* It is over, one way or the other. */
void		 room_leave(struct transaction *);

/* The file system said no; the log is told, once a minute of each error. */
void		 room_failed(const struct transaction *, const char *what,
		    int error);
/* A message has been committed: whatever it was is over. */
void		 room_is_fine(const struct transaction *);

/* Is this mail of our own making: a report, mail passed on, the queue's? */
bool		 room_is_ours(const struct transaction *);

#endif
