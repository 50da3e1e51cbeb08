/*
 * write.c - bytes to the queue file.
 *
 * The file's first bytes are collected in memory, with room for the preamble
 * in front: a small message becomes one write when it is complete, into its
 * file or into a log (batch.c), and one that is abandoned before never becomes
 * a file. A larger one is written out every 64 KiB, or 256 while it may go
 * into a log; its preamble comes last.
 *
 * whole-3  What the disk or the memory refuses is told as temporary, to the
 *          sender by 452 or 451 and to the log, and it is over when they give
 *          again.
 */
#include "cleanup/transaction.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/queue/queue.h"

#include "cleanup/batch.h"
#include "cleanup/room.h"

enum {
	FLUSH_AT = 64 * 1024,
	LONG_ONES = 64,			/* transactions with so much */
	BUFFER_MAX = 512 * 1024 * 1024	/* as far as envelopes go */
};

static unsigned	long_ones;

/* Start with an empty preamble. */
void
write_begin(struct transaction *t)
{
	static const char	zeros[QUEUE_PREAMBLE];

	str_init(&t->buffer, t->pool, BUFFER_MAX);
	str_add_mem(&t->buffer, zeros, sizeof(zeros));
}

/* Tell the log what the file system said, the sender that he may try again. */
void
write_failed(struct transaction *t, const char *what, int error)
{
	room_failed(t, what, error);
	if (error == ENOSPC || error == EDQUOT || error == EFBIG ||
	    error == EROFS)
		transaction_refuse(t, 452,
		    "452 4.3.1 Error: insufficient system storage");
	else
		transaction_refuse(t, 451,
		    "451 4.3.0 Error: queue file write error");
}

/* How much may be collected now: more, while it goes into a log (batch.c), if
 * not too many do that. */
static size_t
limit_of(struct transaction *t)
{
	size_t	limit = batch_limit();

	if (t->in_file > 0 || t->fd != -1 || t->buffer.len >= limit)
		return FLUSH_AT;
	if (!t->is_long && t->buffer.len >= FLUSH_AT &&
	    long_ones < LONG_ONES) {
		t->is_long = true;
		long_ones++;
	}
	return t->is_long ? limit : FLUSH_AT;
}

/* It is not long any more. */
static void
end_long(struct transaction *t)
{
	if (t->is_long)
		long_ones--;
	t->is_long = false;
}

/* Write out what has been collected; the first time, create the file. */
static int
flush(struct transaction *t)
{
	end_long(t);
	if (t->fd == -1 && (t->fd = queue_create(t->queue_id)) == -1) {
		write_failed(t, "create", errno);
		return -1;
	}
	if (fs_pwrite(t->fd, t->buffer.data, t->buffer.len, t->in_file) == -1) {
		write_failed(t, "write", errno);
		return -1;
	}
	t->in_file += (int64_t)t->buffer.len;
	str_clear(&t->buffer);
	return 0;
}

/* Remember the last two bytes, to know whether a line is open. */
static void
note_tail(struct transaction *t, const char *data, size_t len)
{
	if (len >= 2)
		memcpy(t->tail, data + len - 2, 2);
	else if (len == 1) {
		t->tail[0] = t->tail[1];
		t->tail[1] = data[0];
	}
}

/* Append to the content. Where the buffer is full does not depend on the pieces
 * that come: writes that begin and end at multiples of 64 KiB cost the kernel a
 * third less than others, since the page cache holds them in few large folios
 * (and reading, syncing and removing them costs less, too). */
void
write_content(struct transaction *t, const void *data, size_t len)
{
	const char	*from = data;
	size_t		 limit, n;

	if (t->code != 0)
		return;
	note_tail(t, data, len);
	t->content_length += (int64_t)len;
	for (; len > 0; from += n, len -= n) {
		limit = limit_of(t);
		if (t->buffer.len >= limit) {
			if (flush(t) == -1)
				return;
			limit = FLUSH_AT;
		}
		n = limit - t->buffer.len < len ? limit - t->buffer.len : len;
		str_add_mem(&t->buffer, from, n);
	}
}

/* What is still in the buffer. */
int
write_rest(struct transaction *t)
{
	return t->buffer.len == 0 ? 0 : flush(t);
}

/* Fill the preamble in, where it is: still in the buffer or in the file. */
static int
put_preamble(struct transaction *t, const struct queue_layout *layout,
    uint32_t crc)
{
	unsigned char	preamble[QUEUE_PREAMBLE];

	queue_preamble_encode(preamble, layout, crc);
	if (t->in_file == 0) {
		memcpy(t->buffer.data, preamble, sizeof(preamble));
		return 0;
	}
	if (flush(t) == -1)
		return -1;
	if (fs_pwrite(t->fd, preamble, sizeof(preamble), 0) == -1) {
		write_failed(t, "write", errno);
		return -1;
	}
	return 0;
}

/* Append the envelope, then the preamble; keep a small envelope for qmgr. Of a
 * small message all is in the buffer then. */
void
write_end(struct transaction *t, struct bytes *envelope)
{
	struct queue_layout	 layout;
	size_t			 place = t->buffer.len;
	const char		*why;

	why = envelope_encode(&t->mail, t->rows, t->count, &t->buffer);
	if (why != NULL) {
		log_warning("%s: cannot write the envelope: %s", t->queue_id,
		    why);
		transaction_refuse(t, 451,
		    "451 4.3.0 Error: queue file write error");
		return;
	}
	envelope->len = t->buffer.len - place;
	layout.content_offset = QUEUE_PREAMBLE;
	layout.content_length = t->content_length;
	layout.envelope_offset = QUEUE_PREAMBLE + t->content_length;
	layout.envelope_length = (int64_t)envelope->len;
	if (envelope->len <= CONTENT_MAX)
		envelope->data = pool_strndup(t->pool, t->buffer.data + place,
		    envelope->len);
	(void)put_preamble(t, &layout, envelope_crc(t->buffer.data + place,
	    envelope->len));
}

/* Leave nothing behind. */
void
write_undo(struct transaction *t)
{
	end_long(t);
	if (t->fd == -1)
		return;
	if (queue_remove(QUEUE_INCOMING, t->queue_id) == -1)
		log_warning("%s: cannot remove the queue file: %s",
		    t->queue_id, strerror(errno));
	close(t->fd);
	t->fd = -1;
}
