#ifndef LOCAL_STORE_H
#define LOCAL_STORE_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/fiber/fiber.h"
#include "common/ipc/packets.h"

#include "local/copy.h"

/*
 * Inside the program `mailbox`: one message to put into one mailbox. The work
 * runs on a thread, so it touches neither pools nor the log; what is to be
 * said is in `text` and `note`.
 */
enum { STORE_TEXT = 512, STORE_NAME = 256 };

enum storing_place { STORING_WAITS, STORING_IS_TAKEN, STORING_IS_DONE };

struct storing {
	const struct store	*what;
	const char		*host;		/* for names in a Maildir */
	unsigned		 number;	/* unique in this process */
	gid_t			 spool_group;	/* for files in the spool, or
						 * STORE_NO_GROUP */

	/* on its way: batch.c */
	enum storing_place	 place;
	struct fiber		*fiber;
	TAILQ_ENTRY(storing)	 next;

	/* into a Maildir: maildir.c */
	char			 name[STORE_NAME];	/* of its file */
	int			 fd;
	bool			 is_synced, is_there;

	/* into an mbox: mbox.c */
	int64_t			 position;
	bool			 is_appended;

	/* the result, if there is one yet */
	bool			 is_settled;
	enum outcome		 outcome;
	const char		*dsn;
	char			 text[STORE_TEXT];
	char			 note[STORE_TEXT];	/* for the log, or "" */
};
#define STORE_NO_GROUP	((gid_t)-1)
TAILQ_HEAD(storings, storing);

/* Put it into a Maildir, or an mbox; fill the result. */
WAITS void maildirs_store(struct storing *);
WAITS void mboxes_store(struct storing *);

/* Set the result: permanent or not by errno; `done` is what was tried. */
void	 storing_failed(struct storing *, const char *done, const char *path,
	    int error);
void	 storing_is(struct storing *, enum outcome, const char *dsn,
	    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Is one of the files there for whose sake nothing is to be stored? Then, and
 * when nobody knows, the result is set. *clear is NULL at the beginning of a
 * look at many, and then who was found clear in it last. */
bool	 storing_is_forwarded(struct storing *, const struct storing **clear);

/* The spool's group for the files that are made from now on in this thread,
 * and back. */
void	 storing_raise(const struct storing *);
void	 storing_lower(const struct storing *);

/* The directory that holds this path, synced: 0, or -1. */
int	 storing_sync_parent(const char *path);

#endif
