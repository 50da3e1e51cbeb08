/*
 * scan.c - how messages get into memory.
 *
 * Three ways: cleanup's packet says that there is a new one; the time of one
 * that waits has come; or a look through the directories, at start and every
 * now and then, finds one that nobody told us of. The look needs names, modes
 * and times only, and opens nothing.
 *
 * recovery-3  A file that is not complete is not mail; it is removed once its
 *             writer is gone.
 * P1  At most qmgr_message_active_limit messages are open; the others wait as
 *     names. When as many are open, evict.c makes room.
 * P2  A look through the directories is a thread's work, a few entries at a
 *     time: new mail does not wait for it, nor for a cold disk. Of messages
 *     whose time was over at the start ten thousand come at once and 2000 in
 *     each second after them.
 */
#include "qmgr/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "common/daemon/peers.h"
#include "common/fiber/offload.h"
#include "common/ipc/packets.h"
#include "qmgr/evict.h"
#include "qmgr/message.h"
#include "qmgr/orphan.h"
#include "qmgr/patience.h"
#include "qmgr/retry.h"
#include "qmgr/route.h"
#include "qmgr/sync.h"
#include "qmgr/transport.h"
#include "qmgr/unfiled.h"
#include "qmgr/waiting.h"

enum {
	/* Entries that a thread reads in one go: the threads have other work,
	 * and each go waits for its turn behind the syncs of a busy disk. */
	SLICE = 1024,
	NEWS = 128,		/* of them taken in without a breath */
	LATE_EACH = 500,	/* microseconds; one after the other */
	LATE_AT_ONCE = 10000 * LATE_EACH,
	BUSY_PAUSE = 200,	/* its writer is about to finish */
	ROUTE_PAUSE = 5,	/* others are asked for first */
	FULL_PAUSE = 1000,	/* unless somebody leaves before */
	MANY_PAUSE = 2000,	/* too many recipients are in memory */
	HEAD = 1000, EACH = 200		/* bytes of an envelope */
};

static struct fiber	*feeder, *scanner;
static int64_t		 pause_in_need;	/* out of descriptors, or worse */

/* What cannot be done now is done then; the pauses grow while nothing can. */
static int64_t
in_need(void)
{
	static int64_t	since;
	int64_t		now = clock_now();

	if (pause_in_need == 0 || now - since >= pause_in_need) {
		pause_in_need = patience_next(pause_in_need);
		since = now;
	}
	return now + pause_in_need;
}

/* New mail that header_checks put on hold goes there, before anybody begins
 * with it. Who releases it moves it to deferred/, where the mark says nothing
 * any more. */
static bool
is_put_on_hold(struct message *m)
{
	if (m->dir != QUEUE_INCOMING ||
	    (m->envelope.mail.flags & MAIL_IS_HELD) == 0)
		return false;
	if (queue_move(m->id, QUEUE_INCOMING, QUEUE_HOLD) == 0) {
		sync_removed(QUEUE_INCOMING, m->id);
		log_debug("%s: placed on hold", m->id);
	} else if (errno != ENOENT) {
		log_error("%s: cannot be placed on hold: %s", m->id,
		    strerror(errno));
		(void)waiting_add(m->id, m->dir, in_need());
	}
	message_close(m);
	return true;
}

/* Begin with an open message. */
static void
activate(struct message *m)
{
	if (is_put_on_hold(m))
		return;
	log_info("%s: from=<%s>, size=%jd, nrcpt=%zu (queue active)", m->id,
	    log_address(m->envelope.mail.sender),
	    (intmax_t)m->layout.content_length,
	    m->envelope.count);
	route_start(m);
}

/* --- cleanup's packet ---------------------------------------------------- */

/* Is the packet late? A look through the directories may have found the file
 * first, and even have seen the end of it; or somebody has put it on hold. */
static bool
is_known(const struct new_mail *mail)
{
	struct stat	st;

	return !queue_id_is_valid(mail->queue_id) || daemon_is_draining() ||
	    message_find(mail->queue_id) != NULL ||
	    waiting_has(mail->queue_id) ||
	    fstatat(queue_dir_fd(QUEUE_INCOMING), mail->queue_id, &st,
	    AT_SYMLINK_NOFOLLOW) == -1;
}

/* It stands in a log: is it late? */
static bool
is_known_unfiled(const struct new_mail *mail)
{
	return !queue_id_is_valid(mail->queue_id) || daemon_is_draining() ||
	    message_find(mail->queue_id) != NULL ||
	    waiting_has(mail->queue_id) || !unfiled_is_news(mail);
}

