/*
 * original.c - the message that a report is about.
 *
 * Called by bounce.c. Of the message a report has the header at least, so far
 * as it can be read.
 *
 * P1  A message that the disk has damaged is reported all the same: its sender
 *     is not left without an answer because of a block that never comes back.
 */
#include "qmgr/original.h"

#include <errno.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/mail/chars.h"

enum {
	HEADER_MAX = 64 * 1024,
	PIECE = 32 * 1024
};

/* Does what is copied have other bytes than ASCII? The envelope says what was
 * promised, not what is there. 1, 0, or -1 with errno. */
static WAITS int
is_copy_8bit(const struct report *r, struct pool *pool)
{
	char	*piece = pool_alloc(pool, PIECE);
	int64_t	 offset = r->about->content_offset, left = r->copy_length;
	bool	 is_wide = false;
	ssize_t	 n;

	/* To the end: all of it will have to be read. */
	for (; left > 0; left -= n, offset += n) {
		n = fs_pread(r->about->message, piece,
		    left < PIECE ? (size_t)left : PIECE, offset);
		if (n == 0)
			errno = EIO;
		if (n <= 0)
			return -1;
		is_wide = is_wide || has_8bit(piece, (size_t)n);
		fiber_breathe();
	}
	return is_wide;
}

/* The beginning of the message into `start`: its length, or -1. */
static ssize_t
read_start(struct report *r, char *start)
{
	const struct bounce	*b = r->about;
	ssize_t			 n;

	n = fs_pread(b->message, start, b->content_length < HEADER_MAX ?
	    (size_t)b->content_length : HEADER_MAX, b->content_offset);
	if (n != -1 || errno != EIO)
		return n;
	r->is_damaged = true;
	return 0;
}

/* Look at it. */
int
original_look(struct report *r, struct pool *pool, int64_t size_limit)
{
	char	*start = pool_alloc(pool, HEADER_MAX);
	ssize_t	 n;
	int	 is_wide;

	if ((n = read_start(r, start)) == -1)
		return -1;
	report_learn(r, pool, start, (size_t)n);
	report_choose(r, size_limit);
	if (!r->is_damaged && (is_wide = is_copy_8bit(r, pool)) != -1) {
		r->is_copy_8bit = is_wide == 1;
		return 0;
	}
	if (!r->is_damaged && errno != EIO)
		return -1;
	log_error("%s: the message cannot be read: %s; its sender is told so",
	    r->about->queue_id, strerror(EIO));
	r->is_damaged = r->is_headers_only = true;
	r->copy_length = (int64_t)r->header_length;
	r->is_copy_8bit = has_8bit(start, r->header_length);
	return 0;
}
