/*
 * wal.c - claims about write-ahead logs.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "t/common/queue/log.h"

enum {
	MARKS = 4096,			/* where they begin */
	SEALED = 1024, RELEASED = 2048, HEAD = 36,
	BITS = 8
};

/* --- what the tests do --------------------------------------------------- */

/* Is this record there, with its image? */
static void
assert_record(const struct wal *w, int64_t at, const char *id, size_t len)
{
	unsigned char		*image = image_of(len), *got;
	struct wal_record	 r;

	assert_int_equal(wal_read(w, at, &r), 0);
	assert_string_equal(r.id, id);
	assert_int_equal(r.length, (int64_t)len);
	got = mem_alloc(len + 1);
	assert_int_equal(wal_image(w, &r, got), 0);
	assert_memory_equal(got, image, len);
	free(got);
	free(image);
}

/* The same, seen by somebody else. */
static int
open_again(unsigned number, int *error)
{
	struct wal	w;
	int		result = wal_open(&w, number);

	*error = errno;
	if (result == 0)
		wal_close(&w);
	return result;
}

/* --- files --------------------------------------------------------------- */

static void
a_new_log_is_whole_locked_and_empty(void **state)
{
	struct wal		w, other;
	struct wal_record	r;
	struct stat		st;

	(void)state;
	assert_int_equal(wal_create(&w, 7, SMALL + 1), 0);
	assert_int_equal(fstat(w.fd, &st), 0);
	assert_int_equal(st.st_size, SMALL + 4096);
	assert_true(st.st_blocks * 512 >= st.st_size);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(faccessat(root, "incoming/wal.7", F_OK, 0), 0);
	assert_true(wal_is_released(&w));
	assert_int_equal(wal_seek(&w, w.records, &r), -1);

	assert_int_equal(wal_create(&other, 7, SMALL), -1);
	assert_int_equal(errno, EEXIST);
	assert_int_equal(wal_open(&other, 7), 0);
	assert_int_equal(other.size, w.size);
	assert_int_equal(other.records, w.records);
	assert_int_equal(wal_lock(&other), -1);
	assert_int_equal(errno, EWOULDBLOCK);
	assert_false(wal_is_left(&other));
	wal_close(&w);
	assert_true(wal_is_left(&other));
	assert_int_equal(wal_lock(&other), 0);
	end(&other);
	wal_close(&other);		/* twice is no matter */
}

static void
a_log_without_a_name_has_no_lock(void **state)
{
	struct wal	w = begin(), other;

	(void)state;
	assert_int_equal(wal_open(&other, 0), 0);
	end(&w);
	assert_int_equal(wal_lock(&other), -1);
	assert_int_equal(errno, ENOENT);
	wal_close(&other);
}

static void
what_cannot_be_made_is_not_there(void **state)
{
	struct rlimit	before, few;
	struct wal	w;
	int		error;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	few = (struct rlimit){ SMALL / 2, before.rlim_max };
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &few), 0);
	assert_int_equal(wal_create(&w, 3, SMALL), -1);
	error = errno;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(error, EFBIG);
	assert_int_equal(open_again(3, &error), -1);
	assert_int_equal(error, ENOENT);
}

static void
what_is_no_log_is_not_opened(void **state)
{
	int	fd, error;

	(void)state;
	assert_int_equal(symlinkat("/etc/passwd", root, "incoming/wal.1"), 0);
	assert_int_equal(open_again(1, &error), -1);
	assert_int_equal(error, ELOOP);
	assert_int_equal(unlinkat(root, "incoming/wal.1", 0), 0);
	assert_int_equal(mkfifoat(root, "incoming/wal.1", 0600), 0);
	assert_int_equal(open_again(1, &error), -1);
	assert_int_equal(error, EINVAL);
	assert_int_equal(unlinkat(root, "incoming/wal.1", 0), 0);

	/* Its maker has died, sooner or later. */
	fd = openat(root, "incoming/wal.1", O_CREAT | O_RDWR, 0600);
	assert_int_equal(open_again(1, &error), -1);
	assert_int_equal(error, ENODATA);
	assert_int_equal(ftruncate(fd, SMALL), 0);
	assert_int_equal(open_again(1, &error), -1);
	assert_int_equal(error, ENODATA);
	assert_int_equal(fs_pwrite(fd, "x", 1, 8), 0);
	assert_int_equal(open_again(1, &error), -1);
	assert_int_equal(error, EINVAL);
	close(fd);
	assert_int_equal(wal_remove(1), 0);
}

