/*
 * held_log.c - the write-ahead logs, as qmgr sees them.
 *
 * A log is known from the packet that first names it, or from a look at what
 * is in incoming/. When its writer uses it again, its generation is another
 * one; that happens only after we have released it.
 *
 * P1  A log that is not released stays what it is here, whatever becomes of its
 *     name; one that a fiber waits for is not freed, and keeps nobody from
 *     knowing that it is used again.
 * P2  What the disk does not give, and a record that is damaged in front of
 *     others, is told, and hides nothing behind it.
 */
#include "qmgr/held_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/fiber/offload.h"
#include "qmgr/sync.h"

enum {
	GRACE = 100,			/* for packets that are on their way */
	FIRST_ROOM = 256
};

static struct held_log	*logs[WAL_FILES];	/* one for each name */

/* Those whose name another one has. */
static SLIST_HEAD(, held_log)	replaced = SLIST_HEAD_INITIALIZER(replaced);

/* --- knowing them -------------------------------------------------------- */

/* Open one that is there. */
static struct held_log *
open_log(unsigned number)
{
	struct held_log	*l;
	struct wal	 wal;

	if (wal_open(&wal, number) == -1) {
		if (errno != ENOENT && errno != ENODATA)
			log_error("incoming/wal.%u: %s", number,
			    errno == EINVAL ? "its head is damaged, or of "
			    "a later version" : strerror(errno));
		return NULL;
	}
	l = logs[number] = mem_alloc(sizeof(*l));
	*l = (struct held_log){ .wal = wal,
	    .is_released = wal_is_released(&wal) };
	return l;
}

/* Close those that nobody waits for any more. */
static void
drop_replaced(void)
{
	struct held_log	*l, *next;

	SLIST_FOREACH_SAFE(l, &replaced, next, next)
		if (l->holds == 0) {
			SLIST_REMOVE(&replaced, l, held_log, next);
			wal_close(&l->wal);
			free(l);
		}
}

/* See whether it is used again: it, or another file that has its name. NULL
 * when there is none. What is not released is as it was. A fiber may still wait
 * for the old one, and shall not take it for the new one. */
static struct held_log *
refresh(struct held_log *l)
{
	struct wal	now = l->wal;

	if (!l->is_released || (wal_has_name(&now) &&
	    (wal_refresh(&now) == -1 || now.generation == l->wal.generation)))
		return l;
	SLIST_INSERT_HEAD(&replaced, l, next);
	drop_replaced();
	logs[now.number] = NULL;
	return open_log(now.number);
}

/* From a packet. */
struct held_log *
held_log_find(unsigned number, uint64_t generation)
{
	struct held_log	*l = logs[number];

	if (l == NULL)
		l = open_log(number);
	else if (l->wal.generation != generation)
		l = refresh(l);
	return l != NULL && l->wal.generation == generation ? l : NULL;
}

/* The next one behind this number. */
struct held_log *
held_log_next(struct held_log *l)
{
	unsigned	number = l == NULL ? 0 : l->wal.number + 1;

	for (; number < WAL_FILES; number++)
		if (logs[number] != NULL)
			return logs[number];
	return NULL;
}

/* All that are there. */
void
held_log_open_all(void)
{
	unsigned	number;

	for (number = 0; number < WAL_FILES; number++)
		if (logs[number] == NULL)
			(void)open_log(number);
		else
			(void)refresh(logs[number]);
}

/* --- their ends ---------------------------------------------------------- */

/* Sealed, or left. */
bool
held_log_is_closed(struct held_log *l)
{
	if (l->is_released)
		return false;
	if (l->closed_at == 0 && (wal_is_sealed(&l->wal) ||
	    wal_is_left(&l->wal)))
		l->closed_at = clock_now();
	return l->closed_at != 0 && clock_now() - l->closed_at >= GRACE;
}

/* It may be used again. */
void
held_log_release(struct held_log *l)
{
	if (wal_release(&l->wal) == -1)
		log_error("release of write-ahead log %u: %s", l->wal.number,
		    strerror(errno));
	else
		l->is_released = true;
}

/* --- reading ------------------------------------------------------------- */

/* A reading, on its way through a thread. */
struct reading {
	struct wal		 wal;
	struct wal_record	*records;
	size_t			 count, room;
	bool			 takes_marked, is_cut;
	struct wal_proof	 proof;
	int64_t			 gap;		/* no record is there; or 0 */
	uint32_t		 gap_batch, last_batch;
};

/* One more. */
static void
add(struct reading *r, const struct wal_record *record)
{
	if (r->count == r->room) {
		r->room = r->room == 0 ? FIRST_ROOM : 2 * r->room;
		r->records = mem_resize(r->records,
		    r->room * sizeof(*r->records));
	}
	r->records[r->count++] = *record;
}

