/*
 * log.h - what the tests of write-ahead logs do with one.
 */
#ifndef T_COMMON_QUEUE_LOG_H
#define T_COMMON_QUEUE_LOG_H

#include <stdlib.h>

#include "common/base/fs.h"
#include "common/base/mem.h"
#include "common/queue/wal.h"

#include "t/common/queue/queue.h"

enum {
	SMALL = 256 * 1024,		/* a log */
	LENGTH = 300			/* an image */
};

/* A log that was begun. */
static inline struct wal
begin(void)
{
	struct wal	w;

	assert_int_equal(wal_create(&w, 0, SMALL), 0);
	assert_int_equal(wal_begin(&w), 0);
	return w;
}

/* The end of it. */
static inline void
end(struct wal *w)
{
	assert_int_equal(wal_remove(w->number), 0);
	wal_close(w);
}

/* An image of this length: every byte another one than its neighbour. */
static inline unsigned char *
image_of(size_t len)
{
	unsigned char	*image = mem_alloc(len + 1);
	size_t		 i;

	for (i = 0; i < len; i++)
		image[i] = (unsigned char)(i * 7 + len);
	return image;
}

/* A record there; its id is in `id`. Where the next one is. */
static inline int64_t
put(const struct wal *w, int64_t at, uint32_t batch, size_t len,
    char id[QUEUE_ID_MAX + 1])
{
	unsigned char	 head[WAL_RECORD], *image = image_of(len);
	struct iovec	 v[] = { { head, sizeof(head) }, { image, len } };

	wal_encode(w, head, batch, queue_id_new(id, 1), image, len);
	assert_int_equal(wal_write(w, v, 2, at), 0);
	free(image);
	return at + wal_room(len);
}

/* Other bits there, or the old ones again. */
static inline void
flip(const struct wal *w, int64_t at, unsigned bits)
{
	unsigned char	byte;

	assert_int_equal(fs_pread(w->fd, &byte, 1, at), 1);
	byte ^= (unsigned char)bits;
	assert_int_equal(fs_pwrite(w->fd, &byte, 1, at), 0);
}

#endif