static void
what_a_dead_maker_left_is_reaped(void **state)
{
	struct wal	w = begin();
	int		fd, error;

	(void)state;
	assert_int_equal(wal_reap(0), -1);	/* it is locked */
	wal_close(&w);
	assert_int_equal(wal_reap(0), -1);	/* it has a head */
	assert_int_equal(wal_remove(0), 0);
	assert_int_equal(wal_reap(0), -1);

	fd = openat(root, "incoming/wal.0", O_CREAT | O_RDWR, 0600);
	assert_int_equal(ftruncate(fd, SMALL), 0);
	assert_int_equal(queue_lock(fd), 0);
	assert_int_equal(wal_reap(0), -1);	/* its maker lives */
	close(fd);
	assert_int_equal(wal_reap(0), 0);
	assert_int_equal(open_again(0, &error), -1);
	assert_int_equal(error, ENOENT);
}

static void
names_of_logs_are_known(void **state)
{
	struct wal	w = begin();

	(void)state;
	assert_true(wal_is_name("wal.0"));
	assert_true(wal_is_name("wal.63"));
	assert_false(wal_is_name("wal.64"));
	assert_false(wal_is_name("wal.00"));
	assert_false(wal_is_name("wal."));
	assert_false(queue_id_is_valid("wal.0"));
	assert_true(wal_has_name(&w));
	assert_int_equal(wal_remove(0), 0);
	assert_false(wal_has_name(&w));
	wal_close(&w);
}

static void
no_bit_of_its_head_may_be_another_one(void **state)
{
	struct wal	w = begin();
	int		at, bit, error;

	(void)state;
	for (at = 0; at < HEAD; at++)
		for (bit = 0; bit < BITS; bit++) {
			flip(&w, at, 1u << bit);
			assert_int_equal(open_again(0, &error), -1);
			assert_int_equal(error, EINVAL);
			flip(&w, at, 1u << bit);
		}
	assert_int_equal(open_again(0, &error), 0);
	assert_int_equal(ftruncate(w.fd, w.size - 1), 0);
	assert_int_equal(open_again(0, &error), -1);
	assert_int_equal(error, EINVAL);
	end(&w);
}

/* --- generations --------------------------------------------------------- */

static void
a_log_is_begun_sealed_and_released(void **state)
{
	struct wal	w = begin(), other;

	(void)state;
	assert_int_not_equal(w.generation, 0);
	assert_int_equal(wal_open(&other, 0), 0);
	assert_int_equal(other.generation, w.generation);
	assert_false(wal_is_released(&other));
	assert_false(wal_is_sealed(&other));
	assert_int_equal(wal_seal(&w), 0);
	assert_true(wal_is_sealed(&other));
	assert_false(wal_is_released(&other));
	assert_int_equal(wal_release(&other), 0);
	assert_true(wal_is_released(&w));

	/* In the next one neither is said. */
	assert_int_equal(wal_begin(&w), 0);
	assert_int_not_equal(other.generation, w.generation);
	assert_false(wal_is_released(&w));
	assert_false(wal_is_sealed(&w));
	assert_int_equal(wal_refresh(&other), 0);
	assert_int_equal(other.generation, w.generation);
	wal_close(&other);
	end(&w);
}

/* What says "sealed" or "released" and is damaged says nothing. */
static void
no_bit_makes_a_log_released(void **state)
{
	struct wal	w = begin();
	int		at, bit;

	(void)state;
	assert_int_equal(wal_seal(&w), 0);
	assert_int_equal(wal_release(&w), 0);
	for (at = 0; at < (int)sizeof(w.generation); at++)
		for (bit = 0; bit < BITS; bit++) {
			flip(&w, RELEASED + at, 1u << bit);
			flip(&w, SEALED + at, 1u << bit);
			assert_false(wal_is_released(&w));
			assert_false(wal_is_sealed(&w));
			flip(&w, RELEASED + at, 1u << bit);
			flip(&w, SEALED + at, 1u << bit);
		}
	assert_true(wal_is_released(&w));
	end(&w);
}

