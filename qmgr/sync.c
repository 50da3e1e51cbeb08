/*
 * sync.c - crossing recipients off, and when that reaches the disk.
 *
 * Every 200 ms at most, if there is something to do: overwrite the status
 * bytes of messages that go on, sync each of those files that still exists,
 * then each directory once from which a name was removed. A message that is
 * over before its turn costs nothing but its part of the directory's sync.
 *
 * crossoff-4  A crash or a power cut repeats deliveries of the last 200 ms and
 *             of the time the disk takes, and none before.
 * crossoff-5  A sync that fails is not repeated (the second one would lie); it
 *             is logged, and what it was for may be delivered twice.
 * P1  At most PENDING files are open here, and as many with those who have a
 *     place: who wants one more waits before he opens it. After an outage
 *     thousands of messages in a second may be put back, and the disk may sync
 *     some hundreds.
 */
#include "qmgr/sync.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/fiber/offload.h"
#include "common/fiber/queue.h"
#include "qmgr/outcome.h"
#include "qmgr/unfiled.h"

enum {
	EVERY = 200,		/* milliseconds */
	AT_ONCE = 8,		/* syncs */
	PENDING = 200,		/* files */
	HASHES = 256
};

/* A file to sync. */
struct file {
	STAILQ_ENTRY(file)	 next;
	int			 fd;
	bool			 has_place;
};

static TAILQ_HEAD(, message)	 dirty = TAILQ_HEAD_INITIALIZER(dirty);
static STAILQ_HEAD(, file)	 files = STAILQ_HEAD_INITIALIZER(files);
static bool			 flat_removed[QUEUE_DIRS];
static bool			 hash_removed[HASHES];
static bool			 has_removed, has_marked, is_running;
static unsigned			 syncing, pending;
static struct semaphore		 places;
static struct fiber		*worker;

/* --- one message --------------------------------------------------------- */

/* Overwrite one byte: done, or failed. */
static int
write_byte(const struct message *m, int fd, size_t number)
{
	char	status = message_status(m, number);

	return fs_pwrite(fd, &status, 1,
	    m->envelope.recipients[number].status_offset);
}

/* Overwrite all that wait. */
int
sync_write(struct message *m, int fd)
{
	while (m->crossing_count > 0) {
		if (write_byte(m, fd, m->crossing[m->crossing_count - 1]) == -1)
			return -1;
		m->crossing_count--;
		if (m->is_settling)
			fiber_breathe();	/* it will not go away */
	}
	if (m->is_dirty) {
		TAILQ_REMOVE(&dirty, m, dirty);
		m->is_dirty = false;
	}
	return 0;
}

/* The same in a copy that is about to become the file: how many, which wait on
 * until it has. */
size_t
sync_copy(struct message *m, int fd)
{
	size_t	n;

	for (n = 0; n < m->crossing_count; n++)
		if (write_byte(m, fd, m->crossing[n]) == -1) {
			log_warning("%s: cannot cross recipients off: %s",
			    m->id, strerror(errno));
			break;
		}
	return n;
}

/* It has: so many of the first are done. */
void
sync_copied(struct message *m, size_t n)
{
	m->crossing_count -= n;
	if (n > 0)
		memmove(m->crossing, m->crossing + n,
		    m->crossing_count * sizeof(*m->crossing));
	if (m->crossing_count == 0)
		sync_forget(m);
}

/* One file, soon. */
static void
add_file(int fd, bool has_place)
{
	struct file	*f = mem_alloc(sizeof(*f));

	f->fd = fd;
	f->has_place = has_place;
	STAILQ_INSERT_TAIL(&files, f, next);
	pending++;
}

/* Write one message's bytes, if its file still exists. */
static void
write_message(struct message *m)
{
	int	fd;

	TAILQ_REMOVE(&dirty, m, dirty);
	m->is_dirty = false;
	if (m->fate == FATE_GONE || m->is_settling)
		return;			/* it looks after itself */
	if (m->log != NULL) {
		unfiled_file_soon(m);	/* the file will say it */
		return;
	}
	if ((fd = queue_open_file(m->dir, m->id, O_RDWR)) == -1) {
		log_warning("%s: cannot cross recipients off: %s", m->id,
		    strerror(errno));
		return;			/* again when it is settled */
	}
	if (sync_write(m, fd) == -1)
		log_warning("%s: cannot cross recipients off: %s", m->id,
		    strerror(errno));
	add_file(fd, false);
}

/* --- the disk ------------------------------------------------------------ */

/* Sync a descriptor and close it; what was removed needs no sync. */
static WAITS void
sync_one(int fd, const char *what)
{
	struct stat	st;

	if (fstat(fd, &st) == -1 || st.st_nlink > 0)
		if (offload_sync(fd) == -1)
			log_error("sync of %s: %s", what, strerror(errno));
	close(fd);
}

