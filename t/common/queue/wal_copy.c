/*
 * wal_copy.c - claims about the files that messages of a log get.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "t/common/queue/log.h"

/* A log with one record. */
static struct wal
begin_with(struct wal_record *r)
{
	struct wal	w = begin();
	char		id[QUEUE_ID_MAX + 1];

	put(&w, w.records, 1, LENGTH, id);
	assert_int_equal(wal_read(&w, w.records, r), 0);
	return w;
}

/* A file's bytes and its end. */
static void
end_file(int fd, const char *id, size_t len)
{
	unsigned char	*image = image_of(len), *got = mem_alloc(len + 1);
	struct stat	 st;

	assert_int_equal(fs_pread(fd, got, len + 1, 0), (ssize_t)len);
	assert_memory_equal(got, image, len);
	assert_int_equal(fstat(fd, &st), 0);
	assert_false(queue_is_complete(st.st_mode));
	assert_int_equal(queue_reap(id), 0);	/* it is locked */
	assert_int_equal(queue_remove(QUEUE_INCOMING, id), 0);
	free(got);
	free(image);
	close(fd);
}

static void
a_copy_is_what_the_record_says(void **state)
{
	struct wal_record	r;
	struct wal		w = begin_with(&r);
	int			fd;

	(void)state;
	assert_int_not_equal(fd = wal_copy(&w, &r, false), -1);
	assert_int_equal(wal_copy(&w, &r, false), -1);
	assert_int_equal(errno, EEXIST);
	end_file(fd, r.id, LENGTH);
	end(&w);
}

static void
what_is_damaged_is_copied_only_if_it_is_wanted(void **state)
{
	struct wal_record	r;
	struct wal		w = begin_with(&r);
	int			fd;

	(void)state;
	flip(&w, r.image + LENGTH - 1, 1);
	assert_int_equal(wal_copy(&w, &r, false), -1);
	assert_int_equal(errno, EBADMSG);
	assert_int_equal(queue_open_file(QUEUE_INCOMING, r.id, O_RDONLY), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_not_equal(fd = wal_copy(&w, &r, true), -1);
	flip(&w, r.image + LENGTH - 1, 1);
	close(fd);
	assert_int_equal(queue_remove(QUEUE_INCOMING, r.id), 0);
	end(&w);
}

/* Of a copy that fails nothing stays. */
static void
half_a_copy_is_removed(void **state)
{
	struct wal_record	r;
	struct wal		w = begin_with(&r);
	struct rlimit		before, few;
	int			result, error;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	few = (struct rlimit){ LENGTH / 2, before.rlim_max };
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &few), 0);
	result = wal_copy(&w, &r, false);
	error = errno;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(result, -1);
	assert_int_equal(error, EFBIG);
	assert_int_equal(queue_open_file(QUEUE_INCOMING, r.id, O_RDONLY), -1);
	assert_int_equal(errno, ENOENT);
	end(&w);
}

/* A file that a power cut has left empty, while the log cannot be read: neither
 * is said to be good, and both stay. */
static void
what_cannot_be_compared_now_is_not_kept(void **state)
{
	struct wal_record	r;
	struct wal		w = begin_with(&r), unread = w;
	int			fd;

	(void)state;
	assert_int_not_equal(fd = queue_create(r.id), -1);
	assert_int_equal(queue_set_complete(fd), 0);
	close(fd);
	unread.fd = openat(queue_dir_fd(QUEUE_INCOMING), "wal.0", O_WRONLY);
	assert_int_equal(wal_keep_found(&unread, &r, QUEUE_INCOMING), -1);
	assert_int_equal(errno, EBADF);
	wal_close(&unread);
	assert_int_equal(wal_keep_found(&w, &r, QUEUE_INCOMING), 1);
	assert_int_equal(wal_keep_found(&w, &r, QUEUE_INCOMING), -1);
	assert_int_equal(errno, ENOENT);
	end(&w);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(a_copy_is_what_the_record_says),
		cmocka_unit_test(what_is_damaged_is_copied_only_if_it_is_wanted),
		cmocka_unit_test(half_a_copy_is_removed),
		cmocka_unit_test(what_cannot_be_compared_now_is_not_kept)
	};

	return cmocka_run_group_tests(tests, make_whole_queue, remove_queue);
}
