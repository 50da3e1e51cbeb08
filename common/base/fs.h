#ifndef BASE_FS_H
#define BASE_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "common/base/mem.h"

/*
 * Files with the errors told. Calls return -1 with errno as the kernel set
 * it. EINTR and short writes are looped over; a failed sync is never retried
 * (the second one would lie) and never ignored.
 */
int	 fs_write(int fd, const void *data, size_t len);	/* all of it */
int	 fs_pwrite(int fd, const void *data, size_t len, int64_t offset);
int	 fs_sync(int fd);
/* One write, which may be short, of data that are on stable storage then. */
ssize_t	 fs_pwritev_synced(int fd, const struct iovec *, int count,
	    int64_t offset);

/* Bytes read; fewer than `len` means that the file ends there. */
ssize_t	 fs_pread(int fd, void *data, size_t len, int64_t offset);

/* A whole regular file of at most `limit` bytes (EFBIG), NUL added. */
char	*fs_read_file(struct pool *, const char *path, size_t limit,
	    size_t *len);
char	*fs_read_fd(struct pool *, int fd, size_t limit, size_t *len);

/*
 * Write `path` anew: a temporary file beside it, synced, renamed over it, the
 * directory synced. Mode, and owner when possible, of an existing file stay;
 * a new file gets exactly the mode told. Through a symbolic link the file
 * that it names is replaced.
 */
int	 fs_replace_file(const char *path, const void *data, size_t len,
	    mode_t mode_if_new);

/* Rename, but never over another name: EEXIST. */
int	 fs_rename_new(int from_at, const char *from, int to_at,
	    const char *to);

/*
 * A file in memory without a place in any directory, that holds this and that
 * nobody can change or, since Linux 6.3, execute; /proc shows it by `name`.
 * Its position is behind the last byte. EMFILE, ENFILE, ENOMEM, or what
 * fs_write() says (EFBIG beyond the limit of the process).
 */
int	 fs_memory(const char *name, const void *data, size_t len);

/* Directory descriptor (O_PATH is not used, so that it can be synced). */
int	 fs_open_directory(int at, const char *path);

/*
 * Create a directory, with exactly this mode and owner (-1: ours), if it is
 * missing; an existing one is fine and left as it is.
 */
int	 fs_make_directory(const char *path, mode_t, uid_t, gid_t);

/* Non-blocking, close-on-exec. */
int	 fs_set_nonblocking(int fd, bool on);
int	 fs_set_cloexec(int fd, bool on);

/* A command that was started with standard descriptors closed gets /dev/null
 * there, so that no file of its own takes their numbers. First in main(). */
void	 fs_open_standard(void);

/* Free bytes and files of the file system that holds fd, or, with AT_FDCWD, the
 * working directory. Nothing is free where nobody may write: -1, EROFS. */
int	 fs_free_space(int fd, int64_t *bytes, int64_t *inodes);

#endif
