/*
 * dirs.c - what a name in a directory of the queue means.
 *
 * A message has one name, its id, in one of the directories. deferred/ has
 * 256 directories below it ("3f"), told by the digits of the id that change
 * fastest, made when first needed; the others are flat, and the walk accepts
 * either form anywhere.
 *
 * recovery-1  While a file is written its writer holds a lock on it.
 *             Unfinished and unlocked means abandoned, however young or old it
 *             is.
 * recovery-2  queue_reap() cannot take a file away unnoticed from a writer
 *             that has just created it: it removes a name only while it holds
 *             the lock of the file, and the writer looks, once it has the
 *             lock, whether the file still has its name, and creates it again
 *             if it has not.
 * rename-1  A move never replaces another message: it fails with EEXIST.
 * P1  A message is ours when its mode says complete (owner's execute) and that
 *     mode is on stable storage. Who commits creates the final name, writes,
 *     sets the bit and syncs the file once; the name goes to the disk with the
 *     file's own transaction (ext4, XFS, btrfs), which a temporary name
 *     renamed after the sync would not.
 * P2  Every name handed out by the walk, or turned into a path, is an id:
 *     letters and digits.
 */
#include "common/queue/queue.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/fs.h"

enum {
	NAME_SIZE = QUEUE_ID_MAX + 8,		/* "3f/ID" */
	CREATE_ATTEMPTS = 50
};

static const char *const	names[QUEUE_DIRS] = {
	"maildrop", "incoming", "deferred", "hold", "corrupt"
};
static int			fds[QUEUE_DIRS] = { -1, -1, -1, -1, -1 };

/* Open the directories that this process uses. */
int
queue_open(int queue_fd, unsigned which)
{
	int	dir, fd;

	for (dir = 0; dir < QUEUE_DIRS; dir++) {
		if ((which & 1u << dir) == 0)
			continue;
		if ((fd = fs_open_directory(queue_fd, names[dir])) == -1)
			return -1;
		if (fds[dir] != -1)
			close(fds[dir]);
		fds[dir] = fd;
	}
	return 0;
}

/* "incoming" */
const char *
queue_dir_name(enum queue_dir dir)
{
	return names[dir];
}

/* The open directory. */
int
queue_dir_fd(enum queue_dir dir)
{
	CLAIM(fds[dir] != -1);
	return fds[dir];
}

/* The name inside a directory, "ID" or "3f/ID". */
static char *
name_of(char to[NAME_SIZE], enum queue_dir dir, const char *id)
{
	char	hash[3];

	CLAIM(queue_id_is_valid(id));
	if (dir == QUEUE_DEFERRED)
		snprintf(to, NAME_SIZE, "%s/%s", queue_id_hash(hash, id), id);
	else
		snprintf(to, NAME_SIZE, "%s", id);
	return to;
}

/* The name relative to the queue directory. */
char *
queue_path(struct pool *pool, enum queue_dir dir, const char *id)
{
	char	name[NAME_SIZE];

	return pool_printf(pool, "%s/%s", names[dir], name_of(name, dir, id));
}

/* Take the lock of the open file, which ends with its last descriptor. */
int
queue_lock(int fd)
{
	struct stat	st;

	if (flock(fd, LOCK_EX | LOCK_NB) == -1 || fstat(fd, &st) == -1)
		return -1;
	if (st.st_nlink == 0) {
		errno = ENOENT;
		return -1;
	}
	return 0;
}

/* Wait for the lock, which nobody but queue_reap() may have, and not for
 * long; ENOENT when it was the one who removed the file. */
static int
lock_new(int fd)
{
	struct stat	st;

	while (flock(fd, LOCK_EX) == -1)
		if (errno != EINTR)
			return -1;
	if (fstat(fd, &st) == -1)
		return -1;
	if (st.st_nlink > 0)
		return 0;
	errno = ENOENT;
	return -1;
}

/* Create and lock a file in incoming/; again when it was taken for one that
 * its writer had left (recovery-2). */
