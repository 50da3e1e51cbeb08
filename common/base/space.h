#ifndef BASE_SPACE_H
#define BASE_SPACE_H

#include <stdbool.h>
#include <stdint.h>

/* What was free on a disk when somebody looked; { 0 } before that. */
struct space {
	int64_t	bytes, inodes;
	int64_t	until;		/* so long it says something */
};

/* Look now, as fs_free_space(): 0, or -1 and nothing is known. */
int	 space_look(struct space *, int fd);

/* Is certainly more than that free, by a look of a moment ago? False: look. */
bool	 space_is_plenty(const struct space *, int64_t bytes, int64_t inodes);

/* It is not as it seemed. */
void	 space_forget(struct space *);

#endif
