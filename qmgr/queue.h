#ifndef QMGR_QUEUE_H
#define QMGR_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/ipc/packets.h"

/* The files of the queue command; nobody else includes this. */

/* One thing to do, and what came of it. */
struct task {
	const char	*verb, *id, *argument;
	int		 status;		/* exit status */
	int64_t		 count;
	char		 text[512];		/* why not */
};

/* queue_remote.c: have qmgr do them. False when there is no qmgr. */
bool	 remote_run(struct task *, size_t count);

/* queue_alone.c: do them, while qmgr is down. Dies when that may not be. */
void	 alone_run(struct task *, size_t count);
/* Show one message with its content; an exit status. */
int	 alone_cat(const char *id);

/* queue_print.c: a list as people or programs want it. */
void	 print_start(bool as_json);
bool	 print_entry(void *, const struct queue_entry *);
void	 print_end(void);

#endif
