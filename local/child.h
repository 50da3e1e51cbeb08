#ifndef LOCAL_CHILD_H
#define LOCAL_CHILD_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/fiber/fiber.h"

#include "local/account.h"

/* Commands of the administrator's that spawn and token run, one on a fiber. */
struct command {
	const struct account	*account;
	char			**argv, **envp;	/* ended by NULL */
	int			 input, output, errors;	/* 0, 1 and 2 */
};

struct child {
	LIST_ENTRY(child)	 next;
	const char		*name;		/* argv[0] */
	pid_t			 pid;
	int			 status;	/* as waitpid(2) has it */
	bool			 has_ended;
	int64_t			 deadline;
	struct fiber		*fiber;
};

/* Hear of children's ends; on a fiber, once. */
void		 children_start(void);
/* The system stops: ask all to end, soon make them. */
void		 children_stop(void);

/* Run the command; the descriptors stay the caller's. 0, or -1 with errno.
 * Afterwards the same fiber calls child_wait(), always. */
int		 child_start(struct child *, const struct command *,
		    int64_t deadline);
/* See it end, by its deadline or by force. */
WAITS void	 child_wait(struct child *);
/* Tell the log how it ended, if that was not well; true: it was. */
bool		 child_ended_well(const struct child *);

#endif
