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
 * and he may use it again. While he writes only who is committed for sure is
 * taken from it (wal-4): the last ones are when he has noted so, or written
 * more, and until then they are looked for again.
 *
 * recovery-5  A message in a log is marked only when it is delivered, or has
 *             a file on stable storage. What is neither is found by the next
 *             look, of ours or of our successor.
 * recovery-6  A log is released only when it was looked through after its end,
 *             as far as the disk gives all of it, and everything in it is
 *             marked.
 * P1  What a look has read is of a moment ago, and a packet may be late:
 *     whether a message is over is said by its mark, as long as its log is not
 *     released, and by nothing afterwards.
 */
#include "qmgr/unfiled.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/fiber/offload.h"
#include "common/queue/wal.h"
#include "qmgr/entry.h"
#include "qmgr/evict.h"
#include "qmgr/held_log.h"
#include "qmgr/orphan.h"
#include "qmgr/outcome.h"
#include "qmgr/patience.h"
#include "qmgr/sync.h"

enum {
	AGE = 5 * 1000,			/* milliseconds without a file */
	FILERS = 8,			/* files that are made at a time */
	BYTES = 128 * 1024 * 1024,	/* of copies in memory */
	STEP = 100,			/* how often logs are looked at */
	LOOK_PAUSE = 60 * 1000,		/* when the disk did not give all */
	PROOF_PAUSE = 500,		/* when it is not sure who is ours */
	FILING_STEP = 5			/* while another fiber is at it */
};

static TAILQ_HEAD(, message)	 unfiled = TAILQ_HEAD_INITIALIZER(unfiled);
static TAILQ_HEAD(, message)	 to_file = TAILQ_HEAD_INITIALIZER(to_file);
static unsigned			 filers;
static int64_t			 bytes;		/* of messages */
static bool			 is_watching, is_draining;
static bool			 has_begun;	/* the queue is ours */

/* --- messages ------------------------------------------------------------ */

/* What it takes of the memory. */
static int64_t
size_of(const struct message *m)
{
	return m->layout.envelope_offset + m->layout.envelope_length;
}

/* Nobody need file it now. */
static void
leave_line(struct message *m)
{
	TAILQ_REMOVE(&to_file, m, filing);
	m->is_to_file = false;
}

/* Not in the log any more. */
static void
detach(struct message *m)
{
	if (m->is_to_file)
		leave_line(m);
	TAILQ_REMOVE(&unfiled, m, unfiled);
	bytes -= size_of(m);
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
	bytes += size_of(m);
	TAILQ_INSERT_TAIL(&unfiled, m, unfiled);
}

