/*
 * space.c - a disk that has plenty is asked now and then, another one each
 * time.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>

#include "common/base/clock.h"
#include "common/base/space.h"

#define MIB	INT64_C(1048576)

/* The disk: what it says, and how often it was asked. */
static struct statvfs	disk;
static int		fails, asked;

int
statvfs(const char *path, struct statvfs *fs)
{
	(void)path;
	asked++;
	if (fails != 0) {
		errno = fails;
		return -1;
	}
	*fs = disk;
	return 0;
}

/* One with so much. */
static struct space
look_at(int64_t bytes, int64_t inodes)
{
	struct space	s = { 0 };

	fails = 0;
	disk = (struct statvfs){ .f_bavail = (fsblkcnt_t)bytes / 4096,
	    .f_frsize = 4096, .f_files = 1000 * 1000 * 1000,
	    .f_favail = (fsfilcnt_t)inodes };
	assert_int_equal(space_look(&s, AT_FDCWD), 0);
	assert_int_equal(s.bytes, bytes);
	assert_int_equal(s.inodes, inodes);
	s.until = NEVER;		/* on a slow machine, too */
	return s;
}

static void
nothing_is_known_before_a_look(void **state)
{
	struct space	s = { 0 };

	(void)state;
	assert_false(space_is_plenty(&s, 0, 0));
	s = (struct space){ INT64_MAX, INT64_MAX, 0 };
	assert_false(space_is_plenty(&s, 0, 0));
}

static void
P1_what_can_be_filled_meanwhile_does_not_count(void **state)
{
	struct space	s = look_at(1000 * MIB, 200 * 1000);

	(void)state;
	assert_true(space_is_plenty(&s, 743 * MIB, 99 * 1000));
	assert_false(space_is_plenty(&s, 744 * MIB, 99 * 1000));
	assert_false(space_is_plenty(&s, 0, 100 * 1000));
	s = look_at(256 * MIB, 200 * 1000);
	assert_false(space_is_plenty(&s, 0, 0));
}

static void
P1_it_is_forgotten_in_a_moment(void **state)
{
	struct space	s = look_at(1000 * MIB, 200 * 1000);

	(void)state;
	s.until = clock_now();
	assert_false(space_is_plenty(&s, 0, 0));
	assert_int_equal(space_look(&s, AT_FDCWD), 0);
	assert_true(s.until - clock_now() <= 10);
}

static void
a_file_system_that_counts_no_files_has_enough(void **state)
{
	struct space	s;

	(void)state;
	look_at(1000 * MIB, 0);
	disk.f_files = 0;
	assert_int_equal(space_look(&s, AT_FDCWD), 0);
	assert_true(space_is_plenty(&s, 0, 1000 * 1000));
}

static void
a_disk_that_nobody_may_write_to_has_nothing(void **state)
{
	struct space	s = look_at(1000 * MIB, 200 * 1000);

	(void)state;
	disk.f_flag = ST_RDONLY;
	assert_int_equal(space_look(&s, AT_FDCWD), -1);
	assert_int_equal(errno, EROFS);
	assert_false(space_is_plenty(&s, 0, 0));
}

static void
a_look_that_fails_and_a_write_that_fails_end_it(void **state)
{
	struct space	s = look_at(1000 * MIB, 200 * 1000);

	(void)state;
	assert_true(space_is_plenty(&s, 0, 0));
	fails = EIO;
	assert_int_equal(space_look(&s, AT_FDCWD), -1);
	assert_int_equal(errno, EIO);
	assert_false(space_is_plenty(&s, 0, 0));
	s = look_at(1000 * MIB, 200 * 1000);
	space_forget(&s);
	assert_false(space_is_plenty(&s, 0, 0));
}

static void
what_is_plenty_is_not_asked_for(void **state)
{
	struct space	s = look_at(1000 * MIB, 200 * 1000);
	int		before = asked;

	(void)state;
	assert_true(space_is_plenty(&s, 1, 1));
	assert_int_equal(asked, before);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(nothing_is_known_before_a_look),
		cmocka_unit_test(
		    P1_what_can_be_filled_meanwhile_does_not_count),
		cmocka_unit_test(P1_it_is_forgotten_in_a_moment),
		cmocka_unit_test(a_file_system_that_counts_no_files_has_enough),
		cmocka_unit_test(a_disk_that_nobody_may_write_to_has_nothing),
		cmocka_unit_test(
		    a_look_that_fails_and_a_write_that_fails_end_it),
		cmocka_unit_test(what_is_plenty_is_not_asked_for),
	};

	return cmocka_run_group_tests_name("space", tests, NULL, NULL);
}
