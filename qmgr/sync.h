#ifndef QMGR_SYNC_H
#define QMGR_SYNC_H

#include "common/fiber/fiber.h"
#include "qmgr/message.h"

/* Begin. */
void	 sync_start(void);

/* This recipient is to be crossed off: at most 200 ms from now its byte is
 * overwritten and synced, unless the message is settled before. */
void	 sync_cross_off(struct message *, size_t number);

/* Write the bytes that wait, through a descriptor that may write. 0 or -1;
 * what was not written waits on. */
WAITS int sync_write(struct message *, int fd);

/* Nothing is to be written any more: the message is about to be closed. */
void	 sync_forget(struct message *);

/* A file is about to be opened that is to be synced: wait until not too many
 * are. The place is given back by sync_leave_place(), or by the following. */
WAITS void sync_take_place(void);
void	 sync_leave_place(void);
/* The file was written to; sync it soon, then close the descriptor. */
void	 sync_later(int fd);

/* All that are crossed off: into a copy; then, when that is the message's file,
 * they need no more writing. */
size_t	 sync_copy(struct message *, int fd);
void	 sync_copied(struct message *, size_t count);

/* Its file can be written now: what was crossed off before is due. */
void	 sync_again(struct message *);

/* Something was marked in a log. */
void	 sync_marked(void);

/* A name was removed from the directory. */
void	 sync_removed(enum queue_dir, const char *id);

/* Has everything been synced? */
bool	 sync_is_idle(void);

#endif
