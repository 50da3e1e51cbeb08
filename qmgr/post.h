#ifndef QMGR_POST_H
#define QMGR_POST_H

#include "common/ipc/posting.h"

/*
 * Mail of our own making, from bounce into cleanup.
 */
enum {
	POST_PATIENCE = 2 * 60 * 1000
};

/* The way to cleanup; on start. */
void		 post_start(void);

/* A message from this address ("" for reports to senders) to that one; flags:
 * enum mail_flags. NULL with errno; goes on as every posting. */
WAITS struct posting *post_open(struct pool *, const char *sender,
		    const char *to, int64_t flags);

/* Write text to it, and copy from a file: 0 or -1. */
WAITS int	 post_text(struct posting *, const struct str *);
WAITS int	 post_copy(struct posting *, struct pool *, int fd,
		    int64_t offset, int64_t length);
/* The same in base64, as lines. */
WAITS int	 post_encoded(struct posting *, struct pool *, int fd,
		    int64_t offset, int64_t length);

#endif