int
queue_create(const char *id)
{
	char	name[NAME_SIZE];
	int	attempt, fd, saved;

	name_of(name, QUEUE_INCOMING, id);
	for (attempt = 0; attempt < CREATE_ATTEMPTS; attempt++) {
		fd = openat(queue_dir_fd(QUEUE_INCOMING), name, O_RDWR |
		    O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd == -1)
			return -1;
		if (lock_new(fd) == 0)
			return fd;
		saved = errno;
		if (saved != ENOENT)
			unlinkat(queue_dir_fd(QUEUE_INCOMING), name, 0);
		close(fd);
		errno = saved;
		if (saved != ENOENT)
			return -1;
	}
	return -1;
}

/* Open a message; links and what is no file are refused. */
int
queue_open_file(enum queue_dir dir, const char *id, int flags)
{
	char		name[NAME_SIZE];
	struct stat	st;
	int		fd;

	fd = openat(queue_dir_fd(dir), name_of(name, dir, id),
	    flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	errno = EINVAL;
	return -1;
}

/* Remove what its writer has left behind. */
int
queue_reap(const char *id)
{
	struct stat	st;
	int		fd, result = 0;

	if ((fd = queue_open_file(QUEUE_INCOMING, id, O_RDONLY)) == -1)
		return errno == ENOENT ? 0 : -1;
	if (queue_lock(fd) == 0 && fstat(fd, &st) == 0 &&
	    !queue_is_complete(st.st_mode))
		result = queue_remove(QUEUE_INCOMING, id) == 0 ? 1 : -1;
	close(fd);
	return result;
}

/* Make the hash directory for a name, "3f/ID". */
static int
make_hash_directory(enum queue_dir dir, const char *name)
{
	const char	*slash = strchr(name, '/');
	char		 hash[3];

	if (slash == NULL) {
		errno = ENOENT;
		return -1;
	}
	snprintf(hash, sizeof(hash), "%.2s", name);
	if (mkdirat(queue_dir_fd(dir), hash, 0700) == -1 && errno != EEXIST)
		return -1;
	return 0;
}

/* Move a message to another directory. */
int
queue_move(const char *id, enum queue_dir from, enum queue_dir to)
{
	char	old[NAME_SIZE], new[NAME_SIZE];

	name_of(old, from, id);
	name_of(new, to, id);
	if (fs_rename_new(queue_dir_fd(from), old, queue_dir_fd(to), new) == 0)
		return 0;
	if (errno != ENOENT || make_hash_directory(to, new) == -1)
		return -1;
	return fs_rename_new(queue_dir_fd(from), old, queue_dir_fd(to), new);
}

/* Remove a message. */
int
queue_remove(enum queue_dir dir, const char *id)
{
	char	name[NAME_SIZE];

	return unlinkat(queue_dir_fd(dir), name_of(name, dir, id), 0);
}

/* Does the mode say that the message is complete? */
bool
queue_is_complete(mode_t mode)
{
	return (mode & S_IXUSR) != 0;
}

/* Say it. */
int
queue_set_complete(int fd)
{
	return fchmod(fd, 0700);
}

/* Is it to be returned? */
bool
queue_is_expired(mode_t mode)
{
	return (mode & S_IXGRP) != 0;
}

/* Add a mark, unless it is not complete (ENOENT: it is no message yet). */
static int
add_mark(int fd, mode_t mark)
{
	struct stat	st;

	if (fstat(fd, &st) == -1)
		return -1;
	if (queue_is_complete(st.st_mode))
		return fchmod(fd, (st.st_mode & 0777) | mark);
	errno = ENOENT;
	return -1;
}

/* Mark it. */
int
queue_set_expired(int fd)
{
	return add_mark(fd, S_IXGRP);
}

/* Is it to pass cleanup again? */
bool
queue_is_renewed(mode_t mode)
{
	return (mode & S_IXOTH) != 0;
}

/* Mark it. */
int
queue_set_renewed(int fd)
{
	return add_mark(fd, S_IXOTH);
}

/* Set the time of the next attempt. */
int
queue_set_time(enum queue_dir dir, const char *id, int64_t when_us)
{
	char		name[NAME_SIZE];
	struct timespec	times[2] = {
		{ .tv_nsec = UTIME_OMIT },
		{ .tv_sec = when_us / 1000000,
		  .tv_nsec = when_us % 1000000 * 1000 }
	};

	return utimensat(queue_dir_fd(dir), name_of(name, dir, id), times,
	    AT_SYMLINK_NOFOLLOW);
}

/* A walk has the directory open and at most one directory below it. */
struct queue_walk {
	DIR	*top;
	DIR	*below;
};

/* A stream over a directory of its own position; NULL with errno. */
static DIR *
open_stream(int at, const char *name)
{
	DIR	*stream;
	int	 fd;

	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1)
		return NULL;
	if ((stream = fdopendir(fd)) == NULL)
		close(fd);
	return stream;
}

