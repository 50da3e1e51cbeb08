/*
 * wal_copy.c - a message of a write-ahead log gets a queue file.
 *
 * The file is as cleanup would have made it, in incoming/, under its lock until
 * it is closed; whoever asked completes and syncs it.
 *
 * P1  What cannot be copied leaves no file.
 */
#include "common/queue/wal.h"

#include <errno.h>
#include <stdlib.h>
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
