/*
 * wal_copy.c - a message of a write-ahead log gets a queue file; and after a
 * crash: is a file that is there what the record says?
 *
 * The file is as cleanup would have made it, in incoming/, under its lock until
 * it is closed; whoever asked completes and syncs it.
 *
 * P1  What cannot be copied leaves no file.
 */
#include "common/queue/wal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/mem.h"
#include "common/queue/queue.h"

/* A new file; what a maker that is gone has not finished goes first, if the
 * scan has not seen to that. */
static int
create(const char *id)
{
	int	fd = queue_create(id);

	if (fd != -1 || errno != EEXIST || queue_reap(id) == -1)
		return fd;
	return queue_create(id);
}

/* A file with this image (P1). */
static int
make_file(const char *id, const void *image, size_t len)
{
	int	fd = create(id), saved;

	if (fd == -1 || fs_pwrite(fd, image, len, 0) == 0)
		return fd;
	saved = errno;
	(void)queue_remove(QUEUE_INCOMING, id);
	close(fd);
	errno = saved;
	return -1;
}

/* Free it, whatever there is to say. */
static int
end_with(int result, char *image)
{
	int	saved = errno;

	free(image);
	errno = saved;
	return result;
}

/* Of the record's image. */
int
wal_copy(const struct wal *w, const struct wal_record *r, bool takes_damaged)
{
	char	*image = mem_alloc((size_t)r->length);
	int	 fd = -1;

	if (wal_image(w, r, image) == 0 || (errno == EBADMSG && takes_damaged))
		fd = make_file(r->id, image, (size_t)r->length);
	return end_with(fd, image);
}

/* Of an image in memory that has a descriptor. */
int
wal_copy_memory(const char *id, int from, size_t len)
{
	char	*image = mem_alloc(len);
	ssize_t	 n = fs_pread(from, image, len, 0);
	int	 fd = -1;

	if (n == (ssize_t)len)
		fd = make_file(id, image, len);
	else if (n != -1)
		errno = EBADMSG;
	return end_with(fd, image);
}

/* The same message? What a status byte says is no matter. */
static bool
is_same(const char *image, const char *file, size_t len)
{
	struct queue_layout	l;
	uint32_t		crc;

	if (queue_preamble_decode((const unsigned char *)image, len, &l,
	    &crc) != NULL || l.envelope_offset + l.envelope_length >
	    (int64_t)len)
		return memcmp(image, file, len) == 0;
	return memcmp(image, file, (size_t)l.envelope_offset) == 0 &&
	    envelope_crc(file + l.envelope_offset,
	    (size_t)l.envelope_length) == crc;
}

/* A power cut may leave a file's name and mode, and not what is in it. Where
 * the record is damaged there is nothing better than the file. */
static int
keep_copy(const struct wal *w, const struct wal_record *r, int fd)
{
	size_t	len = (size_t)r->length;
	char	*image = mem_alloc(2 * len);
	bool	is_good;

	if (wal_image(w, r, image) == 0)
		is_good = fs_pread(fd, image + len, len, 0) == (ssize_t)len &&
		    is_same(image, image + len, len);
	else if (errno == EBADMSG)
		is_good = true;
	else
		return end_with(-1, image);	/* it cannot be read now */
	free(image);
	if (is_good)
		return fs_sync(fd);
	errno = EBADMSG;
	return -1;
}

/* The file that was found: who made it may have died before he had synced it.
 * What has left incoming/ since was whole. */
int
wal_keep_found(const struct wal *w, const struct wal_record *r,
    enum queue_dir dir)
{
	int	fd = queue_open_file(dir, r->id, O_RDONLY), result, saved;

	if (fd == -1)
		return -1;
	result = dir == QUEUE_INCOMING ? keep_copy(w, r, fd) : fs_sync(fd);
	saved = errno;
	close(fd);
	if (result == -1 && saved == EBADMSG)
		return queue_remove(dir, r->id) == 0 ? 1 : -1;
	errno = saved;
	return result;
}
