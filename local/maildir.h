#ifndef LOCAL_MAILDIR_H
#define LOCAL_MAILDIR_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/fiber/queue.h"

#include "local/store.h"

/*
 * Inside the program `mailbox`: a Maildir that is open, for all the messages
 * that are put into it meanwhile.
 */
struct maildir {
	char			*path, *new_path;
	int			 tmp, new;	/* -1: not yet */
	dev_t			 device;	/* of new/ */
	ino_t			 inode;

	/* private to maildirs.c */
	struct pool		*pool;
	unsigned		 uses;
	bool			 is_opening;	/* by the first message */
	bool			 is_good;	/* for others, too */
	uint64_t		 moved, synced;	/* names in new/ so far */
	bool			 is_syncing;
	int			 error;		/* of the sync, or 0 */
	struct fiber_queue	 waiting;
	TAILQ_ENTRY(maildir)	 next;
};

/*
 * Thread work on a struct storing: write the message and move it to new/, and
 * open the Maildir before that if it is not. The result is set when it failed;
 * a failure leaves no file. MAILDIR_MOVED: nothing was done, since what is
 * open is not what the path names any more. Then the opposite, for a message
 * that is in new/ and cannot stay.
 */
enum { MAILDIR_MOVED = -2 };
int	 maildir_put(void *);
int	 maildir_undo(void *);

void	 maildir_close(struct maildir *);

#endif
