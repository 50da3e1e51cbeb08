/*
 * lock.c - claims about locks on table files.
 */
#include "t/common/map/table.h"

#include <sys/file.h>

#include "common/map/lock.h"

static void
readers_share(void **state)
{
	int	a, b;

	(void)state;
	write_file("t", "x");
	a = open("t", O_RDONLY);
	b = open("t", O_RDONLY);
	assert_int_equal(map_lock_shared(a), 0);
	assert_int_equal(map_lock_shared(b), 0);
	map_unlock(a);
	map_unlock(b);
	close(a);
	close(b);
}

static void
who_writes_is_alone_by_either_kind_of_lock(void **state)
{
	struct flock	record = { .l_type = F_WRLCK };
	int		a, b;

	(void)state;
	write_file("t", "x");
	a = open("t", O_RDWR);
	b = open("t", O_RDWR);
	assert_int_equal(flock(a, LOCK_EX), 0);
	assert_int_equal(map_lock_shared(b), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(flock(a, LOCK_UN), 0);
	assert_int_equal(fcntl(a, F_OFD_SETLK, &record), 0);
	assert_int_equal(map_lock_shared(b), -1);
	assert_int_equal(errno, EAGAIN);
	/* The half that was got is given back. */
	assert_int_equal(flock(a, LOCK_EX | LOCK_NB), 0);
	close(a);
	assert_int_equal(map_lock_exclusive(b), 0);
	close(b);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(readers_share),
		cmocka_unit_test(who_writes_is_alone_by_either_kind_of_lock),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