/* A message that has no file. Without room it gets one. */
static void
on_unfiled(const struct new_mail *mail)
{
	struct message	*m = NULL;
	bool		 is_news = !is_known_unfiled(mail);

	if (is_news && mail->message != -1 && evict_has_room() &&
	    message_may_keep() && unfiled_has_room())
		m = message_from_packet(mail);
	else if (mail->message != -1)
		close(mail->message);
	if (m != NULL) {
		unfiled_enter(m, mail);
		activate(m);
	} else if (is_news)
		unfiled_put_off(mail);
}

/* PACKET_NEW_MAIL. The packet is a hint: what it does not bring is read from
 * the file later. */
void
on_new_mail(struct request *r)
{
	const struct new_mail	*mail = r->object;
	struct message		*m = NULL;
	bool			 is_news;

	if (mail->wal != -1) {
		on_unfiled(mail);
		return;
	}
	is_news = !is_known(mail);

	/* Without a descriptor, whether it still exists is seen later. */
	if (is_news && mail->message != -1 && evict_has_room())
		m = message_from_packet(mail);
	else if (mail->message != -1)
		close(mail->message);
	if (m != NULL)
		activate(m);
	if (m != NULL || !is_news)
		return;
	(void)waiting_add(mail->queue_id, QUEUE_INCOMING, clock_now());
	feed_wake();
}

/* --- when the time has come ---------------------------------------------- */

/* Has it many recipients? Not if its file cannot be looked at: what is wrong
 * with it is told when it is opened. */
static bool
has_many(const struct waiting_one *one)
{
	unsigned char		 raw[QUEUE_PREAMBLE];
	struct queue_layout	 layout;
	uint32_t		 crc;
	ssize_t			 n;
	int			 fd;

	fd = queue_open_file(one->dir, one->id, O_RDONLY);
	if (fd == -1)
		return false;
	n = fs_pread(fd, raw, sizeof(raw), 0);
	close(fd);
	return n == (ssize_t)sizeof(raw) &&
	    queue_preamble_decode(raw, sizeof(raw), &layout, &crc) == NULL &&
	    (size_t)layout.envelope_length > HEAD + evict_few() * EACH;
}

/* Is it to wait, since it has many recipients and so have others? It is looked
 * at once. */
static bool
is_too_many(struct waiting_one *one)
{
	if (evict_has_room_for_many())
		return false;
	if ((one->flags & WAITING_MANY) == 0 && has_many(one))
		one->flags |= WAITING_MANY;
	return (one->flags & WAITING_MANY) != 0;
}

/* Back to those who wait, as it was. */
static void
wait_again(const struct waiting_one *one, int64_t due)
{
	(void)waiting_add(one->id, one->dir, due);
	(void)waiting_set_marks(one->id, &one->marks, one->flags);
}

/* Open one that is due. */
static void
open_one(struct waiting_one *one)
{
	struct message	*m;

	if (message_find(one->id) != NULL)
		return;
	if (orphan_gets_file(one->id)) {
		wait_again(one, clock_now() + BUSY_PAUSE);
		return;
	}
	if (is_too_many(one)) {
		wait_again(one, clock_now() + MANY_PAUSE);
		return;
	}
	switch (message_open(one->id, one->dir, &m)) {
	case OPENED:
		pause_in_need = 0;
		m->is_flushed = (one->flags & WAITING_FLUSHED) != 0;
		activate(m);
		break;
	case OPENED_BUSY:
		wait_again(one, clock_now() + BUSY_PAUSE);
		break;
	case OPENED_LATER:
		wait_again(one, in_need());
		break;
	case OPENED_GONE:
		log_debug("%s: not in %s any more", one->id,
		    queue_dir_name(one->dir));
		break;
	}
}

/* This one is due: opened, or put back if its site has too many. False: there
 * is no room for it. */
static bool
feed_this(struct waiting_one *one)
{
	if ((one->flags & WAITING_PARKED) && evict_is_clogged(one->marks.site))
		wait_again(one, clock_now() + evict_pause());
	else if ((one->dir == QUEUE_INCOMING ? evict_has_room() :
	    evict_has_room_for_tried()) || evict_make_room())
		open_one(one);
	else {
		waiting_put_back(one);
		return false;
	}
	return true;
}

/* The next one that is due; one that is new, if there is no room for one that
 * was tried. False: there is room for none. */
static bool
feed_one(void)
{
	struct waiting_one	one;

	if (!waiting_take_one(clock_now(), &one) || feed_this(&one))
		return true;
	return one.dir != QUEUE_INCOMING &&
	    waiting_take_new(clock_now(), &one) && feed_this(&one);
}

