/*
 * listing.c - the names of all messages in some directories.
 *
 * Of a million names the first are wanted at once: they come in portions, and
 * are put in order portion by portion.
 *
 * P1  A message that moves while it is looked for is listed once, or, when it
 *     moved from a directory that was still to be read into one that had been
 *     read, not at all. The order (incoming, deferred, hold) is that of the
 *     usual moves. Of the portions before, hashes of 64 bits are remembered.
 */
#include "qmgr/listing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

enum { PORTION = 10000, FIRST_SEEN = 4 * PORTION };

/* --- who has been listed ------------------------------------------------- */

/* FNV-1a; never 0. */
static uint64_t
hash(const char *id)
{
	uint64_t	h = 14695981039346656037u;

	while (*id != '\0')
		h = (h ^ (unsigned char)*id++) * 1099511628211u;
	h ^= h >> 32;
	return h != 0 ? h : 1;
}

/* Where the hash is, or where it would be. */
static uint64_t *
place_of(const struct listing *l, uint64_t h)
{
	size_t	at = h % l->seen_room;

	while (l->seen[at] != 0 && l->seen[at] != h)
		at = (at + 1) % l->seen_room;
	return &l->seen[at];
}

/* Twice the room. */
static void
grow(struct listing *l)
{
	struct listing	old = *l;
	size_t		i;

	l->seen_room = old.seen_room == 0 ? FIRST_SEEN : 2 * old.seen_room;
	l->seen = mem_alloc(l->seen_room * sizeof(*l->seen));
	memset(l->seen, 0, l->seen_room * sizeof(*l->seen));
	for (i = 0; i < old.seen_room; i++)
		if (old.seen[i] != 0)
			*place_of(l, old.seen[i]) = old.seen[i];
	free(old.seen);
}

/* This portion is over: remember it. */
static void
remember(struct listing *l)
{
	size_t	i;

	while (2 * (l->seen_count + l->count) > l->seen_room)
		grow(l);
	for (i = 0; i < l->count; i++) {
		uint64_t	h = hash(l->rows[i].id);

		*place_of(l, h) = h;
	}
	l->seen_count += l->count;
	l->count = 0;
}

/* Was it in one of the portions before? */
static bool
is_seen(const struct listing *l, const char *id)
{
	return l->seen_count > 0 && *place_of(l, hash(id)) != 0;
}

/* --- reading ------------------------------------------------------------- */

/* One more. */
static void
add(struct listing *l, const char *id)
{
	struct listed	*row;

	if (is_seen(l, id))
		return;
	l->rows = mem_grow(l->rows, &l->room, l->count + 1, sizeof(*l->rows));
	row = &l->rows[l->count++];
	strlcpy(row->id, id, sizeof(row->id));
	row->dir = (unsigned char)l->dir;
}

/* The next complete message; 1, 0, -1. Whoever moves a message elsewhere has
 * seen that it is complete; what is in corrupt/ need not be. */
static int
next(struct listing *l, char id[QUEUE_ID_MAX + 1])
{
	mode_t	mode;
	int64_t	mtime_us, size;
	int	result;

	if (l->dir != QUEUE_INCOMING)
		return queue_walk_name(l->walk, id);
	do
		result = queue_walk_next(l->walk, id, &mode, &mtime_us, &size);
	while (result == 1 && !queue_is_complete(mode));
	return result;
}

/* Some of one directory: until the portion is full, or the directory ends. */
static int
walk(struct listing *l)
{
	char	id[QUEUE_ID_MAX + 1];
	int	result = 1, saved;

	if (l->walk == NULL &&
	    (l->walk = queue_walk_start((enum queue_dir)l->dir)) == NULL)
		return -1;
	while (l->count < PORTION && (result = next(l, id)) == 1)
		add(l, id);
	if (result == 1)
		return 1;
	saved = errno;
	queue_walk_end(l->walk);
	l->walk = NULL;
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

/* The directories that are wanted, one after the other. */
int
listing_read(struct listing *l)
{
	int	result;

	if (l->count > 0)
		remember(l);
	for (; l->dir < QUEUE_DIRS; l->dir++) {
		result = (l->which & 1u << l->dir) != 0 ? walk(l) : 0;
		if (result == 1)
			break;
		if (result == -1)
			l->error = errno;
	}
	if (l->count > 0) {
		qsort(l->rows, l->count, sizeof(*l->rows), compare);
		make_unique(l);
		return 1;
	}
	errno = l->error;
	return l->error != 0 ? -1 : 0;
}

/* Give the memory back. */
void
listing_free(struct listing *l)
{
	queue_walk_end(l->walk);
	free(l->rows);
	free(l->seen);
	*l = (struct listing){ .which = l->which };
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
