/*
 * held_log.c - the write-ahead logs, as qmgr sees them.
 *
 * A log is known from the packet that first names it, or from a look at what
 * is in incoming/. When its writer uses it again, its generation is another
 * one; that happens only after we have released it.
 */
#include "qmgr/held_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/fiber/offload.h"

enum {
	GRACE = 100,			/* for packets that are on their way */
	FIRST_ROOM = 256
};

static struct held_log	*logs[WAL_FILES];

/* --- knowing them -------------------------------------------------------- */

/* It begins, for us. */
static void
reset(struct held_log *l)
{
	l->live = 0;
	l->seen_end = l->closed_at = 0;
	l->is_looked = l->is_dirty = false;
	l->is_released = wal_is_released(&l->wal);
}

/* Open one that is there. */
static struct held_log *
open_log(unsigned number)
{
	struct wal	wal;

	if (wal_open(&wal, number) == -1) {
		if (errno != ENOENT && errno != ENODATA)
			log_error("incoming/wal.%u: %s", number,
			    errno == EINVAL ? "its head is damaged" :
			    strerror(errno));
		return NULL;
	}
	logs[number] = mem_alloc(sizeof(*logs[number]));
	*logs[number] = (struct held_log){ .wal = wal };
	reset(logs[number]);
	return logs[number];
}

/* Another file may have this name now: then the old one was released. */
static void
forget(unsigned number)
{
	wal_close(&logs[number]->wal);
	free(logs[number]);
	logs[number] = NULL;
}

/* See whether it is used again. */
static void
refresh(struct held_log *l)
{
	uint64_t	before = l->wal.generation;

	if (l->is_released && wal_refresh(&l->wal) == 0 &&
	    l->wal.generation != before)
		reset(l);
}

/* From a packet. */
struct held_log *
held_log_find(unsigned number, uint64_t generation)
{
	struct held_log	*l = logs[number];

	if (l != NULL && l->wal.generation == generation)
		return l;
	if (l != NULL && l->is_released) {
		refresh(l);
		if (l->wal.generation != generation) {
			forget(number);
			l = NULL;
		}
	}
	if (l == NULL && (l = open_log(number)) == NULL)
		return NULL;
	return l->wal.generation == generation ? l : NULL;
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
			refresh(logs[number]);
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
	bool			 takes_marked;
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

	while (wal_seek(&r->wal, at, &record) == 0) {
		if (r->takes_marked || !wal_is_marked(&r->wal, record.at))
			add(r, &record);
		at = wal_after(&record);
	}
	return 0;
}

/* Those without a mark. */
struct wal_record *
held_log_read(const struct held_log *l, size_t *count)
{
	struct reading	r = { .wal = l->wal };

	(void)offload(read_records, &r);
	*count = r.count;
	return r.records;
}

/* Is there one of a later write? A write begins when the one before has said
 * that all is well. */
bool
held_log_was_whole(const struct held_log *l, const struct wal_record *record)
{
	struct reading	r = { .wal = l->wal, .takes_marked = true };
	bool		was_whole;

	(void)offload(read_records, &r);
	was_whole = r.count > 0 && r.records[r.count - 1].batch > record->batch;
	free(r.records);
	return was_whole;
}