/* Open what is due while there is room. */
static void
feed(void *arg)
{
	int64_t	when;

	(void)arg;
	fiber_name("feeder");
	while (!daemon_is_draining()) {
		when = waiting_first_due();
		if (when <= clock_now() && route_is_busy())
			when = clock_now() + ROUTE_PAUSE;
		else if (when <= clock_now() && !feed_one())
			when = clock_now() + FULL_PAUSE;
		if (when <= clock_now())
			fiber_breathe();
		else
			(void)fiber_park(when);
	}
	feeder = NULL;
}

/* Look again. */
void
feed_wake(void)
{
	if (feeder != NULL)
		fiber_wake(feeder);
}

/* --- looking through the directories ------------------------------------- */

/* When one is due whose time is over: now; after an outage of our own there may
 * be very many, which come one after the other. */
static int64_t
due_late(void)
{
	static int64_t	last_us;
	int64_t		now = clock_now(), first_us = now * 1000 - LATE_AT_ONCE;

	last_us = (last_us > first_us ? last_us : first_us) + LATE_EACH;
	return last_us / 1000 > now ? last_us / 1000 : now;
}

/* When a file with this time is due. No time is further away than the longest
 * pause: clocks and hands set strange ones. New mail was never tried. */
static int64_t
due_at(enum queue_dir dir, int64_t mtime_us)
{
	int64_t	pause = (mtime_us - clock_wall_us()) / 1000,
		longest = retry_longest_pause();

	if (dir == QUEUE_INCOMING)
		return clock_now();	/* though the clock was set back */
	if (pause <= 0)
		return due_late();
	if (pause > longest)
		pause = longest;
	return clock_now() + pause;
}

/* One entry. Returns whether it is news. */
static bool
look_at(enum queue_dir dir, const char *id, mode_t mode, int64_t mtime_us)
{
	if (!queue_is_complete(mode)) {
		if (dir == QUEUE_INCOMING && queue_reap(id) == 1)
			log_info("%s: an unfinished file was removed", id);
		return false;
	}
	if (message_find(id) != NULL)
		return false;
	return waiting_add(id, dir, due_at(dir, mtime_us));
}

/* Some entries, on their way from a thread. */
struct slice {
	struct queue_walk	*walk;
	int			 result;	/* 1: there are more */
	size_t			 count;
	struct {
		char	 id[QUEUE_ID_MAX + 1];
		mode_t	 mode;
		int64_t	 mtime_us;
	} entries[SLICE];
};

/* On a thread: the next ones. */
static int
read_slice(void *arg)
{
	struct slice	*s = arg;
	int64_t		 size;

	for (s->count = 0; s->count < SLICE; s->count++) {
		s->result = queue_walk_next(s->walk, s->entries[s->count].id,
		    &s->entries[s->count].mode,
		    &s->entries[s->count].mtime_us, &size);
		if (s->result != 1)
			break;
	}
	return s->result == -1 ? -1 : 0;
}

/* One directory. What was seen may have moved meanwhile: who opens it sees. */
static WAITS size_t
look_through(enum queue_dir dir)
{
	struct slice	*s;
	size_t		 found = 0, i;

	s = mem_alloc(sizeof(*s));
	if ((s->walk = queue_walk_start(dir)) == NULL) {
		log_error("open %s: %s", queue_dir_name(dir),
		    strerror(errno));
		free(s);
		return 0;
	}
	do {
		if (offload(read_slice, s) == -1)
			log_error("read %s: %s", queue_dir_name(dir),
			    strerror(errno));
		for (i = 0; i < s->count; i++) {
			if (look_at(dir, s->entries[i].id,
			    s->entries[i].mode, s->entries[i].mtime_us))
				found++;
			if (i % NEWS == NEWS - 1)
				fiber_breathe();
		}
		feed_wake();
	} while (s->result == 1 && !daemon_is_draining());
	queue_walk_end(s->walk);
	free(s);
	return found;
}

/* At start, then every now and then. */
static void
scan(void *arg)
{
	size_t	found;
	bool	is_first = true;

	(void)arg;
	fiber_name("scanner");
	while (!daemon_is_draining()) {
		found = is_first ? unfiled_start() : 0;
		if (!is_first)
			unfiled_look();
		found += look_through(QUEUE_INCOMING);
		found += look_through(QUEUE_DEFERRED);
		if (is_first && found > 0)
			log_info("%zu messages were in the queue", found);
		is_first = false;
		feed_wake();
		transports_sweep();
		(void)fiber_park(clock_now() + retry.scan_every);
	}
	scanner = NULL;
}

/* Do not wait for the next time. */
void
scan_now(void)
{
	if (scanner != NULL)
		fiber_wake(scanner);
}

/* Begin. */
void
scan_start(void)
{
	feeder = fiber_start(feed, NULL);
	scanner = fiber_start(scan, NULL);
}
