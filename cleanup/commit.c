/*
 * commit.c - after this the message is ours.
 *
 * Called once per message by intake.c, on the message's fiber. In this order:
 * the final name is created in incoming/, content and envelope are written,
 * the preamble is, the mode bit that says complete is set, the file is synced
 * once, and closed; then 250 is sent and qmgr is told. Where much comes, what
 * is small goes into a write-ahead log instead (batch.c), of which qmgr is told
 * in the same way, with a copy that has no name: what it does not deliver soon
 * gets a file from it.
 *
 * commit-1  250 is sent only after the file, its name and its mode are on
 *           stable storage: the first and only fsync and the close both said
 *           0; or after the one write that syncs the message's record has.
 * commit-2  A crash before that leaves a file without the bit, which a later
 *           start removes, or half a record, which nobody takes for one; or a
 *           whole file, or record, whose sender was not told: he may send
 *           twice.
 * commit-3  Every error removes the file, or marks the record, and is told to
 *           the sender as temporary; a failed fsync is not tried again, since
 *           the second one lies.
 * commit-4  Nothing waits for qmgr but this fiber, and not for long: a message
 *           that it did not hear of is found by its scan.
 * P1  However many messages from outside wait for the disk, a report does not
 *     wait behind them, nor they behind reports.
 */
#include "cleanup/transaction.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "common/fiber/closer.h"
#include "common/fiber/offload.h"
#include "common/fiber/queue.h"
#include "common/ipc/link.h"
#include "common/queue/queue.h"

#include "cleanup/batch.h"
#include "cleanup/inflow.h"
#include "cleanup/room.h"

enum {
	LOG_THREADS = 2,		/* one writes, one makes a log */
	TELL_MAX = 500,			/* fibers that tell qmgr at a time */
	TELL_TIME = 5 * 1000,		/* how long each of them tries */
	TELL_STEP = 100,		/* and looks whether it may */
	THREADS_MAX = 64		/* that there can be */
};

static struct link	*qmgr;
static unsigned		 telling;
static struct semaphore	 turns[2];	/* others', ours */

/* How many threads mail of our own making has beside the others. */
static int64_t
own_threads(void)
{
	return (set.sync_threads + 3) / 4;
}

/* Before the sandbox: the threads. */
void
commit_before(void)
{
	int64_t	most = set.sync_threads + own_threads() + LOG_THREADS;

	offload_threads((int)(most < THREADS_MAX ? most : THREADS_MAX));
}

/* Open the way to qmgr. */
void
commit_start(void)
{
	semaphore_init(&turns[false], (long)set.sync_threads);
	semaphore_init(&turns[true], (long)own_threads());
	qmgr = link_new("qmgr", 1, NULL);
	inflow_start(qmgr);
}

/* Sync. Threads are few when the disk is slow: mail of our own making has some
 * of them for itself and takes no other (P1). */
static int
sync_in_turn(const struct transaction *t, int fd)
{
	struct semaphore	*threads = &turns[room_is_ours(t)];
	int			 result, saved;

	if (semaphore_take(threads, NEVER) == -1)
		return -1;
	result = offload_sync(fd);
	saved = errno;
	semaphore_give(threads);
	errno = saved;
	return result;
}

/* Mark complete, sync, close. */
static int
make_durable(struct transaction *t)
{
	int	fd = t->fd;

	if (queue_set_complete(fd) == -1) {
		write_failed(t, "mark", errno);
		return -1;
	}
	if (sync_in_turn(t, fd) != 0) {
		write_failed(t, "sync", errno);
		return -1;
	}
	t->fd = -1;
	if (close(fd) == -1) {
		write_failed(t, "close", errno);
		if (queue_remove(QUEUE_INCOMING, t->queue_id) == -1)
			log_warning("%s: cannot remove the queue file: %s",
			    t->queue_id, strerror(errno));
		return -1;
	}
	return 0;
}