/* wal-2 */
static void
of_an_older_generation_nothing_is_seen(void **state)
{
	char			old[QUEUE_ID_MAX + 1], new[QUEUE_ID_MAX + 1];
	struct wal		w = begin();
	struct wal_record	r;
	int64_t			at = w.records;
	int			i;

	(void)state;
	for (i = 0; i < 3; i++) {
		assert_int_equal(wal_mark(&w, at), 0);
		at = put(&w, at, 1, LENGTH, old);
	}
	assert_int_equal(wal_release(&w), 0);
	assert_int_equal(wal_begin(&w), 0);
	assert_int_equal(wal_read(&w, w.records, &r), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(wal_seek(&w, w.records, &r), -1);

	/* One of the new ones in front of two old ones. */
	at = put(&w, w.records, 2, LENGTH, new);
	assert_false(wal_is_marked(&w, w.records));
	assert_record(&w, w.records, new, LENGTH);
	assert_int_equal(wal_read(&w, at, &r), -1);
	assert_false(wal_is_marked(&w, at));
	assert_int_equal(wal_seek(&w, at, &r), -1);
	end(&w);
}

/* A message of ours that says it were a record is none, unless its sender
 * knows a number that is told to nobody. */
static void
nobody_knows_the_next_generation(void **state)
{
	struct wal	w = begin();
	uint64_t	last = w.generation, step, least = UINT64_MAX;
	int		i;

	(void)state;
	for (i = 0; i < 16; i++, last = w.generation) {
		assert_int_equal(wal_begin(&w), 0);
		assert_int_not_equal(w.generation, last);
		step = w.generation - last;
		if (-step < step)
			step = -step;
		if (step < least)
			least = step;
	}
	assert_true(least > (uint64_t)1 << 32);
	end(&w);
}

/* --- records ------------------------------------------------------------- */

static void
records_stand_one_behind_the_other(void **state)
{
	static const size_t	lengths[] = { 0, 1, 191, 192, 193, 448, 449,
				    60 * 1024 };
	enum { COUNT = sizeof(lengths) / sizeof(lengths[0]) };
	char			ids[COUNT][QUEUE_ID_MAX + 1];
	struct wal		w = begin();
	struct wal_record	r;
	int64_t			at = w.records;
	size_t			i;

	(void)state;
	for (i = 0; i < COUNT; i++)
		at = put(&w, at, (uint32_t)i, lengths[i], ids[i]);
	for (at = w.records, i = 0; i < COUNT; i++, at = wal_after(&r)) {
		assert_int_equal(at % WAL_ALIGN, 0);
		assert_record(&w, at, ids[i], lengths[i]);
		assert_int_equal(wal_read(&w, at, &r), 0);
		assert_int_equal(r.batch, i);
		assert_int_equal(r.image, at + WAL_RECORD);
	}
	assert_int_equal(wal_read(&w, at, &r), -1);
	assert_int_equal(errno, EINVAL);
	end(&w);
}

static void
rooms_are_the_least_that_holds_it(void **state)
{
	(void)state;
	assert_int_equal(wal_room(0), WAL_ALIGN);
	assert_int_equal(wal_room(WAL_ALIGN - WAL_RECORD), WAL_ALIGN);
	assert_int_equal(wal_room(WAL_ALIGN - WAL_RECORD + 1), 2 * WAL_ALIGN);
}

static void
the_longest_id_is_kept(void **state)
{
	static const char	longest[] =
				    "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfg";
	unsigned char		head[WAL_RECORD];
	struct iovec		v = { head, sizeof(head) };
	struct wal		w = begin();
	struct wal_record	r;
	char			id[QUEUE_ID_MAX + 1];

	(void)state;
	assert_true(strlen(longest) >= QUEUE_ID_MAX);
	strlcpy(id, longest, sizeof(id));
	assert_true(queue_id_is_valid(id));
	wal_encode(&w, head, UINT32_MAX, id, "", 0);
	assert_int_equal(wal_write(&w, &v, 1, w.records), 0);
	assert_int_equal(wal_read(&w, w.records, &r), 0);
	assert_string_equal(r.id, id);
	assert_int_equal(r.batch, UINT32_MAX);
	end(&w);
}

/* An id becomes the name of a file. */
static void
what_is_no_id_is_no_record(void **state)
{
	static const char	*const ids[] = { "", ".", "..", "../x", "a/b",
				    "wal.0" };
	unsigned char		head[WAL_RECORD];
	struct iovec		v = { head, sizeof(head) };
	struct wal		w = begin();
	struct wal_record	r;
	size_t			i;

	(void)state;
	for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		wal_encode(&w, head, 1, ids[i], "", 0);
		assert_int_equal(wal_write(&w, &v, 1, w.records), 0);
		assert_int_equal(wal_read(&w, w.records, &r), -1);
	}
	end(&w);
}

