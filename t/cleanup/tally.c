/*
 * tally.c - claims about counting what lies in maildrop/.
 *
 * needs: cleanup/tally.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/param/maincf.h"

#include "cleanup/tally.h"

static char	place[] = "/tmp/prt-tally-XXXXXX";
static int	dir;

/* Limits as in main.cf. */
static void
set_limits(const char *files, const char *bytes)
{
	static const struct param *const	tables[] = { tally_params,
						    NULL };
	struct pool	*pool = pool_new("test", 0);
	struct maincf	*mc = maincf_empty(pool);
	struct str	 problems;

	str_init(&problems, pool, 0);
	maincf_set(mc, "maildrop_user_file_limit", files, "test");
	maincf_set(mc, "maildrop_user_space_limit", bytes, "test");
	assert_int_equal(param_load(mc, tables, &problems), 0);
	pool_free(pool);
}

/* A directory with nothing in it. */
static int
make_place(void **state)
{
	(void)state;
	if (mkdtemp(place) == NULL)
		return -1;
	dir = open(place, O_RDONLY | O_DIRECTORY);
	return dir == -1 ? -1 : 0;
}

static int
remove_place(void **state)
{
	(void)state;
	close(dir);
	return rmdir(place);
}

static void
only_its_own_names_are_tallies(void **state)
{
	uid_t	uid;

	(void)state;
	assert_true(tally_is_name(".posted.1000", &uid));
	assert_int_equal(uid, 1000);
	assert_false(tally_is_name(".posted.", &uid));
	assert_false(tally_is_name(".posted.1x", &uid));
	assert_false(tally_is_name(".posted.-1", &uid));
	assert_false(tally_is_name(".posted.99999999999", &uid));
	assert_false(tally_is_name("0dZHP3MtJC01jkf", &uid));
}

static void
files_are_counted_up_to_the_limit(void **state)
{
	(void)state;
	set_limits("2", "0");
	assert_int_equal(tally_add(dir, 7, 1, 5), 0);
	assert_int_equal(tally_add(dir, 7, 1, 5), 0);
	assert_int_equal(tally_add(dir, 7, 1, 5), -1);
	assert_int_equal(errno, EDQUOT);
	assert_int_equal(tally_add(dir, 8, 1, 5), 0);
	assert_int_equal(tally_add(dir, 7, -1, -5), 0);
	assert_int_equal(tally_add(dir, 7, 1, 5), 0);
	tally_set(dir, 7, 0, 0);
	tally_set(dir, 8, 0, 0);
}

static void
bytes_are_counted_but_one_message_always_fits(void **state)
{
	(void)state;
	set_limits("0", "100");
	assert_int_equal(tally_add(dir, 7, 1, 1000), 0);
	assert_int_equal(tally_add(dir, 7, 1, 1), -1);
	tally_set(dir, 7, 1, 60);
	assert_int_equal(tally_add(dir, 7, 1, 40), 0);
	assert_int_equal(tally_add(dir, 7, 1, 1), -1);
	tally_set(dir, 7, 0, 0);
}

static void
what_is_there_corrects_it(void **state)
{
	int	fd;

	(void)state;
	set_limits("3", "0");
	tally_set(dir, 7, 3, 30);
	assert_int_equal(faccessat(dir, ".posted.7", F_OK, 0), -1);
	assert_int_equal(tally_add(dir, 7, 1, 1), 0);
	tally_set(dir, 7, 3, 30);
	assert_int_equal(tally_add(dir, 7, 1, 1), -1);
	fd = openat(dir, ".posted.7", O_RDWR);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	tally_set(dir, 7, 0, 0);	/* somebody counts now */
	assert_int_equal(faccessat(dir, ".posted.7", F_OK, 0), 0);
	assert_int_equal(pwrite(fd, "damaged", 7, 0), 7);
	assert_int_equal(ftruncate(fd, 7), 0);
	close(fd);
	assert_int_equal(tally_add(dir, 7, 1, 1), 0);
	tally_set(dir, 7, 0, 0);
	assert_int_equal(faccessat(dir, ".posted.7", F_OK, 0), -1);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(only_its_own_names_are_tallies),
		cmocka_unit_test(files_are_counted_up_to_the_limit),
		cmocka_unit_test(bytes_are_counted_but_one_message_always_fits),
		cmocka_unit_test(what_is_there_corrects_it)
	};

	return cmocka_run_group_tests(tests, make_place, remove_place);
}
