#ifndef IPC_ANSWERS_H
#define IPC_ANSWERS_H

#include "common/ipc/link.h"
#include "common/ipc/packets.h"

/*
 * Questions to resolve about addresses, as link_ask() asks them: 0, or -1 with
 * errno. What resolve has lately said is not asked again while it holds. One
 * link in a process is for all of these questions.
 */
WAITS int	 answers_recipient(struct link *, const struct ask_recipient *,
		    struct recipient_answer *, struct pool *,
		    int64_t deadline);
WAITS int	 answers_route(struct link *, const struct ask_route *,
		    struct route *, struct pool *, int64_t deadline);

/* For link_new(): resolve says CHANGED. */
extern const struct peer answers_peers[];

/* Nothing holds any more. */
void		 answers_forget(void);

#endif
