/*
 * unfiled.c - messages that stand in a write-ahead log and have no file.
 *
 * While much comes, cleanup commits small messages in logs (common/queue/
 * wal.c). Most of them are delivered at once, and a mark in the log is all
 * that is written of them. Who is not gets a file in incoming/ that is as if
 * cleanup had made it, and then a mark:
 *
 *	- after AGE;
 *	- when something is to be written down of it: a postponement, a report,
 *	  a recipient crossed off while others wait, an administrator's wish;
 *	- when there is no room for it in memory;
 *	- when it was found in a log, after a crash of somebody's;
 *	- when we leave.
 *
 * A log that its writer has sealed, or left, is looked through once, for what
 * his packets did not tell; when nothing in it is open any more it is released,
 * and he may use it again.
 *
 * recovery-5  A message in a log is marked only when it is delivered, or has
 *             a file on stable storage. What is neither is found by the next
 *             look, of ours or of our successor.
 * recovery-6  A log is released only when it was looked through after its end,
 *             and everything in it is marked.
 */
#include "qmgr/unfiled.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "common/fiber/offload.h"
#include "common/queue/wal.h"
#include "qmgr/entry.h"
#include "qmgr/held_log.h"
#include "qmgr/outcome.h"
#include "qmgr/patience.h"
#include "qmgr/scan.h"
#include "qmgr/sync.h"
#include "qmgr/waiting.h"

enum {
	AGE = 5 * 1000,			/* milliseconds without a file */
	FILERS = 8,			/* files that are made at a time */
	STEP = 100,			/* how often logs are looked at */
	FILING_STEP = 5			/* while another fiber is at it */
};

