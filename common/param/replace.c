/*
 * replace.c - change a file of configuration while others read and change it.
 *
 * The file is locked, so that editors at once lose nothing, and replaced by a
 * rename, so that a reader sees one whole or the other. Links are followed.
 */
#include "common/param/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/stat.h>

#include "common/base/fs.h"

enum {
	FILE_LIMIT	= 16 * 1024 * 1024,
	TRIES		= 100
};

/* Is the file at the path still the one that is open? */
static bool
is_same_file(int fd, const char *path)
{
	struct stat	mine, its;

	return fstat(fd, &mine) == 0 && stat(path, &its) == 0 &&
	    mine.st_dev == its.st_dev && mine.st_ino == its.st_ino;
}

/* Open and lock what is at the path; whoever waited may have an old file. */
static int
open_locked(const char *path)
{
	int	fd, tries;

	for (tries = 0; tries < TRIES; tries++) {
		if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
			return -1;
		if (flock(fd, LOCK_EX) == 0 && is_same_file(fd, path))
			return fd;
		close(fd);
	}
	errno = EAGAIN;
	return -1;
}

/* Read, change, replace; the file is locked. */
static const char *
replace_locked(struct pool *pool, const char *path,
    const char *(*change)(void *, const char *, size_t, struct str *),
    void *context)
{
	struct str	 out;
	const char	*why;
	char		*data;
	size_t		 len;

	if ((data = fs_read_file(pool, path, FILE_LIMIT, &len)) == NULL)
		return pool_printf(pool, "%s: %s", path, strerror(errno));
	str_init(&out, pool, 2 * FILE_LIMIT);
	if ((why = change(context, data, len, &out)) != NULL)
		return why;
	if (out.is_cut)
		return pool_printf(pool, "%s: too long", path);
	if (out.len == len && memcmp(out.data, data, len) == 0)
		return NULL;
	if (fs_replace_file(path, out.data, out.len, 0644) == -1)
		return pool_printf(pool, "%s: cannot replace it: %s", path,
		    strerror(errno));
	return NULL;
}

/* Change the file behind the path. */
const char *
replace_file(struct pool *pool, const char *path,
    const char *(*change)(void *, const char *, size_t, struct str *),
    void *context)
{
	const char	*why;
	char		*file;
	int		 fd;

	if ((file = realpath(path, NULL)) == NULL ||
	    (fd = open_locked(file)) == -1) {
		why = pool_printf(pool, "%s: %s", path, strerror(errno));
		free(file);
		return why;
	}
	why = replace_locked(pool, file, change, context);
	close(fd);
	free(file);
	return why;
}
