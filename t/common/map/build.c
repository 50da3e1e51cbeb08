/*
 * build.c - claims about building and changing tables.
 */
#include "t/common/map/table.h"

static void
the_first_of_two_equal_keys_counts_with_a_warning(void **state)
{
	(void)state;
	write_file("t", "a 1\nb 2\nA 3\n");
	assert_string_equal(build("hash:t", false, 2),
	    "t:3: a is there already; the first one counts\n");
	assert_string_equal(answer(open_table("hash:t"), "a"), "1");
}

static void
a_mistake_leaves_the_old_table(void **state)
{
	(void)state;
	write_file("t", "a 1\n");
	assert_string_equal(build("hash:t", false, 1), "");
	write_file("t", " a 2\n");
	assert_non_null(strstr(build("hash:t", false, 0),
	    "t:1: a line that begins with white space"));
	assert_string_equal(answer(open_table("hash:t"), "a"), "1");
	assert_int_equal(access("t.db", F_OK), 0);
}

static void
a_line_that_is_none_is_passed_over_with_a_warning(void **state)
{
	(void)state;
	write_file("t", "a 2\nlonely\nb 3\n");
	assert_string_equal(build("hash:t", false, 2),
	    "t:2: expected a key, white space, and a value; the line is "
	    "passed over\n");
	assert_string_equal(answer(open_table("hash:t"), "b"), "3");
}

static void
nobody_sees_half_a_table(void **state)
{
	struct map	*m;
	struct stat	 before, after;

	(void)state;
	write_file("t", "a 1\n");
	assert_string_equal(build("hash:t", false, 1), "");
	m = open_table("hash:t");
	assert_int_equal(stat("t.db", &before), 0);
	write_file("t", "a 2\n");
	assert_string_equal(build("hash:t", false, 1), "");
	assert_int_equal(stat("t.db", &after), 0);
	assert_true(before.st_ino != after.st_ino);
	assert_string_equal(answer(m, "a"), "1");
	assert_true(map_has_changed(m));
	assert_string_equal(answer(open_table("hash:t"), "a"), "2");
}

static void
the_mode_of_the_table_stays(void **state)
{
	struct stat	st;

	(void)state;
	write_file("t", "a 1\n");
	assert_int_equal(chmod("t", 0640), 0);
	(void)unlink("t.db");
	assert_string_equal(build("hash:t", false, 1), "");
	assert_int_equal(stat("t.db", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(chmod("t.db", 0604), 0);
	assert_string_equal(build("hash:t", false, 1), "");
	assert_int_equal(stat("t.db", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0604);
}

static void
a_link_to_the_table_stays_a_link(void **state)
{
	struct stat	st;

	(void)state;
	assert_int_equal(mkdir("d", 0755), 0);
	write_file("l", "a 1\n");
	write_file("d/real.db", "");
	assert_int_equal(symlink("d/real.db", "l.db"), 0);
	assert_string_equal(build("hash:l", false, 1), "");
	assert_int_equal(lstat("l.db", &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_string_equal(answer(open_table("hash:d/real"), "a"), "1");
}

static void
aliases_have_colons_and_quotes(void **state)
{
	struct map	*m;

	(void)state;
	write_file("al", "Root: alice\n\"foo bar\": |\"cmd: x\"\n"
	    "list:\n   a,\n   b\n");
	assert_string_equal(build("hash:al", true, 3), "");
	m = open_table("hash:al");
	assert_string_equal(answer(m, "root"), "alice");
	assert_string_equal(answer(m, "foo bar"), "|\"cmd: x\"");
	assert_string_equal(answer(m, "list"), "a,   b");
}

static void
text_tables_are_not_built(void **state)
{
	(void)state;
	assert_non_null(strstr(build("regexp:x", false, 0), "not built"));
	assert_non_null(strstr(build("nonsense:x", false, 0),
	    "expected type:name"));
	assert_non_null(strstr(build("hash:missing", false, 0),
	    "No such file"));
	assert_int_equal(access("missing.db", F_OK), -1);
}

static void
lines_are_merged_into_a_table(void **state)
{
	struct str	 warnings;
	unsigned	 n;
	char		 first[] = "a 1\nb 2\n", second[] = "b 3\nc 4\n",
			 third[] = "b 5\n";

	(void)state;
	str_init(&warnings, pool, 0);
	assert_null(map_merge(pool, "hash:m", first, "x", 0, &n,
	    &warnings));
	assert_int_equal(n, 2);
	assert_null(map_merge(pool, "hash:m", second, "x", 0, &n,
	    &warnings));
	assert_int_equal(n, 1);
	assert_non_null(strstr(warnings.data, "x:1: b is there already"));
	assert_string_equal(answer(open_table("hash:m"), "b"), "2");
	assert_null(map_merge(pool, "hash:m", third, "x", MAP_REPLACES, &n,
	    &warnings));
	assert_string_equal(answer(open_table("hash:m"), "b"), "5");
	assert_string_equal(answer(open_table("hash:m"), "c"), "4");
}

static void
count_row(void *context, const char *key, const char *value)
{
	unsigned	*n = context;

	assert_true(strlen(key) == 1 && strlen(value) == 1);
	*n += (unsigned)(value[0] - '0');
}

static void
keys_are_put_deleted_and_walked(void **state)
{
	bool		was_there;
	unsigned	sum = 0;

	(void)state;
	assert_null(map_put(pool, "btree:p", "A", "1"));
	assert_null(map_put(pool, "btree:p", "b", "2"));
	assert_null(map_put(pool, "btree:p", "a", "4"));
	assert_null(map_walk(pool, "btree:p", count_row, &sum));
	assert_int_equal(sum, 6);
	assert_null(map_delete(pool, "btree:p", "B", &was_there));
	assert_true(was_there);
	assert_null(map_delete(pool, "btree:p", "b", &was_there));
	assert_false(was_there);
	assert_string_equal(answer(open_table("btree:p"), "b"), "(none)");
	assert_non_null(map_walk(pool, "hash:absent", count_row, &sum));
	assert_int_equal(access("absent.db", F_OK), -1);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(
		    the_first_of_two_equal_keys_counts_with_a_warning),
		cmocka_unit_test(a_mistake_leaves_the_old_table),
		cmocka_unit_test(
		    a_line_that_is_none_is_passed_over_with_a_warning),
		cmocka_unit_test(nobody_sees_half_a_table),
		cmocka_unit_test(the_mode_of_the_table_stays),
		cmocka_unit_test(a_link_to_the_table_stays_a_link),
		cmocka_unit_test(aliases_have_colons_and_quotes),
		cmocka_unit_test(text_tables_are_not_built),
		cmocka_unit_test(lines_are_merged_into_a_table),
		cmocka_unit_test(keys_are_put_deleted_and_walked),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
