#ifndef LOCAL_BECOME_H
#define LOCAL_BECOME_H

#include <stdint.h>
#include <sys/types.h>

#include "common/param/param.h"

/*
 * Inside helper: what its child says of itself before it is another program.
 * One report of success, then the end of the pipe; or a report of failure.
 */
enum { BECOME_NAME = 256, BECOME_HOME = 2048, BECOME_TEXT = 512 };

struct report {
	int64_t	 result;		/* enum route_result */
	int64_t	 uid, gid;
	char	 user[BECOME_NAME];
	char	 home[BECOME_HOME];
	char	 shell[BECOME_NAME];
	char	 text[BECOME_TEXT];
};

/* As root, before any request: find the program, the log, the spool. */
void		 become_prepare(void);

/* In a child: be this user's mailbox program with `channel`. */
struct become;
_Noreturn void	 become(const struct become *, int channel, int report);

extern const struct param	become_params[];

#endif
