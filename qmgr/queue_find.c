/*
 * queue_find.c - which messages an order means.
 *
 * Who may read the queue's files reads them here: qmgr is asked for the names
 * of what it has open, and has no other work, however long the queue is.
 * Everybody else hears from qmgr what he may know.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "qmgr/entry.h"
#include "qmgr/queue.h"

enum {
	ATTEMPTS = 20, PAUSE = 50 * 1000,	/* a second in all */
	FRESH = 5000,
	AHEAD = 64			/* files that the disk looks for */
};

/* A search in hand. */
struct search {
	const struct order	*order;
	struct listing		 active;	/* what qmgr has open */
	int64_t			 asked;		/* when that was */
	int64_t			 now_us, left;	/* -1: no limit */
	bool			 needs_file, has_heard;
	bool			(*each)(void *, const struct queue_entry *);
	void			*context;
};

/* Hand it over if it is meant; false when there have been enough. */
static bool
offer(struct search *s, const struct queue_entry *e)
{
	if (s->left == 0)
		return false;
	if (!select_matches(&s->order->select, e, s->now_us))
		return true;
	if (s->left > 0)
		s->left--;
	return s->each(s->context, e);
}

/* From qmgr. */
static bool
offer_told(void *context, const struct queue_entry *e)
{
	struct search	*s = context;

	s->has_heard = true;
	return offer(s, e);
}

/* Where it is, in mailq's words. */
static const char *
queue_of(const struct search *s, const struct listed *row)
{
	return row->dir != QUEUE_CORRUPT &&
	    listing_find(&s->active, row->id) != NULL ? "active" :
	    queue_dir_name((enum queue_dir)row->dir);
}

/* A message of which the name is enough, or all that is known. */
static struct queue_entry
bare_entry(const struct search *s, const struct listed *row)
{
	static char	nothing[1];
	int64_t		when = queue_id_time(row->id);

	return (struct queue_entry){
	    .queue = (char *)(uintptr_t)queue_of(s, row),
	    .queue_id = (char *)(uintptr_t)row->id, .sender = nothing,
	    .arrival_us = when < 0 ? 0 : when };
}

/* Read one message; what cannot be read is offered as far as it is known, and
 * it is told why. */
static bool
read_one(struct search *s, const struct listed *row)
{
	struct pool		*pool = pool_new("entry", 0);
	struct queue_entry	*e, bare;
	const char		*why;
	bool			 goes_on = true;

	e = entry_load(pool, (enum queue_dir)row->dir, row->id, &why);
	if (e != NULL) {
		e->queue = (char *)(uintptr_t)queue_of(s, row);
		goes_on = offer(s, e);
	} else if (row->dir == QUEUE_CORRUPT) {
		bare = bare_entry(s, row);
		goes_on = offer(s, &bare);
	}
	if (why != NULL)
		complain("%s: %s", row->id, why);
	pool_free(pool);
	return goes_on;
}

/* The next one. */
static bool
look_at(struct search *s, const struct listed *row)
{
	struct queue_entry	e;

	if (!select_takes_queue(&s->order->select, queue_of(s, row)))
		return true;
	if (s->needs_file)
		return read_one(s, row);
	e = bare_entry(s, row);
	return offer(s, &e);
}

/* The directories that can have what is meant. */
static unsigned
directories(const struct selection *s)
{
	unsigned	which = LISTING_QUEUES;

	if (s->queues == 1u << SELECT_CORRUPT)
		return 1u << QUEUE_CORRUPT;
	if ((s->queues & 1u << SELECT_CORRUPT) != 0)
		which |= 1u << QUEUE_CORRUPT;
	return which;
}

/* The messages that are named, in their order. */
static void
list_named(struct listing *l, const struct order *o)
{
	enum queue_dir	dir;
	size_t		i;

	l->room = o->count + 1;
	l->rows = mem_alloc(l->room * sizeof(*l->rows));
	for (i = 0; i < o->count; i++) {
		if (!entry_find(o->ids[i], &dir)) {
			if (!o->is_input && !command.is_postfix)
				complain("%s: not in the queue", o->ids[i]);
			continue;
		}
		strlcpy(l->rows[l->count].id, o->ids[i],
		    sizeof(l->rows[0].id));
		l->rows[l->count++].dir = (unsigned char)dir;
	}
}

/* What qmgr has open, if that was asked a while ago. */
static void
ask_active(struct search *s)
{
	if (s->asked != 0 && clock_now() - s->asked < FRESH)
		return;
	listing_free(&s->active);
	logs_ask(&s->active);
	s->asked = clock_now();
}

/* Files from here on will be read: have the disk look for them. */
static void
look_ahead(const struct search *s, const struct listing *l, size_t from)
{
	const struct listed	*row = &l->rows[from];
	size_t			 n = l->count - from;

	if (!s->needs_file)
		return;
	for (n = n < AHEAD ? n : AHEAD; n > 0; n--, row++)
		if (select_takes_queue(&s->order->select, queue_of(s, row)))
			entry_expect((enum queue_dir)row->dir, row->id);
}

/* These messages; false when there have been enough. */
static bool
look_at_rows(struct search *s, const struct listing *l)
{
	size_t	i;

	ask_active(s);
	for (i = 0; i < l->count; i++) {
		if (i % AHEAD == 0)
			look_ahead(s, l, i);
		if (!look_at(s, &l->rows[i]))
			return false;
	}
	return true;
}

/* Read the files ourselves, portion by portion: of a long queue the first
 * messages are shown before the names of the last are known. */
static int
find_here(struct search *s)
{
	struct listing	l = { .which = directories(&s->order->select) };
	int		result = 0;

	ask_active(s);			/* each message has a file then */
	if (s->order->count > 0 || s->order->is_input) {
		list_named(&l, s->order);
		(void)look_at_rows(s, &l);
	} else
		while ((result = listing_read(&l)) == 1)
			if (!look_at_rows(s, &l))
				break;
	if (result == -1)
		complain("the queue cannot be read: %s", strerror(errno));
	listing_free(&l);
	listing_free(&s->active);
	return result == -1 ? EX_TEMPFAIL : 0;
}

/* Ask qmgr; again for a moment, since it may be about to start. */
static int
ask(struct search *s)
{
	const struct order	*o = s->order;
	struct answer		 answer = { .status = 0 };
	enum remote		 result;
	int			 attempt = 0;

	if (o->is_input && o->count == 0)
		return 0;
	while ((result = remote_list(o->ids, o->count, &answer, offer_told,
	    s)) == REMOTE_NOBODY && !s->has_heard && ++attempt < ATTEMPTS)
		usleep(PAUSE);
	if (result == REMOTE_DONE)
		return answer.status;
	if (result == REMOTE_REFUSED) {
		complain("%s", answer.text);
		return answer.status;
	}
	complain("%s", s->has_heard ? "the queue manager has gone meanwhile" :
	    "the mail system is down, and only root can read its queue");
	return s->has_heard ? EX_TEMPFAIL : EX_UNAVAILABLE;
}

/* Every message that is meant. */
int
find_each(const struct order *o,
    bool (*each)(void *, const struct queue_entry *), void *context)
{
	struct search	s = { .order = o, .now_us = clock_wall_us(),
			    .left = o->select.limit, .each = each,
			    .context = context };

	s.needs_file = strcmp(o->verb, "list") == 0 || o->is_dry ||
	    select_needs_file(&o->select);
	return owner_is_here() ? find_here(&s) : ask(&s);
}