/* Delivered. */
int
unfiled_over(struct message *m)
{
	if (held_log_mark(m->log, m->log_at) == -1)
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

/* Its file, and in it what was crossed off. Those are forgotten only when the
 * file is there to stay: the next one would not have them. The copy in memory
 * is there as long as the message has no file. */
static WAITS int
make_file(struct message *m)
{
	size_t	crossed;
	int	fd;

	CLAIM(m->fd != -1);
	if ((fd = held_log_copy_memory(m->id, m->fd, size_of(m))) == -1)
		return -1;
	crossed = sync_copy(m, fd);
	if (held_log_finish(m->id, QUEUE_INCOMING, fd) == -1)
		return -1;
	sync_copied(m, crossed);
	return 0;
}

static void	start_filers(void);

/* It has a file, and needs neither its place in the log nor the copy in memory
 * any more. */
static void
leave_log(struct message *m)
{
	if (held_log_mark(m->log, m->log_at) == -1) {
		orphan_add_marking(m->log, m->id, m->log_at);
		start_filers();
	}
	detach(m);
	message_drop_fd(m);
	sync_again(m);
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
	sync_take_place();
	result = make_file(m);
	saved = errno;
	sync_leave_place();
	m->is_filing = false;
	m->is_unfilable = result == -1;
	if (result == 0)
		leave_log(m);
	errno = saved;
	return result;
}

/* --- who makes files ----------------------------------------------------- */

/* Who is not worked on any more goes at once, if it only waits for who has too
 * much. */
static void
let_go(struct message *m)
{
	struct job	*evictable = evict_wanted(m);

	message_release(m);
	if (evictable != NULL)
		evict(evictable);
}

/* A message's turn; one that is being settled sees to it itself. False: not
 * now. It may be gone afterwards. */
static WAITS bool
file_message(struct message *m)
{
	bool	is_done = true;

	leave_line(m);
	if (m->is_settling)
		return true;
	message_hold(m);
	if (m->fate != FATE_GONE && !outcome_is_delivered(m) &&
	    unfiled_file(m) == -1) {
		log_error("%s: cannot get a file: %s", m->id,
		    strerror(errno));
		unfiled_file_soon(m);
		is_done = false;
	}
	let_go(m);
	return is_done;
}

/* The next one, of messages and of orphans by turns; false: not now. */
static WAITS bool
file_next(void)
{
	static bool	was_message;

	was_message = !TAILQ_EMPTY(&to_file) &&
	    (!was_message || !orphan_is_waiting());
	return was_message ? file_message(TAILQ_FIRST(&to_file)) :
	    orphan_file_next();
}

/* One of a few fibers. */
static void
file_all(void *arg)
{
	struct patience	patience = { 0 };

	(void)arg;
	fiber_name("file");
	while (!TAILQ_EMPTY(&to_file) || orphan_is_waiting()) {
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

/* Soon. It is not held: should it be over before its turn it needs none. */
void
unfiled_file_soon(struct message *m)
{
	if (m->is_to_file || m->is_filing || m->is_settling)
		return;
	m->is_to_file = true;
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

/* Is there one that came before, and may get its file at once? */
static bool
has_since(int64_t since)
{
	const struct message	*m = TAILQ_FIRST(&unfiled);

	while (m != NULL && m->is_unfilable)
		m = TAILQ_NEXT(m, unfiled);
	return (m != NULL && m->unfiled_since <= since) ||
	    orphan_is_due(since);
}

/* For who looks at files. Whoever pauses, since the disk was full, tries now;
 * who waits lends a hand, and when the disk is full still he hears what is
 * known. */
void
unfiled_file_all(int64_t deadline)
{
	struct message	*m;
	int64_t		 begun = clock_now();

	if (patience_hurry())
		TAILQ_FOREACH(m, &unfiled, unfiled)
			m->is_unfilable = false;
	file_since(begun);
	while (clock_now() < deadline && has_since(begun))
		if (!TAILQ_EMPTY(&to_file) ?
		    !file_message(TAILQ_FIRST(&to_file)) :
		    fiber_sleep(FILING_STEP) == -1)
			return;
}

/* --- logs ---------------------------------------------------------------- */

/* Is this record's message here? */
static bool
is_here(const struct held_log *l, const struct wal_record *record)
{
	struct message	*m = message_find(record->id);

	return (m != NULL && m->log == l && m->log_at == record->at) ||
	    orphan_has(record->id);
}

/* It gets a file. */
static void
take_in(struct held_log *l, const struct wal_record *record)
{
	orphan_add(l, record);
	start_filers();
}

/* What a look is about. */
struct look {
	struct held_log	*log;
	int64_t		 end;		/* who stands in front of it is late */
	int64_t		 proven;	/* and in front of this, committed */
	int64_t		 unproven;	/* behind the last one who is not */
	size_t		 found;
};

/* Is it sure that the record is committed? A file is made of none that was
 * not. */
static bool
is_committed(const struct look *look, const struct wal_record *record)
{
	enum queue_dir	dir;

	return record->at < look->proven || entry_find(record->id, &dir);
}

/* Take those of these records that are late and unknown. While they were read,
 * messages were delivered: only the mark says now whether it is one of them. */
static WAITS void
take_unknown(struct look *look, const struct wal_record *records, size_t n)
{
	struct held_log	*l = look->log;
	size_t		 i;

	for (i = 0; i < n && !l->is_released; i++) {
		if (records[i].at >= look->end || is_here(l, &records[i]) ||
		    wal_is_marked(&l->wal, records[i].at))
			;
		else if (is_committed(look, &records[i])) {
			take_in(l, &records[i]);
			look->found++;
		} else
			look->unproven = wal_after(&records[i]);
		fiber_breathe();
	}
}

/* All records of a log: who is unknown, and stands in front of `end`, gets a
 * file. How many. What the disk does not give is looked for again, and the log
 * is not released without it; so is who may be refused yet. */
static WAITS size_t
look_through(struct held_log *l, int64_t end)
{
	struct look		 look = { .log = l, .end = end };
	struct wal_record	*records;
	size_t			 n;
	bool			 is_all;

	l->holds++;
	records = held_log_read(l, &n, &is_all, &look.proven);
	take_unknown(&look, records, n);
	if (!l->is_released)
		l->seen_end = n > 0 ? wal_after(&records[n - 1]) : 0;
	if ((l->late_end = look.unproven) != 0) {
		l->is_looked = false;
		l->look_again = clock_now() + PROOF_PAUSE;
	}
	if (!is_all) {
		log_error("incoming/wal.%u: not all of it can be read",
		    l->wal.number);
		l->is_looked = false;
		l->look_again = clock_now() + LOOK_PAUSE;
	}
	l->holds--;
	free(records);
	return look.found;
}

/* One that nobody writes any more: look once, then release it. */
static WAITS void
close_log(struct held_log *l)
{
	if (!l->is_looked && clock_now() >= l->look_again) {
		l->is_looked = true;
		if (look_through(l, INT64_MAX) > 0)
			log_info("messages that were in a write-ahead log "
			    "only get files");
	}
	if (l->is_looked && l->live == 0)
		held_log_release(l);
}

/* One that is written: is it sure by now who is ours? */
static WAITS void
look_for_late(struct held_log *l)
{
	if (!l->is_released && l->late_end != 0 &&
	    clock_now() >= l->look_again)
		(void)look_through(l, l->late_end);
}

/* One of them; is there something in it? */
static WAITS bool
watch_log(struct held_log *l)
{
	if (held_log_is_closed(l))
		close_log(l);
	else
		look_for_late(l);
	return !l->is_released &&
	    (l->closed_at != 0 || l->live > 0 || l->late_end != 0);
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
		has_more = !TAILQ_EMPTY(&unfiled) || orphan_count() > 0;
		file_since(clock_now() - (is_draining ? 0 : AGE));
		for (l = held_log_next(NULL); l != NULL; l = held_log_next(l))
			if (watch_log(l))
				has_more = true;
	}
	is_watching = false;
}

/* See that somebody watches; not while another qmgr has the queue. */
static void
need_watch(void)
{
	if (is_watching || !has_begun)
		return;
	is_watching = true;
	fiber_start(watch, NULL);
}

/* Is it in the log, where the packet says? */
static bool
is_there(const struct held_log *l, const struct new_mail *mail)
{
	struct wal_record	record;

	return wal_read(&l->wal, mail->wal_at, &record) == 0 &&
	    strcmp(record.id, mail->queue_id) == 0;
}

/* Does the packet tell something? A log that was released has nothing to tell:
 * its writer may have begun it anew, and what stands there, or is not marked
 * there, is another message. */
bool
unfiled_is_news(const struct new_mail *mail)
{
	struct held_log	*l = held_log_find((unsigned)mail->wal,
			    (uint64_t)mail->wal_generation);

	need_watch();
	return l != NULL && !l->is_released && is_there(l, mail) &&
	    !wal_is_marked(&l->wal, mail->wal_at) &&
	    !orphan_has(mail->queue_id);
}

/* Not too many? */
bool
unfiled_has_room(void)
{
	return bytes < BYTES;
}

/* No room. */
void
unfiled_put_off(const struct new_mail *mail)
{
	struct held_log		*l = held_log_find((unsigned)mail->wal,
				    (uint64_t)mail->wal_generation);
	struct wal_record	 record;

	if (wal_read(&l->wal, mail->wal_at, &record) == 0)
		take_in(l, &record);
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

	has_begun = true;
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
			l->holds++;
			if (offload_sync(l->wal.fd) == -1)
				log_error("sync of a write-ahead log: %s",
				    strerror(errno));
			l->holds--;
		}
}
