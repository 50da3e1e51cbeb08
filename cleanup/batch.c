/*
 * batch.c - messages that are committed together.
 *
 * Called by commit.c, on each message's fiber. While few messages come each
 * gets a file, which anybody can look at. When there are more than
 * cleanup_wal_rate in a second, small ones go into a write-ahead log
 * (common/queue/wal.c): those that come while a write is under way wait, and
 * are written together with the next one.
 *
 * A process has one log that it writes, and a spare one, which is made ready
 * while there is still room in the first; where there is none, messages get
 * files. qmgr says by releasing a log that it can be used again.
 *
 * P1  After a write has failed its log is given up: what was in the write may
 *     be there or not, and its senders are told to try again. Who waits for the
 *     next write is not; later messages of this process get files. As long as
 *     the disk does not take the marks of those who were refused the log stays
 *     ours, and nobody takes them (wal-4).
 * P2  Nobody waits for a log to be made ready.
 * P3  Nothing is written to a log whose name somebody has removed.
 */
#include "cleanup/batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "common/fiber/fiber.h"
#include "common/fiber/offload.h"
#include "common/queue/wal.h"

#include "cleanup/room.h"

enum {
	RECORDS = 64,			/* in one write */
	BYTES = 1024 * 1024,
	LARGEST = 256 * 1024,		/* of an image */
	LOGS = 8,			/* of one process */
	PERIOD = 1000,			/* that messages are counted in */
	IDLE = 10 * 1000,		/* after which files will do again */
	RETRY = 500,			/* when there is no log to be had */
	NOTE_PAUSE = 200,		/* behind a write; the next may come */
	SPACE = 16			/* times its size must be free */
};

/* A message that waits for its write. */
struct entry {
	STAILQ_ENTRY(entry)	 next;
	const struct transaction *transaction;
	struct fiber		*fiber;
	struct wal_place	 place;
	unsigned char		 head[WAL_RECORD];
	int			 result, error;
	bool			 is_over;
};
STAILQ_HEAD(entries, entry);

/* One write, on its way to a thread. */
struct batch {
	const struct wal	*wal;
	int64_t			 at, end;
	uint32_t		 number;	/* one for each write */
	int			 vectors;
	struct iovec		 iov[3 * RECORDS];
};

static int64_t		wal_rate, wal_size;

const struct param	batch_params[] = {
	PARAM_INT("cleanup_wal_rate", wal_rate, "10", 0, 1000000,
	    "When more messages than this come to a cleanup process in a "
	    "second, those up to 256k are committed together in a write-ahead "
	    "log, and get files of their own only if they are not delivered "
	    "soon; 0 means always. postrider-qmgr(8) tells about the logs."),
	PARAM_SIZE("cleanup_wal_size", wal_size, "16M", 0, 1073741824,
	    "The size of each write-ahead log, at least 256k; a cleanup "
	    "process may have eight of them. 0 means that there are none."),
	PARAM_END
};

static struct wal	 logs[LOGS];	/* ours, whose lock we have; or -1 */
static unsigned		 log_count;
static struct wal	*current, *spare;
static int64_t		 at;		/* in the current one */
static int64_t		 committed, noted;	/* so far, likewise */
static uint32_t		 batches;	/* written */
static struct entries	 waiting[2] = {		/* others', ours */
	STAILQ_HEAD_INITIALIZER(waiting[false]),
	STAILQ_HEAD_INITIALIZER(waiting[true])
};
static bool		 is_writing, is_preparing, is_noting, is_given_up;
static int64_t		 not_before;	/* look for a log again */

/* --- how much comes ------------------------------------------------------ */

static int64_t	period_begun, busy_until;
static int64_t	period_count;

/* Count one; do enough come? */
static bool
is_busy(void)
{
	int64_t	now = clock_now();

	if (now - period_begun >= PERIOD) {
		period_begun = now;
		period_count = 0;
	}
	if (++period_count > wal_rate)
		busy_until = now + IDLE;
	return now < busy_until;
}

/* --- logs ---------------------------------------------------------------- */

/* Is so much free that one more log is next to nothing? */
static bool
has_space(void)
{
	int64_t	bytes, inodes;

	return fs_free_space(daemon_queue_fd(), &bytes, &inodes) == 0 &&
	    bytes / SPACE > wal_size && inodes > SPACE;
}

/* Is the log ours to use again, and of the right size? One of another size,
 * which an administrator has wanted before, goes. */
static bool
may_use(struct wal *w)
{
	if (!wal_is_released(w))
		return false;
	if (w->size >= wal_size && w->size < 2 * wal_size + BYTES)
		return true;
	(void)wal_remove(w->number);
	return false;
}

/* Take the log of this number, if nobody has it: 0, or -1. */
static int
take(struct wal *w, unsigned number)
{
	if (wal_open(w, number) == -1) {
		if (errno == ENODATA && wal_reap(number) == 0)
			errno = ENOENT;
		return errno == ENOENT && has_space() ?
		    wal_create(w, number, wal_size) : -1;
	}
	if (wal_lock(w) == 0 && wal_refresh(w) == 0 && may_use(w))
		return 0;
	wal_close(w);
	return -1;
}