/* One of a few fibers that sync the files. */
static void
sync_files(void *arg)
{
	struct file	*f;

	(void)arg;
	fiber_name("sync");
	while ((f = STAILQ_FIRST(&files)) != NULL) {
		STAILQ_REMOVE_HEAD(&files, next);
		sync_one(f->fd, "a queue file");
		if (f->has_place)
			semaphore_give(&places);
		free(f);
		pending--;
	}
	if (--syncing == 0)
		fiber_wake(worker);
}

/* Sync one directory. */
static WAITS void
sync_directory(enum queue_dir dir, const char *below)
{
	int	fd;

	fd = fs_open_directory(queue_dir_fd(dir), below);
	if (fd != -1)
		sync_one(fd, queue_dir_name(dir));
}

/* Each directory that lost a name. */
static WAITS void
sync_directories(void)
{
	char	name[3];
	int	i;

	for (i = 0; i < QUEUE_DIRS; i++)
		if (flat_removed[i]) {
			flat_removed[i] = false;
			sync_directory((enum queue_dir)i, ".");
		}
	for (i = 0; i < HASHES; i++)
		if (hash_removed[i]) {
			hash_removed[i] = false;
			snprintf(name, sizeof(name), "%02x", (unsigned)i);
			sync_directory(QUEUE_DEFERRED, name);
		}
}

/* All files that are here now. */
static WAITS void
sync_pending(void)
{
	unsigned	i;

	if (STAILQ_EMPTY(&files))
		return;
	syncing = AT_ONCE;
	for (i = 0; i < AT_ONCE; i++)
		fiber_start(sync_files, NULL);
	while (syncing > 0)
		(void)fiber_park(NEVER);
}

/* One round. */
static WAITS void
sync_all(void)
{
	struct message	*m;

	while ((m = TAILQ_FIRST(&dirty)) != NULL) {
		write_message(m);
		if (pending >= PENDING)
			sync_pending();
	}
	sync_pending();
	if (has_removed) {
		has_removed = false;
		sync_directories();
	}
	if (has_marked) {
		has_marked = false;
		unfiled_sync();
	}
}

/* Is there something to do? */
static bool
has_work(void)
{
	return !TAILQ_EMPTY(&dirty) || !STAILQ_EMPTY(&files) || has_removed ||
	    has_marked;
}

/* The worker: lives while there is something to do. */
static void
run(void *arg)
{
	(void)arg;
	fiber_name("sync worker");
	worker = fiber_self();
	while (has_work()) {
		(void)fiber_sleep(EVERY);
		sync_all();
	}
	is_running = false;
}

/* Start the worker if it does not run. */
static void
need_worker(void)
{
	if (is_running)
		return;
	is_running = true;
	fiber_start(run, NULL);
}

/* --- what others ask for ------------------------------------------------- */

/* One byte, soon. */
void
sync_cross_off(struct message *m, size_t number)
{
	m->crossing = pool_grow(m->pool, m->crossing, &m->crossing_room,
	    m->crossing_count + 1, sizeof(*m->crossing));
	m->crossing[m->crossing_count++] = (uint32_t)number;
	sync_again(m);
}

/* Its bytes, soon. */
void
sync_again(struct message *m)
{
	if (m->is_dirty || m->is_settling || m->crossing_count == 0)
		return;
	m->is_dirty = true;
	TAILQ_INSERT_TAIL(&dirty, m, dirty);
	need_worker();
}

/* The message is over. */
void
sync_forget(struct message *m)
{
	if (m->is_dirty)
		TAILQ_REMOVE(&dirty, m, dirty);
	m->is_dirty = false;
}

/* Nobody has a place yet. */
void
sync_start(void)
{
	semaphore_init(&places, PENDING);
}

/* Wait for one (P1). */
void
sync_take_place(void)
{
	(void)semaphore_take(&places, NEVER);
}

/* It was not needed. */
void
sync_leave_place(void)
{
	semaphore_give(&places);
}

/* One file, soon. */
void
sync_later(int fd)
{
	add_file(fd, true);
	need_worker();
}

/* One directory, soon. */
void
sync_removed(enum queue_dir dir, const char *id)
{
	char	hash[3];

	if (dir == QUEUE_DEFERRED)
		hash_removed[strtoul(queue_id_hash(hash, id), NULL, 16)] =
		    true;
	else
		flat_removed[dir] = true;
	has_removed = true;
	need_worker();
}

/* A log, soon. */
void
sync_marked(void)
{
	has_marked = true;
	need_worker();
}

/* Nothing left? */
bool
sync_is_idle(void)
{
	return !is_running;
}
