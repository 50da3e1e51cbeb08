#ifndef LOCAL_MAILDIR_H
#define LOCAL_MAILDIR_H

#include <sys/queue.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/mem.h"

#include "local/batch.h"

/*
 * Inside the program `mailbox`: a Maildir that is open, for all the messages
 * that are put into it meanwhile.
 */
struct maildir {
	char			*path, *new_path;
	int			 tmp, new;	/* -1: not yet */
	dev_t			 device;	/* of new/ */
	ino_t			 inode;

	/* the syncs of new/, under the lock: maildir.c */
	pthread_mutex_t		 lock;
	uint64_t		 moved, synced;	/* names in new/ so far */
	int			 error;		/* of the sync, or 0 */

	/* private to maildirs.c */
	struct pool		*pool;
	unsigned		 uses;
	bool			 is_opening;	/* by the first messages */
	bool			 is_good;	/* for others, too */
	struct line		 line;
	TAILQ_ENTRY(maildir)	 next;
};

/* One that is not open: the path, and that of its new/. */
void	 maildir_init(struct maildir *, char *path, char *new_path);

/*
 * Thread work on a struct batch: write the messages into files, move them to
 * new/ and sync that; open the Maildir before, if it is not. A failure leaves
 * no file. -1: the opening is not to be used by others any more. A message is
 * not settled, and nothing has been done, when what is open is not what the
 * path names any more.
 */
int	 maildir_put(void *);

void	 maildir_close(struct maildir *);

#endif