/* What the thread that prepares one finds. */
struct preparation { struct wal *again, fresh; };

/* On a thread: one of ours that was released, or another one, begun anew. */
static int
prepare(void *arg)
{
	struct preparation	*p = arg;
	unsigned		 number;

	if (p->again != NULL)
		return wal_begin(p->again);
	for (number = 0; number < WAL_FILES; number++)
		if (take(&p->fresh, number) == 0)
			break;
	if (number == WAL_FILES) {
		errno = ENOSPC;
		return -1;
	}
	if (wal_begin(&p->fresh) == 0)
		return 0;
	wal_close(&p->fresh);
	return -1;
}

/* Those of ours that somebody has removed: nobody would find what is in them
 * after a crash. Who has them open reads them to their ends. */
static void
drop_removed(void)
{
	struct wal	*w;

	for (w = logs; w < logs + log_count; w++)
		if (w != current && w != spare && w->fd != -1 &&
		    !wal_has_name(w))
			wal_close(w);
}

/* One of ours that is released, and not in use. */
static struct wal *
find_released(void)
{
	struct wal	*w;

	for (w = logs; w < logs + log_count; w++)
		if (w != current && w != spare && w->fd != -1 &&
		    wal_is_released(w))
			return w;
	return NULL;
}

/* A place for one more. */
static struct wal *
find_place(void)
{
	struct wal	*w;

	for (w = logs; w < logs + log_count; w++)
		if (w->fd == -1)
			return w;
	if (log_count == LOGS)
		return NULL;
	w->fd = -1;
	log_count++;
	return w;
}

/* A spare log. */
static void
prepare_spare(void *arg)
{
	struct preparation	 p = { .fresh.fd = -1 };
	struct wal		*place;

	(void)arg;
	fiber_name("prepare log");
	drop_removed();
	p.again = find_released();
	place = p.again != NULL ? p.again : find_place();
	if (place == NULL) {
		not_before = clock_now() + RETRY;
	} else if (offload(prepare, &p) == -1) {
		log_debug("no write-ahead log: %s", strerror(errno));
		not_before = clock_now() + RETRY;
		wal_close(place);	/* begun or not: qmgr sees that */
	} else {
		if (p.again == NULL)
			*place = p.fresh;
		spare = place;
	}
	is_preparing = false;
}

/* See that there is a spare one soon (P2). */
static void
want_spare(void)
{
	if (spare != NULL || is_preparing || clock_now() < not_before)
		return;
	is_preparing = true;
	fiber_start(prepare_spare, NULL);
}

/* No more into the current one. */
static void
leave_current(void)
{
	if (current != NULL && wal_seal(current) == -1)
		log_warning("seal of a write-ahead log: %s", strerror(errno));
	current = NULL;
}

/* Is there room for so many bytes? In the next log, if need be. */
static bool
has_room(int64_t bytes)
{
	if (current == NULL || at + bytes > current->size ||
	    !wal_has_name(current)) {
		if (spare != NULL && !wal_has_name(spare))
			spare = NULL;
		if (spare == NULL || spare->records + bytes > spare->size)
			return false;
		leave_current();
		current = spare;
		spare = NULL;
		at = committed = noted = current->records;
	}
	if (at > current->size / 2)
		want_spare();
	return true;
}

/* --- writing ------------------------------------------------------------- */

/* It is decided: 1, 0, -1 as batch_commit(). */
static void
decide(struct entry *e, int result, int error)
{
	e->result = result;
	e->error = error;
	e->is_over = true;
	fiber_wake(e->fiber);
}

/* One more for the write. */
static void
add(struct batch *b, struct entry *e)
{
	static const char	zeros[WAL_ALIGN];
	const struct str	*image = &e->transaction->buffer;
	int64_t			 room = wal_room(image->len);
	struct iovec		*v = &b->iov[b->vectors];

	e->place = (struct wal_place){ .number = b->wal->number,
	    .generation = b->wal->generation, .at = b->end };
	wal_encode(b->wal, e->head, b->number, e->transaction->queue_id,
	    image->data, image->len);
	v[0] = (struct iovec){ e->head, sizeof(e->head) };
	v[1] = (struct iovec){ image->data, image->len };
	v[2] = (struct iovec){ (char *)(uintptr_t)zeros, (size_t)room -
	    sizeof(e->head) - image->len };
	b->vectors += 3;
	b->end += room;
}

/* Does anybody wait? */
static bool
has_waiting(void)
{
	return !STAILQ_EMPTY(&waiting[false]) || !STAILQ_EMPTY(&waiting[true]);
}

/* Who is next: our own mail and others' by turns (commit.c P1). */
static struct entries *
next_line(void)
{
	static bool	is_ours;

	if (!STAILQ_EMPTY(&waiting[!is_ours]))
		is_ours = !is_ours;
	return &waiting[is_ours];
}