static void
the_last_record_ends_where_the_log_does(void **state)
{
	char			id[QUEUE_ID_MAX + 1];
	unsigned char		head[WAL_RECORD], *image;
	struct wal		w = begin();
	struct wal_record	r;
	int64_t			at = w.size - wal_room(LENGTH);
	struct iovec		v = { head, sizeof(head) };
	size_t			len = (size_t)(w.size - at) - WAL_RECORD;

	(void)state;
	put(&w, at, 1, len, id);
	assert_record(&w, at, id, len);
	assert_int_equal(wal_seek(&w, w.records, &r), 0);
	assert_int_equal(r.at, at);
	assert_int_equal(wal_after(&r), w.size);
	assert_int_equal(wal_read(&w, w.size, &r), -1);
	assert_int_equal(wal_seek(&w, w.size, &r), -1);

	/* One more byte would stand behind it. */
	image = image_of(len + 1);
	wal_encode(&w, head, 1, id, image, len + 1);
	assert_int_equal(wal_write(&w, &v, 1, at), 0);
	assert_int_equal(wal_read(&w, at, &r), -1);
	end(&w);
	free(image);
}

/* Numbers that come in packets. */
static void
places_that_cannot_be_are_no_records(void **state)
{
	char			id[QUEUE_ID_MAX + 1];
	struct wal		w = begin();
	const int64_t		places[] = { INT64_MIN, -WAL_ALIGN, -1, 0, 1,
				    MARKS, w.records - WAL_ALIGN,
				    w.records + 1, w.size - WAL_RECORD + 1,
				    w.size, w.size + WAL_ALIGN, INT64_MAX,
				    INT64_MAX / WAL_ALIGN * WAL_ALIGN };
	struct wal_record	r;
	size_t			i;

	(void)state;
	put(&w, w.records, 1, LENGTH, id);
	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		assert_int_equal(wal_read(&w, places[i], &r), -1);
		if (places[i] < w.records || places[i] >= w.size)
			assert_int_equal(wal_mark(&w, places[i]), -1);
		assert_false(wal_is_marked(&w, places[i]));
	}
	end(&w);
}

/* --- damage -------------------------------------------------------------- */

/* wal-3 */
static void
no_bit_of_a_record_may_be_another_one(void **state)
{
	char			id[QUEUE_ID_MAX + 1];
	struct wal		w = begin();
	struct wal_record	r;
	unsigned char		got[LENGTH];
	int64_t			i;
	int			bit;

	(void)state;
	put(&w, w.records, 1, LENGTH, id);
	for (i = 0; i < WAL_RECORD + LENGTH; i++)
		for (bit = 0; bit < BITS; bit++) {
			flip(&w, w.records + i, 1u << bit);
			if (i < WAL_RECORD) {
				assert_int_equal(wal_read(&w, w.records, &r),
				    -1);
				assert_int_equal(errno, EINVAL);
			} else {
				assert_int_equal(wal_read(&w, w.records, &r),
				    0);
				assert_int_equal(wal_image(&w, &r, got), -1);
				assert_int_equal(errno, EBADMSG);
			}
			flip(&w, w.records + i, 1u << bit);
		}
	assert_record(&w, w.records, id, LENGTH);
	end(&w);
}

