#ifndef LOCAL_BATCH_H
#define LOCAL_BATCH_H

#include <sys/queue.h>

#include <stdint.h>

#include "common/fiber/fiber.h"

#include "local/store.h"

/*
 * Inside the program `mailbox`: messages that wait in line for a mailbox, and
 * those of them that are put into it together.
 */
struct batch {
	struct storings	 all;		/* in the order in which they came */
	unsigned	 count;
	int64_t		 bytes;
	void		*mailbox;	/* struct maildir or struct mbox */
	int64_t		 sync_time;	/* of its files, in milliseconds */
	struct copy	 copy;		/* for one after the other */

	/* private to batch.c */
	SLIST_ENTRY(batch) next;
};

struct line {
	struct storings	 waiting;
	unsigned	 places;	/* batches at a time */
	unsigned	 busy;
	unsigned	 most;		/* messages in one */
};
void	 line_init(struct line *, unsigned places, unsigned most);

/*
 * Wait until it is this message's turn, alone or with others, and it has been
 * worked on. Whoever is first in line when there is a place calls `work`, with
 * all that fit; who waits for too long is settled as deferred. A message that
 * the work does not settle is still to be put somewhere.
 */
WAITS void line_pass(struct line *, struct storing *,
	    WAITS void (*work)(struct batch *), void *mailbox);

/* For `work`: let those of the line come along that fit; let one go, whose
 * outcome is known. */
void	 batch_fill(struct batch *, struct line *);
void	 batch_release(struct batch *, struct storing *);

#endif