/* Answer with 250 and the id. */
static void
answer(struct transaction *t)
{
	struct queued	queued = {
		.queue_id = t->queue_id,
		.reply = pool_printf(t->pool, "250 2.0.0 Ok: queued as %s",
		    t->queue_id),
		.code = 250,
		.size = t->content_length
	};

	channel_reply_to(t->channel, t->id, PACKET_QUEUED, &queued);
}

/* What a packet says of where the message is: false when it is gone. */
static bool
add_message(struct new_mail *news, const struct transaction *t,
    const struct wal_place *place)
{
	if (place != NULL) {
		news->wal = place->number;
		news->wal_generation = (int64_t)place->generation;
		news->wal_at = place->at;
		/* -1: qmgr will make a file */
		news->message = fs_memory("message", t->buffer.data,
		    t->buffer.len);
		return true;
	}
	news->message = queue_open_file(QUEUE_INCOMING, t->queue_id, O_RDONLY);
	return news->message != -1 || errno != ENOENT;
}

/* The packet for qmgr, with a descriptor that can only be read. */
static void
send_news(struct transaction *t, struct channel *channel,
    const struct bytes *envelope, const struct wal_place *place)
{
	struct new_mail	news = {
		.queue_id = t->queue_id,
		.envelope = { "", 0 },
		.content_offset = QUEUE_PREAMBLE,
		.content_length = t->content_length,
		.envelope_offset = QUEUE_PREAMBLE + t->content_length,
		.wal = -1
	};

	if (envelope->len <= CONTENT_MAX)
		news.envelope = *envelope;
	if (!add_message(&news, t, place))
		return;			/* qmgr has been faster */
	channel_send(channel, PACKET_NEW_MAIL, channel_next_id(channel), &news,
	    clock_now() + TELL_TIME);
	if (news.message != -1 && place != NULL)
		close(news.message);
	else if (news.message != -1)
		close_later(news.message);	/* qmgr may have been quick */
}

/* The way to qmgr, as soon as there is one. A daemon that is to leave keeps
 * nobody waiting for it: when the system stops qmgr has gone before, and the
 * one that comes next scans. */
static WAITS struct channel *
find_qmgr(void)
{
	int64_t		 deadline = clock_now() + TELL_TIME;
	struct channel	*channel;

	do
		channel = link_channel(qmgr, 0, clock_now() + TELL_STEP);
	while (channel == NULL && !daemon_is_draining() &&
	    clock_now() < deadline);
	return channel;
}

/* Tell qmgr; when too many are at it already, leave it to qmgr's scan. */
static void
tell_qmgr(struct transaction *t, const struct bytes *envelope,
    const struct wal_place *place)
{
	struct channel	*channel;

	if (telling >= TELL_MAX)
		return;
	telling++;
	if ((channel = find_qmgr()) != NULL) {
		channel_hold(channel);
		send_news(t, channel, envelope, place);
		channel_release(channel);
	}
	telling--;
}

/* Into a log with others: 1, 0 when it needs a file, -1. */
static WAITS int
make_durable_together(struct transaction *t, struct wal_place *place)
{
	int	result;

	if (telling >= TELL_MAX / 2 || !batch_takes(t) ||
	    link_channel(qmgr, 0, clock_now()) == NULL)
		return 0;
	if ((result = batch_commit(t, place)) == -1)
		write_failed(t, "sync", errno);
	return result;
}

/* Take the message over. */
int
commit(struct transaction *t)
{
	struct bytes		envelope = { "", 0 };
	struct wal_place	place;
	int			together = 0;

	write_end(t, &envelope);
	if (t->code == 0)
		together = make_durable_together(t, &place);
	if (t->code != 0 || (together == 0 && (write_rest(t) == -1 ||
	    make_durable(t) == -1)))
		return -1;
	room_is_fine(t);
	answer(t);
	tell_qmgr(t, &envelope, together == 1 ? &place : NULL);
	return 0;
}