/* wal-3 */
static void
no_bit_alone_is_a_mark(void **state)
{
	char		id[QUEUE_ID_MAX + 1];
	struct wal	w = begin();
	int64_t		at = w.records, mark;
	int		bit;

	(void)state;
	put(&w, at, 1, LENGTH, id);
	mark = MARKS + at / WAL_ALIGN;
	for (bit = 0; bit < BITS; bit++) {
		flip(&w, mark, 1u << bit);
		assert_false(wal_is_marked(&w, at));
		flip(&w, mark, 1u << bit);
	}
	assert_int_equal(wal_mark(&w, at), 0);
	assert_true(wal_is_marked(&w, at));
	assert_false(wal_is_marked(&w, at + wal_room(LENGTH)));
	end(&w);
}

/* The last place's mark is in front of the first record. */
static void
marks_and_records_do_not_meet(void **state)
{
	char		id[QUEUE_ID_MAX + 1];
	struct wal	w;
	int64_t		size;

	(void)state;
	for (size = SMALL; size < 5 * SMALL; size += SMALL - 4096) {
		assert_int_equal(wal_create(&w, 0, size), 0);
		assert_int_equal(wal_begin(&w), 0);
		put(&w, w.records, 1, LENGTH, id);
		assert_int_equal(wal_mark(&w, w.size - WAL_ALIGN), 0);
		assert_true(wal_is_marked(&w, w.size - WAL_ALIGN));
		assert_false(wal_is_marked(&w, w.records));
		assert_record(&w, w.records, id, LENGTH);
		end(&w);
	}
}

/* Behind each of a few records whose heads are damaged, however long. */
static void
what_is_damaged_hides_nothing(void **state)
{
	static const size_t	lengths[] = { 10, 60 * 1024, LENGTH, 500, 10 };
	enum { COUNT = sizeof(lengths) / sizeof(lengths[0]) };
	char			ids[COUNT][QUEUE_ID_MAX + 1];
	int64_t			places[COUNT], at;
	struct wal		w = begin();
	struct wal_record	r;
	int			i;

	(void)state;
	for (at = w.records, i = 0; i < COUNT; i++) {
		places[i] = at;
		at = put(&w, at, 1, lengths[i], ids[i]);
	}
	for (i = 0; i + 1 < COUNT; i++) {
		flip(&w, places[i] + 20, 1);
		assert_int_equal(wal_seek(&w, w.records, &r), 0);
		assert_int_equal(r.at, places[i + 1]);
		assert_string_equal(r.id, ids[i + 1]);
	}
	flip(&w, places[i] + 20, 1);
	assert_int_equal(wal_seek(&w, w.records, &r), -1);
	end(&w);
}

/* The last write of all, cut anywhere: what is there is whole, or is seen not
 * to be. */
static void
a_torn_write_is_seen(void **state)
{
	char			first[QUEUE_ID_MAX + 1], id[QUEUE_ID_MAX + 1];
	unsigned char		head[WAL_RECORD], *image = image_of(LENGTH);
	struct iovec		v[] = { { head, sizeof(head) },
				    { image, LENGTH } };
	struct wal		w = begin();
	struct wal_record	r;
	int64_t			at = put(&w, w.records, 1, LENGTH, first);
	unsigned char		got[LENGTH];
	size_t			there;

	(void)state;
	wal_encode(&w, head, 2, queue_id_new(id, 1), image, LENGTH);
	for (there = 0; there <= LENGTH; there++) {
		v[1].iov_len = there;
		assert_int_equal(wal_write(&w, v, 2, at), 0);
		assert_int_equal(wal_read(&w, at, &r), 0);
		assert_int_equal(wal_image(&w, &r, got),
		    there == LENGTH ? 0 : -1);
	}
	assert_record(&w, w.records, first, LENGTH);
	free(image);
	end(&w);
}

