/*
 * orphan.c - messages that are known by their record in a log only: found
 * there, or without room in memory. Each gets a file, and is new mail then.
 *
 * Called by unfiled.c, whose fibers make the files, several at a time.
 *
 * P1  A message gets one file: while its mark cannot be written it is kept
 *     here, since a look at the log would find it again.
 */
#include "qmgr/orphan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/tree.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/fiber/offload.h"
#include "qmgr/entry.h"
#include "qmgr/scan.h"
#include "qmgr/waiting.h"

/* One of them. */
struct orphan {
	RB_ENTRY(orphan)	 entry;
	STAILQ_ENTRY(orphan)	 next;
	TAILQ_ENTRY(orphan)	 fresh;
	struct held_log		*log;
	struct wal_record	 record;
	int64_t			 since;
	bool			 is_fresh;	/* nothing went wrong yet */
	bool			 is_over;	/* but for its mark */
};

static int
compare(const struct orphan *a, const struct orphan *b)
{
	return strcmp(a->record.id, b->record.id);
}

RB_HEAD(orphans, orphan);
RB_PROTOTYPE(orphans, orphan, entry, )
RB_GENERATE(orphans, orphan, entry, compare)

static struct orphans		 orphans = RB_INITIALIZER(&orphans);
static STAILQ_HEAD(, orphan)	 line = STAILQ_HEAD_INITIALIZER(line);
static TAILQ_HEAD(, orphan)	 fresh = TAILQ_HEAD_INITIALIZER(fresh);
static size_t			 count;

/* One more. */
static void
add(struct held_log *l, const struct wal_record *record, bool is_over)
{
	struct orphan	*o = mem_alloc(sizeof(*o));

	*o = (struct orphan){ .log = l, .record = *record,
	    .since = clock_now(), .is_over = is_over };
	if (RB_INSERT(orphans, &orphans, o) != NULL) {
		free(o);		/* the next look, if it is another */
		l->is_looked = false;
		return;
	}
	o->is_fresh = true;
	TAILQ_INSERT_TAIL(&fresh, o, fresh);
	STAILQ_INSERT_TAIL(&line, o, next);
	count++;
	l->live++;
}

/* One that was found, or has no room. */
void
orphan_add(struct held_log *l, const struct wal_record *record)
{
	add(l, record, false);
}

/* One that has its file, and whose mark was not written: a look would give it
 * another file, and deliver it, again and again. */
void
orphan_add_marking(struct held_log *l, const char *id, int64_t at)
{
	struct wal_record	record = { .at = at };

	strlcpy(record.id, id, sizeof(record.id));
	add(l, &record, true);
}

/* Something went wrong, or it is over: nobody waits for its file. */
static void
forget_fresh(struct orphan *o)
{
	if (o->is_fresh)
		TAILQ_REMOVE(&fresh, o, fresh);
	o->is_fresh = false;
}

/* It has a file, or never was a message. False: its mark, not now. */
static bool
end(struct orphan *o)
{
	o->is_over = true;
	if (held_log_mark(o->log, o->record.at) == -1)
		return false;
	o->log->live--;
	count--;
	forget_fresh(o);
	RB_REMOVE(orphans, &orphans, o);
	free(o);
	return true;
}

/* What is damaged, as it is, into corrupt/. Before it is there it is not
 * complete: a crash, or a move that fails, would leave a file in incoming/ that
 * is taken for what was committed. */
static WAITS int
put_aside(const struct orphan *o)
{
	const char	*id = o->record.id;
	int		 fd = held_log_copy(o->log, &o->record, true), saved;

	if (fd == -1)
		return -1;
	(void)queue_remove(QUEUE_CORRUPT, id);	/* a crash has left it */
	if (offload_sync(fd) == 0 &&
	    queue_move(id, QUEUE_INCOMING, QUEUE_CORRUPT) == 0)
		return held_log_finish(id, QUEUE_CORRUPT, fd);
	saved = errno;
	(void)queue_remove(QUEUE_INCOMING, id);
	close(fd);
	errno = saved;
	return -1;
}

