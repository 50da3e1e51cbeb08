/*
 * fs.c - files with the errors told.
 *
 * P1  fs_replace_file() leaves the old file or the new one, never a part of
 *     either and never nothing, whatever moment the power fails at.
 * P2  No sync is tried twice: after a failure the kernel has forgotten the
 *     dirty pages, and a second call would report a success that is none.
 */
#include "common/base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
	SIZE_UNKNOWN = 512,		/* for a file that says it is empty */
	NOEXEC_SEAL = 0x8,		/* MFD_NOEXEC_SEAL */
	SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE
};

/* Close on the way out of a failure, whose errno is the one to tell. */
static void
close_quietly(int fd)
{
	int	saved = errno;

	close(fd);
	errno = saved;
}

/* Write everything at the descriptor's own position. */
int
fs_write(int fd, const void *data, size_t len)
{
	const char	*at = data;
	ssize_t		 n;

	while (len > 0) {
		if ((n = write(fd, at, len)) == -1 && errno == EINTR)
			continue;
		if (n == 0)
			errno = ENOSPC;
		if (n <= 0)
			return -1;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Write everything at an offset. */
int
fs_pwrite(int fd, const void *data, size_t len, int64_t offset)
{
	const char	*at = data;
	ssize_t		 n;

	while (len > 0) {
		if ((n = pwrite(fd, at, len, offset)) == -1 && errno == EINTR)
			continue;
		if (n == 0)
			errno = ENOSPC;
		if (n <= 0)
			return -1;
		at += n;
		len -= (size_t)n;
		offset += n;
	}
	return 0;
}

/* Read until `len` bytes are there or the file ends. */
ssize_t
fs_pread(int fd, void *data, size_t len, int64_t offset)
{
	char	*at = data;
	size_t	 have = 0;
	ssize_t	 n;

	while (have < len) {
		n = pread(fd, at + have, len - have, offset + (int64_t)have);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return (ssize_t)have;
}

/* Bring a file or directory to stable storage. */
int
fs_sync(int fd)
{
	return fsync(fd);
}

/* Write and sync, once. Where that is not known in one call, the kernel says so
 * before it has written anything. */
ssize_t
fs_pwritev_synced(int fd, const struct iovec *vectors, int count,
    int64_t offset)
{
	ssize_t	n = pwritev2(fd, vectors, count, offset, RWF_DSYNC);

	if (n != -1 || (errno != EOPNOTSUPP && errno != ENOSYS))
		return n;
	n = pwritev(fd, vectors, count, offset);
	return n != -1 && fs_sync(fd) == -1 ? -1 : n;
}

/* Is it a regular file of at most `limit` bytes? Else say why not. */
static int
check_regular(int fd, size_t limit, struct stat *st)
{
	if (fstat(fd, st) == -1)
		return -1;
	if (S_ISDIR(st->st_mode))
		errno = EISDIR;
	else if (!S_ISREG(st->st_mode))
		errno = EINVAL;
	else if ((uint64_t)st->st_size > limit)
		errno = EFBIG;
	else
		return 0;
	return -1;
}

/*
 * The whole of an open regular file. The size that fstat tells is a hint
 * only: files of /proc say 0, and others may grow while we read. Settings of
 * the kernel in /proc/sys are given in one read or not at all.
 */
char *
fs_read_fd(struct pool *pool, int fd, size_t limit, size_t *len)
{
	struct stat	 st;
	char		*data;
	size_t		 size, have = 0;
	ssize_t		 n;

	if (check_regular(fd, limit, &st) == -1)
		return NULL;
	size = (size_t)st.st_size + 2;	/* NUL, and a byte to see the end */
	if (st.st_size == 0)
		size = SIZE_UNKNOWN;
	data = pool_alloc(pool, size);
	for (;;) {
		n = fs_pread(fd, data + have, size - 1 - have, (int64_t)have);
		if (n == -1)
			return NULL;
		have += (size_t)n;
		if (have > limit) {
			errno = EFBIG;
			return NULL;
		}
		if (have < size - 1)
			break;
		data = pool_resize(pool, data, size, size * 2);
		size *= 2;
	}
	data[have] = '\0';
	if (len != NULL)
		*len = have;
	return data;
}

/* The whole of a named file; a FIFO or device in its place cannot hold us. */
char *
fs_read_file(struct pool *pool, const char *path, size_t limit, size_t *len)
{
	char	*data;
	int	 fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd == -1)
		return NULL;
	data = fs_read_fd(pool, fd, limit, len);
	close_quietly(fd);
	return data;
}

/*
 * Mode, and owner when we may, of the file that is replaced. Without the
 * owner the bits that lend his identity would lend ours.
 */
static int
take_attributes(int fd, const char *path, mode_t mode_if_new)
{
	struct stat	st;
	mode_t		mode;

	if (stat(path, &st) == -1)
		return errno == ENOENT ? fchmod(fd, mode_if_new) : -1;
	mode = st.st_mode & 07777;
	if (fchown(fd, st.st_uid, st.st_gid) == -1) {
		if (errno != EPERM && errno != EINVAL)
			return -1;
		mode &= 0777;
	}
	return fchmod(fd, mode);
}

/* Sync the directory that holds `path`. */
static int
sync_parent(char *path)
{
	char	*slash = strrchr(path, '/');
	int	 fd, result;

	if (slash == path)
		slash[1] = '\0';
	else if (slash != NULL)
		*slash = '\0';
	if ((fd = fs_open_directory(AT_FDCWD, slash ? path : ".")) == -1)
		return -1;
	result = fs_sync(fd);
	close_quietly(fd);
	return result;
}

/* Fill the temporary file and put it in the place of `path`. */
static int
write_and_rename(int fd, const char *temporary, const char *path,
    const void *data, size_t len, mode_t mode_if_new)
{
	int	result;

	if (fs_write(fd, data, len) == -1 ||
	    take_attributes(fd, path, mode_if_new) == -1 || fs_sync(fd) == -1)
		result = -1;
	else
		result = rename(temporary, path);
	close_quietly(fd);
	return result;
}

/* Replace a file; a symbolic link stays, and what it points to is replaced. */
int
fs_replace_file(const char *path, const void *data, size_t len,
    mode_t mode_if_new)
{
	char	*real, *temporary = NULL;
	int	 fd, saved, result = -1;

	if ((real = realpath(path, NULL)) == NULL && errno == ENOENT)
		real = strdup(path);
	if (real == NULL || asprintf(&temporary, "%s.XXXXXX", real) == -1) {
		free(real);
		return -1;
	}
	if ((fd = mkostemp(temporary, O_CLOEXEC)) == -1)
		goto out;
	result = write_and_rename(fd, temporary, real, data, len, mode_if_new);
	if (result == -1) {
		saved = errno;
		unlink(temporary);
		errno = saved;
		goto out;
	}
	result = sync_parent(real);
out:
	saved = errno;
	free(temporary);
	free(real);
	errno = saved;
	return result;
}

/* Rename without replacing. Where the file system cannot do that, look first:
 * names that are made to be like no other do not meet by chance. */
int
fs_rename_new(int from_at, const char *from, int to_at, const char *to)
{
	struct stat	st;

	if (renameat2(from_at, from, to_at, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (fstatat(to_at, to, &st, AT_SYMLINK_NOFOLLOW) == 0)
		errno = EEXIST;
	else if (errno == ENOENT)
		return renameat(from_at, from, to_at, to);
	return -1;
}

/* New memory that nobody can execute. Kernels before 6.3 do not know how to
 * say that; they are asked once. */
static int
create_memory(const char *name)
{
	static atomic_uint	known = MFD_CLOEXEC | MFD_ALLOW_SEALING |
				    NOEXEC_SEAL;
	unsigned		flags = known;
	int			fd = memfd_create(name, flags);

	if (fd != -1 || errno != EINVAL || (flags & NOEXEC_SEAL) == 0)
		return fd;
	flags &= ~(unsigned)NOEXEC_SEAL;
	known = flags;
	return memfd_create(name, flags);
}

/* Sealed memory with a content. */
int
fs_memory(const char *name, const void *data, size_t len)
{
	int	fd = create_memory(name);

	if (fd == -1)
		return -1;
	if (fs_write(fd, data, len) == 0 && fcntl(fd, F_ADD_SEALS, SEALS) == 0)
		return fd;
	close_quietly(fd);
	return -1;
}

/* Open a directory, to sync it or to open names relative to it. */
int
fs_open_directory(int at, const char *path)
{
	return openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Owner and mode for a directory that we made just now. */
static int
dress_directory(const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	int	fd, result = -1;

	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return -1;
	if (fchown(fd, uid, gid) == 0 && fchmod(fd, mode) == 0)
		result = 0;
	close_quietly(fd);
	return result;
}

/* Make a directory, or be content with the one that is there. */
int
fs_make_directory(const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	struct stat	st;
	int		saved;

	if (mkdir(path, 0700) == 0) {
		if (dress_directory(path, mode, uid, gid) == 0)
			return 0;
		saved = errno;
		rmdir(path);
		errno = saved;
		return -1;
	}
	if (errno != EEXIST || stat(path, &st) == -1)
		return -1;
	if (!S_ISDIR(st.st_mode)) {
		errno = ENOTDIR;
		return -1;
	}
	return 0;
}

/* Set or clear one flag of the open file. */
int
fs_set_nonblocking(int fd, bool on)
{
	int	flags = fcntl(fd, F_GETFL);

	if (flags == -1)
		return -1;
	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) == -1 ? -1 : 0;
}

/* Set or clear the descriptor's one flag. */
int
fs_set_cloexec(int fd, bool on)
{
	int	flags = fcntl(fd, F_GETFD);

	if (flags == -1)
		return -1;
	flags = on ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC;
	return fcntl(fd, F_SETFD, flags) == -1 ? -1 : 0;
}

/* Open what is missing of descriptors 0 to 2. */
void
fs_open_standard(void)
{
	int	fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

/* A count of the kernel's as one of ours. */
static int64_t
bounded(uint64_t count, uint64_t unit)
{
	uint64_t	total;

	if (__builtin_mul_overflow(count, unit, &total) || total > INT64_MAX)
		return INT64_MAX;
	return (int64_t)total;
}

/* What an ordinary user may still take. Some file systems count no files. */
int
fs_free_space(int fd, int64_t *bytes, int64_t *inodes)
{
	struct statvfs	fs;

	if ((fd == AT_FDCWD ? statvfs(".", &fs) : fstatvfs(fd, &fs)) == -1)
		return -1;
	if (fs.f_flag & ST_RDONLY) {
		errno = EROFS;
		return -1;
	}
	*bytes = bounded(fs.f_bavail, fs.f_frsize);
	*inodes = fs.f_files == 0 ? INT64_MAX : bounded(fs.f_favail, 1);
	return 0;
}
