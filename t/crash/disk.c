/*
 * disk.c - disks that remember in which order they were written.
 *
 *	disk DIRECTORY SIZE LOG
 *
 * Mounts a file system at DIRECTORY (FUSE, spoken by hand, so that no library
 * is needed) with the files "queue" and "home", of SIZE bytes each, to be used
 * under loop devices; their content is in LOG.queue and LOG.home. Each write
 * and each flush becomes a record in LOG (disk.h). Two more files:
 *
 *	marks	what is written there becomes a record: what a client knew, and
 *		when, in the order of the disk's own records
 *	orders	"fail N": the Nth write from now fails with EIO, and nothing of
 *		it is written
 *
 * A write that was answered is in the log, and a flush is a record behind all
 * writes that were answered before it: one thread answers all.
 */
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <linux/fuse.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "t/crash/disk.h"

enum {
	ROOT = FUSE_ROOT_ID,
	FIRST_DISK = 2,
	MARKS = FIRST_DISK + DISKS,
	ORDERS,
	WRITE_MAX = 1024 * 1024,
	PAGES_MAX = WRITE_MAX / 4096,
	FOREVER = 3600		/* seconds */
};

/* A request of the kernel's. */
struct request {
	struct fuse_in_header	 in;
	char			 body[WRITE_MAX + 8192];
};

static const char *const	names[] = { "", "", "queue", "home", "marks",
				    "orders" };
static struct request		request;
static char			answer_data[WRITE_MAX];
static int			kernel, log_fd, disks[DISKS];
static uint64_t			size;
static long			fails_in;

/* --- the log ------------------------------------------------------------- */

/* One record, whole. */
static void
note(enum kind kind, unsigned disk, uint64_t offset, const void *data,
    size_t len)
{
	struct record	r = { .offset = offset, .len = (uint32_t)len,
			    .kind = (uint16_t)kind, .disk = (uint16_t)disk };
	struct timespec	now;
	struct iovec	parts[2];
	size_t		with;

	clock_gettime(CLOCK_REALTIME, &now);
	r.when_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	with = kind == RECORD_WRITE || kind == RECORD_MARK ? len : 0;
	parts[0] = (struct iovec){ &r, sizeof(r) };
	parts[1] = (struct iovec){ (void *)(uintptr_t)data, with };
	if (writev(log_fd, parts, 2) != (ssize_t)(sizeof(r) + with))
		err(1, "log");
}

/* Nothing but zeros? */
static bool
is_zero(const char *data, size_t len)
{
	return len > 0 && data[0] == 0 && memcmp(data, data + 1, len - 1) == 0;
}

/* --- answers ------------------------------------------------------------- */

/* Answer with this, or with an error. */
static void
answer(int error, const void *data, size_t len)
{
	struct fuse_out_header	out = { .error = -error,
				    .unique = request.in.unique };
	struct iovec		parts[2];

	if (error != 0)
		len = 0;
	out.len = (uint32_t)(sizeof(out) + len);
	parts[0] = (struct iovec){ &out, sizeof(out) };
	parts[1] = (struct iovec){ (void *)(uintptr_t)data, len };
	if (writev(kernel, parts, 2) == -1 && errno != ENOENT)
		err(1, "answer");
}

/* What a file is. */
static struct fuse_attr
attributes(uint64_t node)
{
	struct fuse_attr	a = { .ino = node, .nlink = 1,
				    .blksize = 4096 };

	a.mode = node == ROOT ? S_IFDIR | 0755 : S_IFREG | 0600;
	if (node >= FIRST_DISK && node < MARKS)
		a.size = size;
	a.blocks = a.size / 512;
	return a;
}

/* Agree on how to talk. */
static void
do_init(void)
{
	struct fuse_init_out	out = { .major = FUSE_KERNEL_VERSION,
				    .minor = 31, .max_readahead = 0,
				    .max_background = 64,
				    .congestion_threshold = 48,
				    .max_write = WRITE_MAX, .time_gran = 1,
				    .max_pages = PAGES_MAX };

	out.flags = FUSE_BIG_WRITES | FUSE_MAX_PAGES;
	answer(0, &out, sizeof(out));
}

/* A name. */
static void
do_lookup(void)
{
	struct fuse_entry_out	out = { .entry_valid = FOREVER,
				    .attr_valid = FOREVER };
	uint64_t		node;

	for (node = FIRST_DISK; node <= ORDERS; node++)
		if (strcmp(request.body, names[node]) == 0) {
			out.nodeid = node;
			out.attr = attributes(node);
			answer(0, &out, sizeof(out));
			return;
		}
	answer(ENOENT, NULL, 0);
}

/* What is asked of a file when it is looked at or cut off. */
static void
do_attributes(void)
{
	struct fuse_attr_out	out = { .attr_valid = FOREVER };

	out.attr = attributes(request.in.nodeid);
	answer(0, &out, sizeof(out));
}

/* Past the page cache: what is written comes here at once. */
static void
do_open(void)
{
	struct fuse_open_out	out = { .fh = request.in.nodeid,
				    .open_flags = FOPEN_DIRECT_IO };

	answer(0, &out, sizeof(out));
}

/* --- reading and writing ------------------------------------------------- */