/* What is damaged was never whole, if its batch was the last one written;
 * else it was ours, and is kept as it is. While somebody writes the log he may
 * be about to write this. False: not now. */
static WAITS bool
end_damaged(struct orphan *o)
{
	const char	*id = o->record.id;

	if (!held_log_is_closed(o->log))
		return false;
	if (!held_log_was_whole(o->log, &o->record)) {
		log_info("%s: not complete in the write-ahead log: its sender "
		    "was not told that it is ours", id);
		return end(o);
	}
	if (put_aside(o) == -1) {
		log_error("%s: damaged; it cannot be moved to corrupt/: %s",
		    id, strerror(errno));
		return false;
	}
	log_error("%s: damaged in write-ahead log %u; the file is now in "
	    "corrupt/", id, o->log->wal.number);
	return end(o);
}

/* A file that was found, on its way through a thread. */
struct find {
	const struct orphan	*orphan;
	enum queue_dir		 dir;
};

/* On a thread. */
static int
keep(void *arg)
{
	const struct find	*f = arg;

	return wal_keep_found(&f->orphan->log->wal, &f->orphan->record,
	    f->dir);
}

/* The file that was found; as wal_keep_found(). */
static WAITS int
keep_found(const struct orphan *o, enum queue_dir dir)
{
	struct find	f = { o, dir };
	int		result = offload(keep, &f);

	if (result == 1)
		log_info("%s: its file was not complete, and is made again",
		    o->record.id);
	else if (result == -1 && errno != ENOENT)
		log_error("%s: its file: %s", o->record.id, strerror(errno));
	return result;
}

/* Give it a file. False: not now. */
static WAITS bool
file_one(struct orphan *o)
{
	const char	*id = o->record.id;
	enum queue_dir	 dir;
	int		 fd, kept;

	if (o->is_over)
		return end(o);
	if (entry_find(id, &dir) &&	/* it got that far before a crash */
	    (kept = keep_found(o, dir)) != 1)
		return kept == 0 && end(o);
	fd = held_log_copy(o->log, &o->record, false);
	if (fd == -1 && errno == EBADMSG)
		return end_damaged(o);
	if (fd == -1 || held_log_finish(id, QUEUE_INCOMING, fd) == -1) {
		log_error("%s: cannot get a file: %s", id, strerror(errno));
		return false;
	}
	(void)waiting_add(id, QUEUE_INCOMING, clock_now());
	feed_wake();
	return end(o);
}

/* The next one's turn. */
bool
orphan_file_next(void)
{
	struct orphan	*o = STAILQ_FIRST(&line);

	STAILQ_REMOVE_HEAD(&line, next);
	if (file_one(o))
		return true;
	forget_fresh(o);
	STAILQ_INSERT_TAIL(&line, o, next);
	return false;
}

/* Does one wait for its turn? */
bool
orphan_is_waiting(void)
{
	return !STAILQ_EMPTY(&line);
}

/* Is there one that came before, and to which nothing happened? */
bool
orphan_is_due(int64_t since)
{
	const struct orphan	*o = TAILQ_FIRST(&fresh);

	return o != NULL && o->since <= since;
}

/* By id; or NULL. */
static const struct orphan *
find(const char *id)
{
	struct orphan	key;

	strlcpy(key.record.id, id, sizeof(key.record.id));
	return RB_FIND(orphans, &orphans, &key);
}

/* Is it one? */
bool
orphan_has(const char *id)
{
	return find(id) != NULL;
}

/* Is it not sure yet which file is its own? */
bool
orphan_gets_file(const char *id)
{
	const struct orphan	*o = find(id);

	return o != NULL && !o->is_over;
}

/* How many. */
size_t
orphan_count(void)
{
	return count;
}
