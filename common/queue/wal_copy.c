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
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/mem.h"
#include "common/queue/queue.h"

/* Into the file. */
static int
copy_image(const struct wal *w, const struct wal_record *r, int fd,
    bool takes_damaged)
{
	char	*image = mem_alloc((size_t)r->length);
	int	 result = wal_image(w, r, image), saved;

	if (result == 0 || (errno == EBADMSG && takes_damaged))
		result = fs_pwrite(fd, image, (size_t)r->length, 0);
	saved = errno;
	free(image);
	errno = saved;
	return result;
}

/* A file with the image. */
int
wal_copy(const struct wal *w, const struct wal_record *r, bool takes_damaged)
{
	int	fd = queue_create(r->id), saved;

	if (fd == -1 || copy_image(w, r, fd, takes_damaged) == 0)
		return fd;
	saved = errno;
	(void)queue_remove(QUEUE_INCOMING, r->id);
	close(fd);
	errno = saved;
	return -1;
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

/* A power cut may leave a file's name and mode, and not what is in it. */
int
wal_keep_copy(const struct wal *w, const struct wal_record *r, int fd)
{
	size_t	len = (size_t)r->length;
	char	*image = mem_alloc(2 * len);
	bool	is_good = true;		/* as good as a record that is not */

	if (wal_image(w, r, image) == 0)
		is_good = fs_pread(fd, image + len, len, 0) == (ssize_t)len &&
		    is_same(image, image + len, len);
	free(image);
	if (is_good)
		return fs_sync(fd);
	errno = EBADMSG;
	return -1;
}
