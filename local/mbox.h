#ifndef LOCAL_MBOX_H
#define LOCAL_MBOX_H

#include <sys/queue.h>

#include "local/batch.h"

/*
 * Inside the program `mailbox`: an mbox that messages wait for, and that is
 * open and locked now and then. The work runs on a thread.
 */
struct mbox {
	char		*path;
	int		 fd;
	bool		 is_dotlocked;
	bool		 is_torn;	/* part of a message stayed there */
	int64_t		 size;		/* behind the last whole message */
	const char	*obstacle;	/* why not yet, for the last word */

	/* private to mboxes.c */
	unsigned	 uses;
	int64_t		 flags, locks;	/* of all these messages */
	struct line	 line;
	LIST_ENTRY(mbox) next;
};

enum attempt { ATTEMPT_DONE, ATTEMPT_BUSY, ATTEMPT_FAILED };

/*
 * Thread work on a struct batch: append the messages. 0, and all are settled,
 * or MBOX_IS_LOCKED: nothing was done to those that are not settled, and
 * `obstacle` tells why.
 */
enum { MBOX_IS_LOCKED = 1 };
int		 mbox_put(void *);

/* mbox_lock.c: all locks that are asked for, in their order, once: the result
 * is set when it failed. What was had before is not given back. */
enum attempt	 mbox_lock(struct storing *, struct mbox *);

/* Give FILE.lock back; the others end with the descriptor. */
void		 mbox_unlock(struct storing *, struct mbox *);

/* mbox_mark.c: whose lock files these are. Once, at the start. */
void		 mbox_mark_prepare(void);
/* Create a lock file: 0, or -1 with errno, EEXIST if there is one. */
int		 mbox_mark_make(const char *lock);
/* Is it one of ours, and is whoever made it gone for sure? */
bool		 mbox_mark_is_dead(const char *lock);

/* How often, and how long between: milliseconds. */
int		 mbox_lock_tries(const struct store *, int *pause);

#endif