/* Bytes of a disk; the other files are empty. */
static void
do_read(void)
{
	const struct fuse_read_in	*in;
	uint64_t			 node = request.in.nodeid;
	ssize_t				 n;

	in = (const struct fuse_read_in *)(const void *)request.body;
	if (node < FIRST_DISK || node >= MARKS) {
		answer(0, NULL, 0);
		return;
	}
	n = pread(disks[node - FIRST_DISK], answer_data,
	    in->size < WRITE_MAX ? in->size : WRITE_MAX, (off_t)in->offset);
	if (n == -1)
		answer(errno, NULL, 0);
	else
		answer(0, answer_data, (size_t)n);
}

/* An order. */
static void
obey(const char *text, size_t len)
{
	char	line[64];

	if (len >= sizeof(line))
		return;
	memcpy(line, text, len);
	line[len] = '\0';
	(void)sscanf(line, "fail %ld", &fails_in);
}

/* Bytes for a disk; 0 or what is wrong. */
static int
write_disk(unsigned disk, uint64_t offset, const char *data, size_t len)
{
	if (fails_in > 0 && --fails_in == 0) {
		note(RECORD_MARK, disk, offset, "E\n", 2);
		return EIO;
	}
	if (offset + len > size)
		return ENOSPC;
	if (pwrite(disks[disk], data, len, (off_t)offset) != (ssize_t)len)
		err(1, "disk");
	note(is_zero(data, len) ? RECORD_ZERO : RECORD_WRITE, disk, offset,
	    data, len);
	return 0;
}

/* Bytes for whatever it is. */
static void
do_write(void)
{
	const struct fuse_write_in	*in;
	struct fuse_write_out		 out = { .size = 0 };
	const char			*data;
	uint64_t			 node = request.in.nodeid;
	int				 error = 0;

	in = (const struct fuse_write_in *)(const void *)request.body;
	data = request.body + sizeof(*in);
	if (node == MARKS)
		note(RECORD_MARK, 0, 0, data, in->size);
	else if (node == ORDERS)
		obey(data, in->size);
	else
		error = write_disk((unsigned)(node - FIRST_DISK), in->offset,
		    data, in->size);
	out.size = in->size;
	answer(error, &out, sizeof(out));
}

/* All that was answered stays. */
static void
do_flush(void)
{
	if (request.in.nodeid >= FIRST_DISK && request.in.nodeid < MARKS)
		note(RECORD_FLUSH, (unsigned)(request.in.nodeid - FIRST_DISK),
		    0, NULL, 0);
	answer(0, NULL, 0);
}

/* Room enough. */
static void
do_statfs(void)
{
	struct fuse_statfs_out	out = { .st = { .bsize = 4096,
				    .namelen = 255, .frsize = 4096 } };

	answer(0, &out, sizeof(out));
}

/* --- the loop ------------------------------------------------------------ */

/* One request. */
static void
serve(void)
{
	switch (request.in.opcode) {
	case FUSE_INIT:		do_init(); break;
	case FUSE_LOOKUP:	do_lookup(); break;
	case FUSE_GETATTR:
	case FUSE_SETATTR:	do_attributes(); break;
	case FUSE_OPEN:		do_open(); break;
	case FUSE_READ:		do_read(); break;
	case FUSE_WRITE:	do_write(); break;
	case FUSE_FSYNC:	do_flush(); break;
	case FUSE_STATFS:	do_statfs(); break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:	break;
	case FUSE_FLUSH:	/* close(2), which waits for the answer */
	case FUSE_RELEASE:
	case FUSE_READDIR:
	case FUSE_RELEASEDIR:
	case FUSE_DESTROY:	answer(0, NULL, 0); break;
	default:		answer(ENOSYS, NULL, 0); break;
	}
}

/* Create the disks and the log. */
static void
create(const char *log)
{
	char	path[300];
	int	i;

	log_fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
	if (log_fd == -1)
		err(1, "%s", log);
	for (i = 0; i < DISKS; i++) {
		snprintf(path, sizeof(path), "%s.%s", log,
		    names[FIRST_DISK + i]);
		disks[i] = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
		if (disks[i] == -1 || ftruncate(disks[i], (off_t)size) == -1)
			err(1, "%s", path);
	}
}

int
main(int argc, char **argv)
{
	char	options[100];
	ssize_t	n;

	if (argc != 4)
		errx(1, "usage: disk directory size log");
	size = strtoull(argv[2], NULL, 10);
	create(argv[3]);
	if ((kernel = open("/dev/fuse", O_RDWR | O_CLOEXEC)) == -1)
		err(1, "/dev/fuse");
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,"
	    "group_id=0,allow_other", kernel);
	if (mount("disk", argv[1], "fuse", MS_NOSUID | MS_NODEV, options) == -1)
		err(1, "%s", argv[1]);
	for (;;) {
		n = read(kernel, &request, sizeof(request));
		if (n == -1 && errno == ENODEV)
			return 0;	/* nobody uses it any more */
		if (n == -1 && errno != EINTR && errno != ENOENT &&
		    errno != EAGAIN)
			err(1, "read");
		if (n >= (ssize_t)sizeof(request.in))
			serve();
	}
}