/* A message that is known by its record only. */
struct orphan {
	RB_ENTRY(orphan)	 entry;
	STAILQ_ENTRY(orphan)	 next;
	struct held_log		*log;
	struct wal_record	 record;
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
static STAILQ_HEAD(, orphan)	 orphan_line =
				    STAILQ_HEAD_INITIALIZER(orphan_line);
static TAILQ_HEAD(, message)	 unfiled = TAILQ_HEAD_INITIALIZER(unfiled);
static TAILQ_HEAD(, message)	 to_file = TAILQ_HEAD_INITIALIZER(to_file);
static unsigned			 filers, orphan_count;
static bool			 is_watching, is_draining;

/* --- one file ------------------------------------------------------------ */

/* A copy, on its way through a thread. */
struct copy {
	struct wal		 wal;
	struct wal_record	 record;
	bool			 takes_damaged;
	int			 fd;
};

/* On a thread. */
static int
make_copy(void *arg)
{
	struct copy	*c = arg;

	c->fd = wal_copy(&c->wal, &c->record, c->takes_damaged);
	return c->fd == -1 ? -1 : 0;
}

/* A file with what the record says: its descriptor, or -1. What somebody has
 * begun and not finished goes first. */
static WAITS int
open_copy(const struct held_log *l, const struct wal_record *record,
    bool takes_damaged)
{
	struct copy	c = { .wal = l->wal, .record = *record,
			    .takes_damaged = takes_damaged };

	if (offload(make_copy, &c) == 0)
		return c.fd;
	if (errno != EEXIST || queue_reap(record->id) != 1)
		return -1;
	return offload(make_copy, &c) == 0 ? c.fd : -1;
}

/* Complete and synced; or gone. */
static WAITS int
finish_copy(const char *id, int fd)
{
	int	saved;

	if (queue_set_complete(fd) == 0 && offload_sync(fd) == 0) {
		close(fd);
		return 0;
	}
	saved = errno;
	(void)queue_remove(QUEUE_INCOMING, id);
	close(fd);
	errno = saved;
	return -1;
}

/* Mark a place. A mark that cannot be written costs a look at a file, or a
 * second delivery after a crash. */
static int
mark(struct held_log *l, int64_t at)
{
	if (wal_mark(&l->wal, at) == -1) {
		log_error("mark in a write-ahead log: %s", strerror(errno));
		return -1;
	}
	l->is_dirty = true;
	sync_marked();
	return 0;
}

/* --- messages ------------------------------------------------------------ */

/* Not in the log any more. */
static void
detach(struct message *m)
{
	TAILQ_REMOVE(&unfiled, m, unfiled);
	m->log->live--;
	m->log = NULL;
}

/* From the packet. */
void
unfiled_enter(struct message *m, const struct new_mail *mail)
{
	m->log = held_log_find((unsigned)mail->wal,
	    (uint64_t)mail->wal_generation);
	m->log_at = mail->wal_at;
	m->is_in_memory = true;
	m->unfiled_since = clock_now();
	m->log->live++;
	TAILQ_INSERT_TAIL(&unfiled, m, unfiled);
}

/* Delivered. */
int
unfiled_over(struct message *m)
{
	if (mark(m->log, m->log_at) == -1)
		return -1;
	detach(m);
	return 0;
}

/* Forgotten: a look will find it (recovery-6). */
void
unfiled_leave(struct message *m)
{
	m->log->is_looked = false;
	detach(m);
}

/* Its file, and in it what was crossed off. */
static WAITS int
make_file(struct message *m)
{
	struct wal_record	record;
	int			fd;

	if (wal_read(&m->log->wal, m->log_at, &record) == -1 ||
	    (fd = open_copy(m->log, &record, false)) == -1)
		return -1;
	if (sync_write(m, fd) == -1)
		log_warning("%s: cannot cross recipients off: %s", m->id,
		    strerror(errno));
	return finish_copy(m->id, fd);
}

/* A file for it, by one fiber at a time. */
int
unfiled_file(struct message *m)
{
	int	result, saved;

	while (m->is_filing)
		if (fiber_sleep(FILING_STEP) == -1)
			return -1;
	if (m->log == NULL)
		return 0;
	m->is_filing = true;
	result = make_file(m);
	saved = errno;
	m->is_filing = false;
	if (result == 0 && mark(m->log, m->log_at) == -1)
		m->log->is_looked = false;
	if (result == 0) {
		detach(m);
		sync_again(m);
	}
	errno = saved;
	return result;
}

/* --- who has no message -------------------------------------------------- */

static void	start_filers(void);

/* One that was found, or has no room. */
static void
add_orphan(struct held_log *l, const struct wal_record *record)
{
	struct orphan	*o = mem_alloc(sizeof(*o));

	*o = (struct orphan){ .log = l, .record = *record };
	if (RB_INSERT(orphans, &orphans, o) != NULL) {
		free(o);		/* the next look, if it is another */
		l->is_looked = false;
		return;
	}
	STAILQ_INSERT_TAIL(&orphan_line, o, next);
	orphan_count++;
	l->live++;
	start_filers();
}

/* It has a file, or never was a message. */
static void
end_orphan(struct orphan *o)
{
	if (mark(o->log, o->record.at) == -1)
		o->log->is_looked = false;
	o->log->live--;
	orphan_count--;
	RB_REMOVE(orphans, &orphans, o);
	free(o);
}

/* What is damaged was never whole, if its batch was the last one written;
 * else it was ours, and is kept as it is. False: not now. */
static WAITS bool
end_damaged(struct orphan *o)
{
	const char	*id = o->record.id;
	int		 fd;

	if (!held_log_was_whole(o->log, &o->record)) {
		log_info("%s: not complete in the write-ahead log: its sender "
		    "was not told that it is ours", id);
		end_orphan(o);
		return true;
	}
	fd = open_copy(o->log, &o->record, true);
	if (fd == -1 || finish_copy(id, fd) == -1 ||
	    queue_move(id, QUEUE_INCOMING, QUEUE_CORRUPT) == -1) {
		log_error("%s: damaged; it cannot be moved to corrupt/: %s",
		    id, strerror(errno));
		return false;
	}
	log_error("%s: damaged in write-ahead log %u; the file is now in "
	    "corrupt/", id, o->log->wal.number);
	end_orphan(o);
	return true;
}

/* Give it a file. False: not now. */
static WAITS bool
file_orphan(struct orphan *o)
{
	const char	*id = o->record.id;
	enum queue_dir	 dir;
	int		 fd;

	if (entry_find(id, &dir)) {
		end_orphan(o);		/* it got that far before the crash */
		return true;
	}
	fd = open_copy(o->log, &o->record, false);
	if (fd == -1 && errno == EBADMSG)
		return end_damaged(o);
	if (fd == -1 || finish_copy(id, fd) == -1) {
		log_error("%s: cannot get a file: %s", id, strerror(errno));
		return false;
	}
	(void)waiting_add(id, QUEUE_INCOMING, clock_now());
	end_orphan(o);
	feed_wake();
	return true;
}

/* --- who makes files ----------------------------------------------------- */

/* A message's turn. False: not now. */
static WAITS bool
file_message(struct message *m)
{
	if (m->log == NULL || m->fate == FATE_GONE ||
	    outcome_is_delivered(m) || unfiled_file(m) == 0)
		return true;
	log_error("%s: cannot get a file: %s", m->id, strerror(errno));
	return false;
}

/* The next one; false: not now. */
static WAITS bool
file_next(void)
{
	struct message	*m = TAILQ_FIRST(&to_file);
	struct orphan	*o = STAILQ_FIRST(&orphan_line);
	bool		 is_done;

	if (m != NULL) {
		TAILQ_REMOVE(&to_file, m, filing);
		is_done = file_message(m);
		if (is_done) {
			m->is_to_file = false;
			message_release(m);
		} else
			TAILQ_INSERT_TAIL(&to_file, m, filing);
		return is_done;
	}
	STAILQ_REMOVE_HEAD(&orphan_line, next);
	if ((is_done = file_orphan(o)) == false)
		STAILQ_INSERT_TAIL(&orphan_line, o, next);
	return is_done;
}

/* One of a few fibers. */
static void
file_all(void *arg)
{
	struct patience	patience = { 0 };

	(void)arg;
	fiber_name("file");
	while (!TAILQ_EMPTY(&to_file) || !STAILQ_EMPTY(&orphan_line)) {
		if (file_next())
			patience = (struct patience){ 0 };
		else if (!patience_wait(&patience))
			break;
		fiber_breathe();
	}
	filers--;
}

/* As many as there is work for. */
static void
start_filers(void)
{
	if (filers >= FILERS)
		return;
	filers++;
	fiber_start(file_all, NULL);
}

/* Soon. Who settles it sees to that himself, and nobody holds it then. */
void
unfiled_file_soon(struct message *m)
{
	if (m->is_to_file || m->is_filing || m->is_settling)
		return;
	m->is_to_file = true;
	message_hold(m);
	TAILQ_INSERT_TAIL(&to_file, m, filing);
	start_filers();
}

/* All that came before. */
static void
file_since(int64_t since)
{
	struct message	*m;

	TAILQ_FOREACH(m, &unfiled, unfiled) {
		if (m->unfiled_since > since)
			break;
		unfiled_file_soon(m);
	}
}

/* For who looks at files. */
void
unfiled_file_all(int64_t deadline)
{
	int64_t		 begun = clock_now();
	struct message	*m;

	file_since(begun);
	while (clock_now() < deadline &&
	    (((m = TAILQ_FIRST(&unfiled)) != NULL &&
	    m->unfiled_since <= begun) || orphan_count > 0))
		if (fiber_sleep(FILING_STEP) == -1)
			return;
}

/* --- logs ---------------------------------------------------------------- */

/* Is this record's message here? */
static bool
is_here(const struct held_log *l, const struct wal_record *record)
{
	struct message	*m = message_find(record->id);
	struct orphan	 key = { .record = *record };

	return (m != NULL && m->log == l && m->log_at == record->at) ||
	    RB_FIND(orphans, &orphans, &key) != NULL;
}

/* All records of a log: who is unknown, and stands in front of `end`, gets a
 * file. How many. */
static WAITS size_t
look_through(struct held_log *l, int64_t end)
{
	struct wal_record	*records;
	size_t			 n, i, found = 0;

	records = held_log_read(l, &n);
	for (i = 0; i < n; i++) {
		if (records[i].at < end && !is_here(l, &records[i])) {
			add_orphan(l, &records[i]);
			found++;
		}
		fiber_breathe();
	}
	l->seen_end = n > 0 ? wal_after(&records[n - 1]) : 0;
	free(records);
	return found;
}

/* One that nobody writes any more: look once, then release it. */
static WAITS void
close_log(struct held_log *l)
{
	if (!l->is_looked) {
		l->is_looked = true;
		if (look_through(l, INT64_MAX) > 0)
			log_info("messages that were in a write-ahead log "
			    "only get files");
	}
	if (l->is_looked && l->live == 0)
		held_log_release(l);
}

/* While there is something in the logs. */
static void
watch(void *arg)
{
	struct held_log	*l;
	bool		 has_more = true;

	(void)arg;
	fiber_name("watch logs");
	while (has_more && fiber_sleep(STEP) == 0) {
		has_more = !TAILQ_EMPTY(&unfiled) || orphan_count > 0;
		file_since(clock_now() - (is_draining ? 0 : AGE));
		for (l = held_log_next(NULL); l != NULL; l = held_log_next(l)) {
			if (held_log_is_closed(l))
				close_log(l);
			if (!l->is_released && (l->closed_at != 0 ||
			    l->live > 0))
				has_more = true;
		}
	}
	is_watching = false;
}

/* See that somebody watches. */
static void
need_watch(void)
{
	if (is_watching)
		return;
	is_watching = true;
	fiber_start(watch, NULL);
}

/* Does the packet tell something? */
bool
unfiled_is_news(const struct new_mail *mail)
{
	struct held_log	*l = held_log_find((unsigned)mail->wal,
			    (uint64_t)mail->wal_generation);
	struct orphan	 key;

	need_watch();
	if (l == NULL || wal_is_marked(&l->wal, mail->wal_at))
		return false;
	strlcpy(key.record.id, mail->queue_id, sizeof(key.record.id));
	return RB_FIND(orphans, &orphans, &key) == NULL;
}

/* No room. */
void
unfiled_put_off(const struct new_mail *mail)
{
	struct held_log		*l = held_log_find((unsigned)mail->wal,
				    (uint64_t)mail->wal_generation);
	struct wal_record	 record;

	if (wal_read(&l->wal, mail->wal_at, &record) == 0)
		add_orphan(l, &record);
}

/* All logs. Who writes may have packets on the way: what stood there at the
 * last look is late. */
void
unfiled_look(void)
{
	struct held_log	*l;

	held_log_open_all();
	for (l = held_log_next(NULL); l != NULL; l = held_log_next(l))
		if (!l->is_released && l->closed_at == 0)
			(void)look_through(l, l->seen_end);
	need_watch();
}

/* At the start nobody is here. */
size_t
unfiled_start(void)
{
	struct held_log	*l;
	size_t		 found = 0;

	held_log_open_all();
	for (l = held_log_next(NULL); l != NULL; l = held_log_next(l))
		if (!l->is_released)
			found += look_through(l, INT64_MAX);
	need_watch();
	return found;
}

/* We leave. */
void
unfiled_drain(void)
{
	is_draining = true;
	file_since(clock_now());
}

/* Who is to get a file before we do. */
unsigned
unfiled_busy(void)
{
	return filers;
}

/* Each log that was marked. */
void
unfiled_sync(void)
{
	struct held_log	*l;

	for (l = held_log_next(NULL); l != NULL; l = held_log_next(l))
		if (l->is_dirty) {
			l->is_dirty = false;
			if (offload_sync(l->wal.fd) == -1)
				log_error("sync of a write-ahead log: %s",
				    strerror(errno));
		}
}
