/*
 * listing.c - the names of all messages in some directories.
 *
 * P1  A message that moves while it is looked for is listed once, or, when it
 *     moved from a directory that was still to be read into one that had been
 *     read, not at all. The order (incoming, deferred, hold) is that of the
 *     usual moves.
 */
#include "qmgr/listing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

enum { FIRST_ROOM = 256 };

/* One more. */
static void
add(struct listing *l, const char *id, enum queue_dir dir)
{
	struct listed	*row;

	if (l->count == l->room) {
		l->room = l->room == 0 ? FIRST_ROOM : 2 * l->room;
		l->rows = mem_resize(l->rows, l->room * sizeof(*l->rows));
	}
	row = &l->rows[l->count++];
	strlcpy(row->id, id, sizeof(row->id));
	row->dir = (unsigned char)dir;
}

/* One directory. What is in corrupt/ need not be complete. */
static int
walk(struct listing *l, enum queue_dir dir)
{
	struct queue_walk	*w;
	char			 id[QUEUE_ID_MAX + 1];
	mode_t			 mode;
	int64_t			 mtime_us, size;
	int			 result, saved;

	if ((w = queue_walk_start(dir)) == NULL)
		return -1;
	while ((result = queue_walk_next(w, id, &mode, &mtime_us, &size)) == 1)
		if (queue_is_complete(mode) || dir == QUEUE_CORRUPT)
			add(l, id, dir);
	saved = errno;
	queue_walk_end(w);
	errno = saved;
	return result;
}

/* By id; of two of the same, the one in the later directory comes first. */
static int
compare(const void *a, const void *b)
{
	const struct listed	*x = a, *y = b;
	int			 order = strcmp(x->id, y->id);

	return order != 0 ? order : (int)y->dir - (int)x->dir;
}

/* Each once. */
static void
make_unique(struct listing *l)
{
	size_t	i, kept = 0;

	for (i = 0; i < l->count; i++)
		if (kept == 0 || strcmp(l->rows[kept - 1].id,
		    l->rows[i].id) != 0)
			l->rows[kept++] = l->rows[i];
	l->count = kept;
}

/* All directories that are wanted. */
int
listing_read(struct listing *l)
{
	int	dir, result = 0, saved = 0;

	for (dir = 0; dir < QUEUE_DIRS; dir++)
		if ((l->which & 1u << dir) != 0 &&
		    walk(l, (enum queue_dir)dir) == -1) {
			saved = errno;
			result = -1;
		}
	if (l->count > 0)
		qsort(l->rows, l->count, sizeof(*l->rows), compare);
	make_unique(l);
	errno = saved;
	return result;
}

/* Give the memory back. */
void
listing_free(struct listing *l)
{
	free(l->rows);
	l->rows = NULL;
	l->count = l->room = 0;
}

/* By id alone. */
static int
compare_id(const void *id, const void *row)
{
	return strcmp(id, ((const struct listed *)row)->id);
}

/* Is it listed? */
struct listed *
listing_find(const struct listing *l, const char *id)
{
	return l->count == 0 ? NULL : bsearch(id, l->rows, l->count,
	    sizeof(*l->rows), compare_id);
}
