/*
 * queue.h - a queue of a test's own.
 */
#ifndef T_COMMON_QUEUE_QUEUE_H
#define T_COMMON_QUEUE_QUEUE_H

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/queue/queue.h"

#include "t/common/base/place.h"

static int	root;			/* of the queue: `place`, open */

/* With these directories. */
static inline int
make_queue(unsigned dirs)
{
	int	dir;

	if (make_place() == -1 ||
	    (root = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return -1;
	for (dir = 0; dir < QUEUE_DIRS; dir++)
		if ((dirs & 1u << dir) != 0 &&
		    mkdir(queue_dir_name(dir), 0700) == -1)
			return -1;
	return queue_open(root, dirs);
}

/* With all of them. */
static inline int
make_whole_queue(void **state)
{
	(void)state;
	return make_queue((1u << QUEUE_DIRS) - 1);
}

static inline int
remove_queue(void **state)
{
	(void)state;
	close(root);
	return remove_place();
}

#endif