/* wal-1 */
static void
half_a_write_is_an_error(void **state)
{
	unsigned char	 head[WAL_RECORD], *image = image_of(LENGTH);
	struct iovec	 v[] = { { head, sizeof(head) }, { image, LENGTH } };
	struct rlimit	 before, few;
	struct wal	 w = begin();
	int		 result, error;

	(void)state;
	wal_encode(&w, head, 1, "4BBBBBBBBBBBBBB", image, LENGTH);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	few = (struct rlimit){ (rlim_t)w.records + 100, before.rlim_max };
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &few), 0);
	result = wal_write(&w, v, 2, w.records);
	error = errno;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(result, -1);
	assert_int_equal(error, EIO);
	close(w.fd);
	w.fd = -1;
	assert_int_equal(wal_write(&w, v, 2, w.records), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(wal_remove(0), 0);
	free(image);
}

/* --- where writes that sync are not known -------------------------------- */

static bool	is_old, has_synced;

/* Instead of libc's. */
ssize_t
pwritev2(int fd, const struct iovec *v, int count, off_t at, int flags)
{
	errno = EOPNOTSUPP;
	return is_old ? -1 : syscall(SYS_pwritev2, fd, v, count, at, 0, flags);
}

int
fsync(int fd)
{
	has_synced = true;
	return (int)syscall(SYS_fsync, fd);
}

static void
a_write_is_synced_by_old_kernels_too(void **state)
{
	unsigned char		 head[WAL_RECORD], *image = image_of(LENGTH);
	struct iovec		 v[] = { { head, sizeof(head) },
				    { image, LENGTH } };
	struct wal_record	 r;
	struct wal		 w;
	char			 id[QUEUE_ID_MAX + 1];

	(void)state;
	assert_int_equal(wal_create(&w, 0, SMALL), 0);
	assert_int_equal(wal_begin(&w), 0);
	wal_encode(&w, head, 1, queue_id_new(id, 1), image, LENGTH);
	is_old = true;
	has_synced = false;
	assert_int_equal(wal_write(&w, v, 2, w.records), 0);
	is_old = false;
	assert_true(has_synced);
	assert_int_equal(wal_read(&w, w.records, &r), 0);
	assert_string_equal(r.id, id);
	assert_int_equal(wal_remove(0), 0);
	wal_close(&w);
	free(image);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(a_new_log_is_whole_locked_and_empty),
		cmocka_unit_test(a_log_without_a_name_has_no_lock),
		cmocka_unit_test(what_cannot_be_made_is_not_there),
		cmocka_unit_test(what_is_no_log_is_not_opened),
		cmocka_unit_test(what_a_dead_maker_left_is_reaped),
		cmocka_unit_test(names_of_logs_are_known),
		cmocka_unit_test(no_bit_of_its_head_may_be_another_one),
		cmocka_unit_test(a_log_is_begun_sealed_and_released),
		cmocka_unit_test(no_bit_makes_a_log_released),
		cmocka_unit_test(of_an_older_generation_nothing_is_seen),
		cmocka_unit_test(nobody_knows_the_next_generation),
		cmocka_unit_test(records_stand_one_behind_the_other),
		cmocka_unit_test(rooms_are_the_least_that_holds_it),
		cmocka_unit_test(the_longest_id_is_kept),
		cmocka_unit_test(what_is_no_id_is_no_record),
		cmocka_unit_test(the_last_record_ends_where_the_log_does),
		cmocka_unit_test(places_that_cannot_be_are_no_records),
		cmocka_unit_test(no_bit_of_a_record_may_be_another_one),
		cmocka_unit_test(no_bit_alone_is_a_mark),
		cmocka_unit_test(marks_and_records_do_not_meet),
		cmocka_unit_test(what_is_damaged_hides_nothing),
		cmocka_unit_test(a_torn_write_is_seen),
		cmocka_unit_test(half_a_write_is_an_error),
		cmocka_unit_test(a_write_is_synced_by_old_kernels_too)
	};

	return cmocka_run_group_tests(tests, make_whole_queue, remove_queue);
}
