/*
 * wal.c - write-ahead logs: many messages, one sync.
 *
 * A file for each message costs an inode, a name and a sync of its own, and
 * most messages are gone a moment later. So while much arrives, cleanup appends
 * small ones to a log in incoming/, several with one sync, and answers 250.
 * What is not delivered after a few seconds gets a file of its own from qmgr;
 * everything else there is to a message (deferred/, hold/, its journal) is
 * about files, as ever.
 *
 * The logs are incoming/wal.0 to wal.63, each written by one process, which has
 * its lock, and used again when everything in it is done with. It is as long as
 * it will ever be from the beginning, so that a sync writes nothing but data.
 *
 *	    0  8 bytes	"PRWAL\0\0\n"
 *	    8  uint32	version, 1
 *	   12  uint32	0
 *	   16  int64	size of the file
 *	   24  uint64	generation: a random number each time it is used again
 *	   32  uint32	CRC-32C of the 32 bytes before
 *	 1024  uint64	the generation that is sealed: no more will come
 *	 2048  uint64	the generation that is released: all is done with
 *	 3072  20 bytes	how far it is committed: wal_note.c
 *	 4096  marks	a byte for each 256 of the file: 0, or what stands there
 *			is done with
 *	   ..  records	each at a multiple of 256, one behind the other
 *
 * A record:
 *
 *	    0  uint32	"PRwr"
 *	    4  uint32	CRC-32C of the 56 bytes behind this
 *	    8  uint64	generation
 *	   16  uint32	bytes of the image
 *	   20  uint32	CRC-32C of the image
 *	   24  36 bytes	queue id, NUL-padded
 *	   60  uint32	number of the write that it came with
 *	   64  image	what a queue file holds: file.c
 *
 * The first place without a record of this generation is the end. What is seen
 * behind it, or in place of a damaged record, are bytes that somebody has
 * mailed to us: they may look like a record, but for the generation, which
 * nobody is told.
 *
 * wal-1  A record is committed when wal_write() has said 0; there is one write
 *        at a time in each log, so that no error is told to somebody else.
 * wal-2  A log is begun again only when it was released. First its new
 *        generation reaches stable storage, so that no crash brings what was
 *        done with back; then its marks are wiped, likewise, before the first
 *        record is written.
 * wal-3  Nobody gets a message that is not what was committed: of a record
 *        every byte is covered by a checksum. A mark has six bits: no single
 *        one that flips ends a message.
 */
#include "common/queue/wal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/queue/numbers.h"
#include "common/queue/queue.h"

enum {
	VERSION = 1, HEAD = 40,
	AT_VERSION = 8, AT_SIZE = 16, AT_GENERATION = 24, AT_CRC = 32,
	AT_SEALED = 1024, AT_RELEASED = 2048, AT_MARKS = 4096,
	PAGE = 4096,
	MARK = 0xb7, SOME_MARKS = 256,
	RECORD_CRC = 4, RECORD_BODY = 8, RECORD_GENERATION = 8,
	RECORD_LENGTH = 16, RECORD_IMAGE_CRC = 20, RECORD_ID = 24,
	RECORD_BATCH = 60,
	SMALLEST = 256 * 1024,
	PIECE = 64 * 1024,
	NAME_SIZE = 16
};

static const char	magic[8] = "PRWAL\0\0\n";
static const char	record_magic[4] = { 'P', 'R', 'w', 'r' };

/* Up to a multiple. */
static int64_t
round_up(int64_t n, int64_t to)
{
	return (n + to - 1) / to * to;
}

/* --- files --------------------------------------------------------------- */

/* "wal.7": no id, so that nobody takes it for a message. */
static void
name_of(char to[NAME_SIZE], unsigned number)
{
	snprintf(to, NAME_SIZE, "wal.%u", number);
}

/* Is it one? */
bool
wal_is_name(const char *name)
{
	char		own[NAME_SIZE];
	unsigned	number;

	for (number = 0; number < WAL_FILES; number++) {
		name_of(own, number);
		if (strcmp(name, own) == 0)
			return true;
	}
	return false;
}

