/*
 * cut.c - what a power cut leaves of disks that disk.c has written down.
 *
 *	cut LOG
 *		tells the marks: number of the record, time in ns, text
 *	cut LOG NUMBER WHAT CACHE SEED SIZE IMAGE IMAGE
 *		makes the images of "queue" and "home" at a cut before this
 *		record
 *
 * All up to the last flush is in the images, and of the later writes, as WHAT
 * says: "none", "all", "some" (each or not, by the seed) or "torn" (some of
 * them, half of those only up to a sector within). With CACHE "shared" the
 * flush of one disk is a flush of both, as on two partitions of one disk;
 * with "apart" it is not. The last line is the number of records, of writes,
 * of flushes, of writes that were in the caches, and the time of the cut in ns.
 */
#include <sys/stat.h>

#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>

#include "t/crash/disk.h"

enum what { NONE, ALL, SOME, TORN };
enum { SECTOR = 512 };

static const char	*log_data;
static size_t		 log_len;
static long		 writes, flushes, cached;
static int64_t		 when_ns;
static uint64_t		 state;

/* A number below n. */
static uint64_t
any(uint64_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % n;
}

/* The record here, its bytes, and where the next one is; false at the end,
 * and where the writer was stopped within one. */
static bool
next(size_t *at, struct record *r, const char **data)
{
	size_t	with;

	if (log_len - *at < sizeof(*r))
		return false;
	memcpy(r, log_data + *at, sizeof(*r));
	with = r->kind == RECORD_WRITE || r->kind == RECORD_MARK ? r->len : 0;
	if (log_len - *at - sizeof(*r) < with)
		return false;
	*data = log_data + *at + sizeof(*r);
	*at += sizeof(*r) + with;
	return true;
}

/* Map the log. */
static void
map(const char *path)
{
	struct stat	st;
	void		*p;
	int		fd;

	if ((fd = open(path, O_RDONLY)) == -1 || fstat(fd, &st) == -1)
		err(1, "%s", path);
	log_len = (size_t)st.st_size;
	p = mmap(NULL, log_len, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		err(1, "%s", path);
	log_data = p;
	close(fd);
}

/* What the clients knew. */
static void
tell_marks(void)
{
	struct record	 r;
	const char	*data;
	size_t		 at = 0;
	long		 i;

	for (i = 0; next(&at, &r, &data); i++) {
		writes += r.kind == RECORD_WRITE || r.kind == RECORD_ZERO;
		flushes += r.kind == RECORD_FLUSH;
		if (r.kind == RECORD_MARK)
			printf("%ld %lld %.*s\n", i, (long long)r.when_ns,
			    (int)strcspn(data, "\n"), data);
	}
	printf("%ld %ld %ld 0 0\n", i, writes, flushes);
}

/* The record of the last flush of each disk before the cut. */
static void
find_flushes(long cut, bool is_shared, long flushed[DISKS])
{
	struct record	 r;
	const char	*data;
	size_t		 at = 0;
	long		 i;
	int		 d;

	for (d = 0; d < DISKS; d++)
		flushed[d] = -1;
	for (i = 0; i < cut && next(&at, &r, &data); i++) {
		if (r.kind != RECORD_FLUSH)
			continue;
		flushes++;
		for (d = 0; d < DISKS; d++)
			if (is_shared || d == r.disk)
				flushed[d] = i;
	}
}

/* How much of a write that was in the cache came to the disk. */
static uint32_t
survives(const struct record *r, enum what what)
{
	if (what == NONE || (what != ALL && any(2) == 0))
		return 0;
	if (what == TORN && any(2) == 0 && r->len >= SECTOR)
		return (uint32_t)any(r->len / SECTOR + 1) * SECTOR;
	return r->len;
}

/* Write it. */
static void
apply(int fd, const struct record *r, const char *data, uint32_t len)
{
	static const char	zeros[1024 * 1024];

	if (r->kind == RECORD_ZERO)
		data = zeros;
	if (len > sizeof(zeros))
		errx(1, "a write of %u bytes", len);
	if (len > 0 && pwrite(fd, data, len, (off_t)r->offset) != (ssize_t)len)
		err(1, "write");
}

/* Both images. */
static void
build(long cut, enum what what, const long flushed[DISKS], const int fd[DISKS])
{
	struct record	 r;
	const char	*data;
	size_t		 at = 0;
	uint32_t	 len;
	long		 i;

	for (i = 0; i < cut && next(&at, &r, &data); i++) {
		when_ns = r.when_ns;
		if (r.kind != RECORD_WRITE && r.kind != RECORD_ZERO)
			continue;
		writes++;
		len = r.len;
		if (i > flushed[r.disk]) {
			cached++;
			len = survives(&r, what);
		}
		apply(fd[r.disk], &r, data, len);
	}
	printf("%ld %ld %ld %ld %lld\n", i, writes, flushes, cached,
	    (long long)when_ns);
}

/* A file for an image. */
static int
create(const char *path, off_t size)
{
	int	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	if (fd == -1 || ftruncate(fd, size) == -1)
		err(1, "%s", path);
	return fd;
}

/* The word for what survives. */
static enum what
what_of(const char *word)
{
	static const char *const	words[] = { "none", "all", "some",
					    "torn" };
	int				i;

	for (i = 0; i <= TORN; i++)
		if (strcmp(word, words[i]) == 0)
			return (enum what)i;
	errx(1, "%s?", word);
}

int
main(int argc, char **argv)
{
	long	flushed[DISKS];
	int	fd[DISKS];
	off_t	size;

	if (argc != 2 && argc != 9)
		errx(1, "usage: cut log [number what cache seed size image "
		    "image]");
	map(argv[1]);
	if (argc == 2) {
		tell_marks();
		return 0;
	}
	state = strtoull(argv[5], NULL, 10) * 0x9e3779b97f4a7c15u | 1;
	size = (off_t)strtoull(argv[6], NULL, 10);
	fd[0] = create(argv[7], size);
	fd[1] = create(argv[8], size);
	find_flushes(atol(argv[2]), strcmp(argv[4], "shared") == 0, flushed);
	build(atol(argv[2]), what_of(argv[3]), flushed, fd);
	return 0;
}