/* Begin a walk; NULL with errno. */
struct queue_walk *
queue_walk_start(enum queue_dir dir)
{
	struct queue_walk	*walk;
	DIR			*top;

	if ((top = open_stream(queue_dir_fd(dir), ".")) == NULL)
		return NULL;
	walk = mem_alloc(sizeof(*walk));
	walk->top = top;
	walk->below = NULL;
	return walk;
}

/* The next entry of the stream that is being read: 1, 0 at its end, -1. */
static int
next_entry(DIR *stream, struct dirent **entry)
{
	errno = 0;
	if ((*entry = readdir(stream)) == NULL)
		return errno == 0 ? 0 : -1;
	return 1;
}

/* Step out of the lower directory. */
static void
leave_below(struct queue_walk *walk)
{
	closedir(walk->below);
	walk->below = NULL;
}

/* One entry looked at: 1 a message, 0 something else or gone, -1. */
static int
look_at(struct queue_walk *walk, const char *name, struct stat *st)
{
	DIR	*stream = walk->below != NULL ? walk->below : walk->top;

	if (!queue_id_is_valid(name))
		return 0;
	if (fstatat(dirfd(stream), name, st, AT_SYMLINK_NOFOLLOW) == -1)
		return errno == ENOENT ? 0 : -1;
	if (S_ISREG(st->st_mode))
		return 1;
	if (walk->below == NULL && S_ISDIR(st->st_mode) && queue_is_hash(name))
		walk->below = open_stream(dirfd(walk->top), name);
	return 0;
}

/* The next entry, of the lower directory while there is one. */
static int
step(struct queue_walk *walk, struct dirent **entry)
{
	int	result;

	while ((result = next_entry(walk->below != NULL ? walk->below :
	    walk->top, entry)) == 0 && walk->below != NULL)
		leave_below(walk);
	return result;
}

/* The next message; what is no message is passed over. */
int
queue_walk_next(struct queue_walk *walk, char id[QUEUE_ID_MAX + 1],
    mode_t *mode, int64_t *mtime_us, int64_t *size)
{
	struct dirent	*entry;
	struct stat	 st;
	int		 result;

	do {
		if ((result = step(walk, &entry)) <= 0)
			return result;
	} while ((result = look_at(walk, entry->d_name, &st)) == 0);
	if (result == -1)
		return -1;
	strlcpy(id, entry->d_name, QUEUE_ID_MAX + 1);
	*mode = st.st_mode;
	*mtime_us = (int64_t)st.st_mtim.tv_sec * 1000000 +
	    st.st_mtim.tv_nsec / 1000;
	*size = st.st_size;
	return 1;
}

/* The next name. A file is not looked at if its directory says that it is
 * one: of a million that takes a second instead of half a minute. */
int
queue_walk_name(struct queue_walk *walk, char id[QUEUE_ID_MAX + 1])
{
	struct dirent	*entry;
	struct stat	 st;
	int		 result;

	do {
		if ((result = step(walk, &entry)) <= 0)
			return result;
		result = entry->d_type == DT_REG ?
		    queue_id_is_valid(entry->d_name) :
		    look_at(walk, entry->d_name, &st);
	} while (result == 0);
	if (result == 1)
		strlcpy(id, entry->d_name, QUEUE_ID_MAX + 1);
	return result;
}

/* End a walk. */
void
queue_walk_end(struct queue_walk *walk)
{
	if (walk == NULL)
		return;
	if (walk->below != NULL)
		leave_below(walk);
	closedir(walk->top);
	free(walk);
}