/* An open file. */
static int
open_file(struct wal *w, unsigned number, int flags)
{
	char	name[NAME_SIZE];

	name_of(name, number);
	*w = (struct wal){ .number = number };
	w->fd = openat(queue_dir_fd(QUEUE_INCOMING), name, flags | O_RDWR |
	    O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
	return w->fd == -1 ? -1 : 0;
}

/* Where records begin in a log of this size. */
static int64_t
records_of(int64_t size)
{
	return round_up(AT_MARKS + size / WAL_ALIGN, PAGE);
}

/* What its head says. */
int
wal_refresh(struct wal *w)
{
	unsigned char	head[HEAD];
	struct stat	st;

	if (fs_pread(w->fd, head, sizeof(head), 0) != (ssize_t)sizeof(head) ||
	    memcmp(head, magic, sizeof(magic)) != 0 ||
	    get32(head + AT_CRC) != queue_crc(0, head, AT_CRC) ||
	    get32(head + AT_VERSION) != VERSION || fstat(w->fd, &st) == -1 ||
	    st.st_size != (int64_t)get64(head + AT_SIZE) ||
	    st.st_size < SMALLEST) {
		errno = EINVAL;
		return -1;
	}
	w->size = st.st_size;
	w->records = records_of(w->size);
	w->generation = get64(head + AT_GENERATION);
	return 0;
}

/* Did its maker die before he wrote a head? */
static bool
has_no_head(const struct wal *w)
{
	static const unsigned char	zeros[HEAD];
	unsigned char			head[HEAD] = { 0 };

	return fs_pread(w->fd, head, sizeof(head), 0) >= 0 &&
	    memcmp(head, zeros, sizeof(head)) == 0;
}

/* Open one. */
int
wal_open(struct wal *w, unsigned number)
{
	struct stat	st;
	int		error;

	if (open_file(w, number, 0) == -1)
		return -1;
	if (fstat(w->fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    wal_refresh(w) == 0)
		return 0;
	error = has_no_head(w) ? ENODATA : EINVAL;
	wal_close(w);
	errno = error;
	return -1;
}

/* Write zeros everywhere: the file system finds its blocks now. */
static int
fill(int fd, int64_t at, int64_t end)
{
	static const char	zeros[PIECE];

	for (; at < end; at += PIECE)
		if (fs_pwrite(fd, zeros, end - at < PIECE ?
		    (size_t)(end - at) : PIECE, at) == -1)
			return -1;
	return 0;
}

/* Write the head. */
static int
write_head(const struct wal *w)
{
	unsigned char	head[HEAD] = { 0 };

	memcpy(head, magic, sizeof(magic));
	put32(head + AT_VERSION, VERSION);
	put64(head + AT_SIZE, (uint64_t)w->size);
	put64(head + AT_GENERATION, w->generation);
	put32(head + AT_CRC, queue_crc(0, head, AT_CRC));
	return fs_pwrite(w->fd, head, sizeof(head), 0);
}

/* A new one. A crash before its head is there leaves what is no log. */
int
wal_create(struct wal *w, unsigned number, int64_t size)
{
	bool	is_ours;
	int	saved;

	if (open_file(w, number, O_CREAT | O_EXCL) == -1)
		return -1;
	w->size = round_up(size < SMALLEST ? SMALLEST : size, PAGE);
	w->records = records_of(w->size);
	is_ours = wal_lock(w) == 0;
	if (is_ours && fill(w->fd, 0, w->size) == 0 &&
	    fs_sync(w->fd) == 0 && write_head(w) == 0 && fs_sync(w->fd) == 0)
		return 0;
	saved = errno;
	if (is_ours)			/* else the name may be another's */
		(void)wal_remove(number);
	wal_close(w);
	errno = saved;
	return -1;
}

/* Remove what the maker of a log has left without a head: 0, or -1 when he
 * lives, or there is one. */
int
wal_reap(unsigned number)
{
	struct wal	w;
	int		result = -1;

	if (open_file(&w, number, 0) == -1)
		return -1;
	if (wal_lock(&w) == 0 && has_no_head(&w))
		result = wal_remove(number);
	wal_close(&w);
	return result;
}

/* Close it; a lock of ours ends. */
void
wal_close(struct wal *w)
{
	if (w->fd != -1)
		close(w->fd);
	w->fd = -1;
}

/* Remove it. */
int
wal_remove(unsigned number)
{
	char	name[NAME_SIZE];

	name_of(name, number);
	return unlinkat(queue_dir_fd(QUEUE_INCOMING), name, 0);
}

/* Take the lock; of a file that was removed there is none. */
int
wal_lock(const struct wal *w)
{
	return queue_lock(w->fd);
}

/* Has it its name still? */
bool
wal_has_name(const struct wal *w)
{
	struct stat	st;

	return fstat(w->fd, &st) == -1 || st.st_nlink > 0;
}

/* Nobody has the lock? */
bool
wal_is_left(const struct wal *w)
{
	if (flock(w->fd, LOCK_SH | LOCK_NB) == -1)
		return false;
	(void)flock(w->fd, LOCK_UN);
	return true;
}

/* --- generations --------------------------------------------------------- */

/* A number that nobody can guess, and that a packet can say; 0 is that none
 * was begun. */
static int
choose_generation(struct wal *w)
{
	uint64_t	number;

	do {
		if (getrandom(&number, sizeof(number), 0) !=
		    (ssize_t)sizeof(number))
			return -1;
		number >>= 1;
	} while (number == 0 || number == w->generation);
	w->generation = number;
	return 0;
}

/* Begin anew (wal-2). */
int
wal_begin(struct wal *w)
{
	if (choose_generation(w) == -1 || write_head(w) == -1 ||
	    fs_sync(w->fd) == -1 || fill(w->fd, AT_MARKS, w->records) == -1)
		return -1;
	return fs_sync(w->fd);
}

/* Is that place about this generation? */
static bool
names_it(const struct wal *w, int64_t at)
{
	unsigned char	raw[sizeof(uint64_t)];

	return w->generation == 0 || (fs_pread(w->fd, raw, sizeof(raw), at) ==
	    (ssize_t)sizeof(raw) && get64(raw) == w->generation);
}

/* Say it there. */
static int
name_it(const struct wal *w, int64_t at)
{
	unsigned char	raw[sizeof(uint64_t)];

	put64(raw, w->generation);
	return fs_pwrite(w->fd, raw, sizeof(raw), at);
}

int
wal_seal(const struct wal *w)
{
	return name_it(w, AT_SEALED);
}

bool
wal_is_sealed(const struct wal *w)
{
	return names_it(w, AT_SEALED);
}

int
wal_release(const struct wal *w)
{
	return name_it(w, AT_RELEASED);
}

bool
wal_is_released(const struct wal *w)
{
	return names_it(w, AT_RELEASED);
}

/* --- records ------------------------------------------------------------- */

/* With what comes in front, up to where the next one may begin. */
int64_t
wal_room(size_t len)
{
	return round_up(WAL_RECORD + (int64_t)len, WAL_ALIGN);
}

/* The head of a record. */
void
wal_encode(const struct wal *w, unsigned char to[WAL_RECORD], uint32_t batch,
    const char *id, const void *image, size_t len)
{
	memset(to, 0, WAL_RECORD);
	memcpy(to, record_magic, sizeof(record_magic));
	put64(to + RECORD_GENERATION, w->generation);
	put32(to + RECORD_LENGTH, (uint32_t)len);
	put32(to + RECORD_IMAGE_CRC, queue_crc(0, image, len));
	strlcpy((char *)to + RECORD_ID, id, QUEUE_ID_MAX + 1);
	put32(to + RECORD_BATCH, batch);
	put32(to + RECORD_CRC, queue_crc(0, to + RECORD_BODY,
	    WAL_RECORD - RECORD_BODY));
}

/* Write and sync, in one call (wal-1). */
int
wal_write(const struct wal *w, struct iovec *vectors, int count, int64_t at)
{
	ssize_t	n, len = 0;
	int	i;

	for (i = 0; i < count; i++)
		len += (ssize_t)vectors[i].iov_len;
	n = fs_pwritev_synced(w->fd, vectors, count, at);
	if (n == len)
		return 0;
	if (n != -1)
		errno = EIO;
	return -1;
}

/* A record's head, or not. */
static int
decode(const struct wal *w, const unsigned char *raw, int64_t at,
    struct wal_record *r)
{
	errno = EINVAL;
	if (memcmp(raw, record_magic, sizeof(record_magic)) != 0 ||
	    get32(raw + RECORD_CRC) != queue_crc(0, raw + RECORD_BODY,
	    WAL_RECORD - RECORD_BODY) ||
	    get64(raw + RECORD_GENERATION) != w->generation)
		return -1;
	*r = (struct wal_record){ .at = at, .image = at + WAL_RECORD,
	    .length = get32(raw + RECORD_LENGTH),
	    .crc = get32(raw + RECORD_IMAGE_CRC),
	    .batch = get32(raw + RECORD_BATCH) };
	memcpy(r->id, raw + RECORD_ID, QUEUE_ID_MAX);
	return r->image + r->length <= w->size && queue_id_is_valid(r->id) ?
	    0 : -1;
}

/* The one at this place. */
int
wal_read(const struct wal *w, int64_t at, struct wal_record *r)
{
	unsigned char	raw[WAL_RECORD];

	errno = EINVAL;
	if (at < w->records || at > w->size - WAL_RECORD ||
	    at % WAL_ALIGN != 0 ||
	    fs_pread(w->fd, raw, sizeof(raw), at) != (ssize_t)sizeof(raw))
		return -1;
	return decode(w, raw, at, r);
}

/* The first one in a piece of the log. */
static int
seek_in(const struct wal *w, const unsigned char *piece, int64_t len,
    int64_t at, struct wal_record *r)
{
	int64_t	i;

	for (i = 0; i + WAL_RECORD <= len; i += WAL_ALIGN)
		if (decode(w, piece + i, at + i, r) == 0)
			return 0;
	return -1;
}

/* The same, of so many bytes of the file; page by page where the disk does not
 * give all of them. */
static int
seek_piece(const struct wal *w, unsigned char *piece, int64_t at, int64_t len,
    struct wal_record *r, bool *is_unread)
{
	ssize_t	n = fs_pread(w->fd, piece, (size_t)len, at);
	int64_t	end = at + len;

	if (n != -1)
		return seek_in(w, piece, n, at, r);
	if (len == PAGE)
		*is_unread = true;
	else
		for (; at < end; at += PAGE)
			if (seek_piece(w, piece, at, PAGE, r, is_unread) == 0)
				return 0;
	return -1;
}

/* The next one: at once if it is where it should be. */
int
wal_seek(const struct wal *w, int64_t at, struct wal_record *r)
{
	unsigned char	*piece;
	bool		 is_unread = false;
	int		 result = -1;

	if (wal_read(w, at, r) == 0)
		return 0;
	piece = mem_alloc(PIECE);
	for (; result == -1 && at < w->size; at += PIECE)
		result = seek_piece(w, piece, at, PIECE, r, &is_unread);
	free(piece);
	errno = is_unread ? EIO : EINVAL;
	return result == 0 && is_unread ? 1 : result;
}

/* Where the next one is. */
int64_t
wal_after(const struct wal_record *r)
{
	return r->at + wal_room((size_t)r->length);
}

/* The image, and whether it is what was written. */
int
wal_image(const struct wal *w, const struct wal_record *r, void *to)
{
	ssize_t	n = fs_pread(w->fd, to, (size_t)r->length, r->image);

	if (n == -1)
		return -1;
	if (n == r->length && queue_crc(0, to, (size_t)r->length) == r->crc)
		return 0;
	errno = EBADMSG;
	return -1;
}

/* All these places are done with. */
int
wal_mark_all(const struct wal *w, int64_t at, int64_t len)
{
	unsigned char	marks[SOME_MARKS];
	int64_t		n;

	if (at < w->records || at >= w->size || len > w->size - at) {
		errno = EINVAL;
		return -1;
	}
	memset(marks, MARK, sizeof(marks));
	for (; len > 0; at += n * WAL_ALIGN, len -= n * WAL_ALIGN) {
		n = round_up(len, WAL_ALIGN) / WAL_ALIGN;
		if (n > SOME_MARKS)
			n = SOME_MARKS;
		if (fs_pwrite(w->fd, marks, (size_t)n, AT_MARKS +
		    at / WAL_ALIGN) == -1)
			return -1;
	}
	return 0;
}

/* One of them is. */
int
wal_mark(const struct wal *w, int64_t at)
{
	return wal_mark_all(w, at, 1);
}

/* Is it? */
bool
wal_is_marked(const struct wal *w, int64_t at)
{
	unsigned char	mark;

	return at >= w->records && at < w->size && fs_pread(w->fd, &mark, 1,
	    AT_MARKS + at / WAL_ALIGN) == 1 && mark == MARK;
}
