#ifndef MASTER_DIRECTORIES_H
#define MASTER_DIRECTORIES_H

#include "common/base/str.h"

/*
 * The directories of an instance's queue: who owns them, who may enter.
 */

/* Create what is missing, as root with the right owners. NULL, or why not. */
const char	*directories_make(struct pool *);

/* Create what is missing, and set owner and mode of what is there if they are
 * others; never through a link. A line for each thing done, and for each that
 * cannot be. */
void		 directories_fix(struct pool *, struct str *done,
		    struct str *errors);

/* Is it one of those in the queue directory? */
bool		 directories_has(const char *name);

/* Is the queue, if it is there, that of who runs this program? Root's is seen
 * by anybody who asks what is wrong, and is none of his. */
bool		 directories_are_ours(void);

/* One line for each that is missing or whose owner or mode is wrong; returns
 * how many. Missing ones are created at start, and no error. */
unsigned	 directories_check(struct pool *, struct str *errors);

/* The lock on pid/master.pid in the current directory: the descriptor, kept
 * for life; -1 when another process has it (its pid in *holder), or with
 * *holder 0 and errno. */
int		 pid_file_lock(int *holder);
/* Who holds it, 0 for nobody; the path is relative to `queue`. */
int		 pid_file_holder(struct pool *, const char *queue);

#endif