/* On a thread. A damaged head does not hide what stands behind it: every place
 * where a record could begin is tried. */
static int
read_records(void *arg)
{
	struct reading		*r = arg;
	struct wal_record	 record;
	int64_t			 at = r->wal.records;
	int			 result;

	while ((result = wal_seek(&r->wal, at, &record)) != -1) {
		if (r->takes_marked || !wal_is_marked(&r->wal, record.at))
			add(r, &record);
		if (result == 1)
			r->is_cut = true;
		else if (record.at != at && r->gap == 0 &&
		    !wal_is_marked(&r->wal, at)) {
			r->gap = at;
			r->gap_batch = record.batch;
		}
		r->last_batch = record.batch;
		wal_prove_more(&r->proof, &record);
		at = wal_after(&record);
	}
	if (errno != EINVAL)
		r->is_cut = true;
	return 0;
}

/* Does this write come behind that one? Their numbers go round. */
static bool
is_later(uint32_t batch, uint32_t than)
{
	return (int32_t)(batch - than) > 0;
}

/* Records stand one behind the other. Where one should be in front of a later
 * write there was one, of a message that was ours. */
static void
tell_gap(const struct held_log *l, const struct reading *r)
{
	if (r->gap != 0 && l->closed_at != 0 &&
	    (is_later(r->last_batch, r->gap_batch) || wal_is_sealed(&l->wal)))
		log_error("incoming/wal.%u: what stands at %jd is damaged: a "
		    "message may be lost", l->wal.number, (intmax_t)r->gap);
}

/* Those without a mark. */
struct wal_record *
held_log_read(const struct held_log *l, size_t *count, bool *is_all,
    int64_t *proven)
{
	struct reading	r = { .wal = l->wal };

	if (l->closed_at != 0)
		r.proof.end = INT64_MAX;
	else
		wal_prove(&r.wal, &r.proof);
	(void)offload(read_records, &r);
	tell_gap(l, &r);
	*count = r.count;
	*is_all = !r.is_cut;
	*proven = r.proof.end;
	return r.records;
}

/* Is there one of a later write? A write begins, and a log is sealed, when the
 * write before has said that all is well. */
bool
held_log_was_whole(const struct held_log *l, const struct wal_record *record)
{
	struct reading	r = { .wal = l->wal, .takes_marked = true };
	bool		was_whole;

	(void)offload(read_records, &r);
	was_whole = r.is_cut || wal_is_sealed(&l->wal) || (r.count > 0 &&
	    r.records[r.count - 1].batch != record->batch);
	free(r.records);
	return was_whole;
}

/* --- files of their messages ---------------------------------------------- */

/* A copy, on its way through a thread. */
struct copy {
	struct wal		 wal;
	struct wal_record	 record;
	bool			 takes_damaged;
	int			 from, fd;
};

/* On a thread. */
static int
make_copy(void *arg)
{
	struct copy	*c = arg;

	c->fd = c->from == -1 ?
	    wal_copy(&c->wal, &c->record, c->takes_damaged) :
	    wal_copy_memory(c->record.id, c->from, (size_t)c->record.length);
	return c->fd == -1 ? -1 : 0;
}

/* Of what the record says. */
int
held_log_copy(const struct held_log *l, const struct wal_record *record,
    bool takes_damaged)
{
	struct copy	c = { .wal = l->wal, .record = *record, .from = -1,
			    .takes_damaged = takes_damaged };

	return offload(make_copy, &c) == -1 ? -1 : c.fd;
}

/* Of what we have. */
int
held_log_copy_memory(const char *id, int fd, int64_t size)
{
	struct copy	c = { .record.length = size, .from = fd };

	strlcpy(c.record.id, id, sizeof(c.record.id));
	return offload(make_copy, &c) == -1 ? -1 : c.fd;
}

/* Complete and synced; or gone. */
int
held_log_finish(const char *id, enum queue_dir dir, int fd)
{
	int	saved;

	if (queue_set_complete(fd) == 0 && offload_sync(fd) == 0) {
		close(fd);
		return 0;
	}
	saved = errno;
	(void)queue_remove(dir, id);
	close(fd);
	errno = saved;
	return -1;
}

/* Mark a place. A mark that cannot be written costs a look at a file, or a
 * second delivery after a crash. */
int
held_log_mark(struct held_log *l, int64_t at)
{
	if (wal_mark(&l->wal, at) == -1) {
		log_error("mark in a write-ahead log: %s", strerror(errno));
		return -1;
	}
	l->is_dirty = true;
	sync_marked();
	return 0;
}
