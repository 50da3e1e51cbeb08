/*
 * lock.c - locks on table files that others lock too.
 *
 * Postfix takes flock(2) locks on Linux, other programs fcntl(2) ones; we
 * take both. The fcntl kind is the one that belongs to the open file, since
 * the usual one is lost when any descriptor of the file is closed.
 */
#include "common/map/lock.h"

#include <sys/file.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>

/* Take both kinds of lock or none. */
static int
lock_both(int fd, bool is_shared, bool waits)
{
	struct flock	record = {
		.l_type = is_shared ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET
	};
	int		whole = is_shared ? LOCK_SH : LOCK_EX;

	if (flock(fd, waits ? whole : whole | LOCK_NB) == -1)
		return -1;
	if (fcntl(fd, waits ? F_OFD_SETLKW : F_OFD_SETLK, &record) == 0)
		return 0;
	if (errno == EACCES)
		errno = EAGAIN;
	map_unlock(fd);
	return -1;
}

/* A reader's lock. */
int
map_lock_shared(int fd)
{
	return lock_both(fd, true, false);
}

/* The writer's lock. */
int
map_lock_exclusive(int fd)
{
	return lock_both(fd, false, true);
}

/* Give both back; errno stays. */
void
map_unlock(int fd)
{
	struct flock	record = { .l_type = F_UNLCK, .l_whence = SEEK_SET };
	int		error = errno;

	(void)fcntl(fd, F_OFD_SETLK, &record);
	(void)flock(fd, LOCK_UN);
	errno = error;
}
