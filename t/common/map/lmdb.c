/*
 * lmdb.c - claims about tables of LMDB.
 */
#include "t/common/map/table.h"

#ifdef HAVE_LMDB
static void
what_is_built_is_found(void **state)
{
	struct map	*m;
	bool		 was_there;

	(void)state;
	write_file("t", "Alice bob\ncarol dave\n");
	assert_string_equal(build("lmdb:t", false, 2), "");
	m = open_table("lmdb:t");
	assert_string_equal(answer(m, "ALICE"), "bob");
	assert_string_equal(answer(m, "nobody"), "(none)");
	assert_null(map_put(pool, "lmdb:t", "Erin", "frank"));
	assert_string_equal(answer(m, "erin"), "frank");
	assert_null(map_delete(pool, "lmdb:t", "carol", &was_there));
	assert_true(was_there);
	assert_string_equal(answer(m, "carol"), "(none)");
	assert_null(map_delete(pool, "lmdb:t", "carol", &was_there));
	assert_false(was_there);
}

static void
a_file_that_is_cut_is_a_failure(void **state)
{
	struct map	*m;

	(void)state;
	write_file("cut", "a b\n");
	assert_string_equal(build("lmdb:cut", false, 1), "");
	m = open_table("lmdb:cut");
	assert_string_equal(answer(m, "a"), "b");
	assert_int_equal(truncate("cut.lmdb", 8192), 0);
	assert_string_equal(answer(m, "a"), "(error)");
	assert_non_null(strstr(refusal("lmdb:cut"), "MDB_CORRUPTED"));
	assert_int_equal(truncate("cut.lmdb", 0), 0);
	assert_string_equal(answer(m, "a"), "(error)");
}

static void
rubbish_is_no_table(void **state)
{
	(void)state;
	write_file("r.lmdb", "");
	(void)refusal("lmdb:r");
	write_file("r.lmdb", "something else altogether");
	(void)refusal("lmdb:r");
	assert_non_null(strstr(refusal("lmdb:none"), "no such file"));
}

static void
a_key_longer_than_any_is_not_there(void **state)
{
	char	*key = pool_alloc(pool, 1001);

	(void)state;
	memset(key, 'k', 1000);
	write_file("l", "a b\n");
	assert_string_equal(build("lmdb:l", false, 1), "");
	assert_string_equal(answer(open_table("lmdb:l"), key), "(none)");
}

#else

static void
a_build_without_the_library_says_so(void **state)
{
	(void)state;
	assert_non_null(strstr(refusal("lmdb:t"),
	    "this build has no tables of type lmdb"));
}
#endif

int
main(void)
{
	const struct CMUnitTest	tests[] = {
#ifdef HAVE_LMDB
		cmocka_unit_test(what_is_built_is_found),
		cmocka_unit_test(a_file_that_is_cut_is_a_failure),
		cmocka_unit_test(rubbish_is_no_table),
		cmocka_unit_test(a_key_longer_than_any_is_not_there),
#else
		cmocka_unit_test(a_build_without_the_library_says_so),
#endif
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