/* Those who wait, as far as they go into one write. */
static void
collect(struct batch *b, struct entries *taken)
{
	struct entries	*line;
	struct entry	*e;
	int64_t		 room;

	while (has_waiting() && b->vectors < 3 * RECORDS) {
		line = next_line();
		e = STAILQ_FIRST(line);
		room = wal_room(e->transaction->buffer.len);
		if (b->end - b->at + room > BYTES || (b->vectors > 0 &&
		    b->end + room > b->wal->size))
			break;
		STAILQ_REMOVE_HEAD(line, next);
		if (b->vectors == 0) {
			if (!has_room(room)) {
				want_spare();
				decide(e, 0, 0);
				continue;
			}
			b->wal = current;
			b->at = b->end = at;
		}
		add(b, e);
		STAILQ_INSERT_TAIL(taken, e, next);
	}
	if (b->vectors > 0)
		at = b->end;
}

/* On a thread. */
static int
write_batch(void *arg)
{
	struct batch	*b = arg;

	return wal_write(b->wal, b->iov, b->vectors, b->at);
}

/* Note how far it is committed, for when no other write says so and qmgr has
 * heard nothing. */
static void
note(void *arg)
{
	(void)arg;
	fiber_name("note");
	while (fiber_sleep(NOTE_PAUSE) == 0 && current != NULL &&
	    noted < committed) {
		if (wal_note(current, committed) == 0)
			noted = committed;
		else
			log_warning("note in a write-ahead log: %s",
			    strerror(errno));
	}
	is_noting = false;
}

/* The write has succeeded. */
static void
succeed(const struct batch *b)
{
	committed = b->end;
	if (is_noting)
		return;
	is_noting = true;
	fiber_start(note, NULL);
}

/* A write that has failed. */
struct failure { struct wal *wal; uint64_t generation; int64_t at, end; };

/* Mark its records; then the log is nobody's. */
static int
refuse(const struct failure *f)
{
	if (wal_mark_all(f->wal, f->at, f->end - f->at) == -1)
		return -1;
	wal_close(f->wal);
	return 0;
}

/* Until it can be done; or somebody has removed the log, and there may be
 * another one in its place. */
static void
refuse_later(void *arg)
{
	struct failure	*f = arg;

	fiber_name("refuse");
	while (fiber_sleep(RETRY) == 0 && f->wal->fd != -1 &&
	    f->wal->generation == f->generation && refuse(f) == -1)
		continue;
	free(f);
}

/* The write has failed: none of these is ours, whatever the disk thinks. The
 * log is not sealed, which would say that all in it was whole. */
static void
give_up(const struct batch *b, int error)
{
	struct failure	*f = mem_alloc(sizeof(*f));

	is_given_up = true;
	log_error("write to incoming/wal.%u: %s; messages get files of their "
	    "own until this process is replaced", b->wal->number,
	    strerror(error));
	*f = (struct failure){ current, current->generation, b->at, b->end };
	current = NULL;
	if (refuse(f) == 0) {
		free(f);
		return;
	}
	log_error("mark of what was refused in a write-ahead log: %s",
	    strerror(errno));
	fiber_start(refuse_later, f);
}

/* Write until nobody waits. */
static void
write_all(void *arg)
{
	struct batch	*b = mem_alloc(sizeof(*b));
	struct entries	 taken;
	struct entry	*e, *next;
	int		 result, error;

	(void)arg;
	fiber_name("write log");
	while (has_waiting()) {
		STAILQ_INIT(&taken);
		b->vectors = 0;
		b->at = b->end = 0;
		b->number = ++batches;
		collect(b, &taken);
		if (b->vectors == 0)
			continue;
		result = offload(write_batch, b);
		error = errno;
		if (result == 0)
			succeed(b);
		else
			give_up(b, error);
		STAILQ_FOREACH_SAFE(e, &taken, next, next)
			decide(e, result == -1 ? -1 : 1, error);
	}
	free(b);
	is_writing = false;
}

/* --- what commit.c asks for ---------------------------------------------- */

/* As main.cf says. */
bool
batch_has_logs(void)
{
	return wal_size > 0;
}

/* As much as goes into a log, if there is one. */
size_t
batch_limit(void)
{
	return (current != NULL || spare != NULL) && !is_given_up &&
	    clock_now() < busy_until ? LARGEST : 0;
}

/* Small, and not held; while much comes. */
bool
batch_takes(const struct transaction *t)
{
	if (wal_size == 0 || !is_busy() || is_given_up || t->in_file > 0 ||
	    t->buffer.len > LARGEST || (t->mail.flags & MAIL_IS_HELD) != 0 ||
	    daemon_is_draining())
		return false;
	if (current != NULL || spare != NULL)
		return true;
	want_spare();
	return false;
}

/* Wait for a write. */
int
batch_commit(struct transaction *t, struct wal_place *place)
{
	struct entry	e = { .transaction = t, .fiber = fiber_self() };

	STAILQ_INSERT_TAIL(&waiting[room_is_ours(t)], &e, next);
	if (!is_writing) {
		is_writing = true;
		fiber_start(write_all, NULL);
	}
	while (!e.is_over)
		fiber_park_firmly();
	*place = e.place;
	errno = e.error;
	return e.result;
}
