/*
 * browse.c - qmgr reads many messages for people, and mail flows on.
 *
 * P1  No file and no directory is read by the thread that delivers: a cold
 *     disk stops nobody but who asked.
 * P2  A piece is a few messages; between two of them everybody else has had a
 *     turn. The disk looks for all files of a piece at once.
 */
#include "qmgr/browse.h"

#include "common/fiber/offload.h"

enum { PIECE = 32 };

/* A few messages, on their way through a thread. */
struct piece {
	struct pool		*pool;
	const struct listed	*rows;
	size_t			 count;
	struct queue_entry	*entries[PIECE];
};

/* On a thread: the names. */
static int
read_names(void *arg)
{
	return listing_read(arg);
}

/* On a thread: the files. The pool is nobody else's until this is done. */
static int
read_piece(void *arg)
{
	struct piece	*p = arg;
	enum queue_dir	 dir;
	const char	*why;
	size_t		 i;

	for (i = 0; i < p->count; i++)
		if (p->rows[i].dir != QUEUE_DIRS)
			entry_expect((enum queue_dir)p->rows[i].dir,
			    p->rows[i].id);
	for (i = 0; i < p->count; i++) {
		p->entries[i] = NULL;
		dir = (enum queue_dir)p->rows[i].dir;
		if (dir != QUEUE_DIRS || entry_find(p->rows[i].id, &dir))
			p->entries[i] = entry_load(p->pool, dir,
			    p->rows[i].id, &why);
	}
	return 0;
}

/* One piece: read it, hand it over. */
static WAITS bool
browse_piece(const struct listed *rows, size_t count,
    bool (*each)(void *, struct queue_entry *), void *context)
{
	struct piece	 p = { .rows = rows, .count = count };
	bool		 goes_on = true;
	size_t		 i;

	p.pool = pool_new("browse", 0);
	(void)offload(read_piece, &p);
	for (i = 0; i < count && goes_on; i++)
		if (p.entries[i] != NULL) {
			goes_on = each(context, p.entries[i]);
			fiber_breathe();
		}
	pool_free(p.pool);
	return goes_on;
}

/* The messages of a portion; whether to go on. */
static WAITS bool
browse_rows(const struct listing *l,
    bool (*each)(void *, struct queue_entry *), void *context)
{
	size_t	at, count;

	for (at = 0; at < l->count; at += count) {
		count = l->count - at < PIECE ? l->count - at : PIECE;
		if (!browse_piece(l->rows + at, count, each, context))
			return false;
	}
	return true;
}

/* Everything, or what is named. */
int
browse(struct listing *l, bool (*each)(void *, struct queue_entry *),
    void *context)
{
	int	result;

	if (l->rows != NULL) {
		(void)browse_rows(l, each, context);
		return 0;
	}
	while ((result = offload(read_names, l)) == 1)
		if (!browse_rows(l, each, context))
			return 0;
	return result;
}
