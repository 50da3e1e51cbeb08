/*
 * cdb.c - claims about constant databases.
 */
#include "t/common/map/table.h"

#ifdef HAVE_CDB
#include <cdb.h>

static void
what_is_built_is_found(void **state)
{
	struct map	*m;

	(void)state;
	write_file("t", "Alice bob\ncarol dave\n");
	assert_string_equal(build("cdb:t", false, 2), "");
	m = open_table("cdb:t");
	assert_string_equal(answer(m, "ALICE"), "bob");
	assert_string_equal(answer(m, "carol"), "dave");
	assert_string_equal(answer(m, "nobody"), "(none)");
}

static void
the_first_of_equal_keys_counts_unless_the_last_shall(void **state)
{
	struct str	warnings;
	unsigned	n = 0;

	(void)state;
	write_file("d", "a one\nb two\na three\n");
	assert_non_null(strstr(build("cdb:d", false, 2), "a is there"));
	assert_string_equal(answer(open_table("cdb:d"), "a"), "one");
	str_init(&warnings, pool, 0);
	assert_null(map_build(pool, "cdb:d", MAP_REPLACES, &n, &warnings));
	assert_int_equal(warnings.len, 0);
	assert_string_equal(answer(open_table("cdb:d"), "a"), "three");
	assert_string_equal(answer(open_table("cdb:d"), "b"), "two");
}

/* Other programs count the NUL behind keys and values. */
static void
a_key_with_its_nul_is_found(void **state)
{
	struct cdb_make	*make = pool_alloc(pool, sizeof(*make));
	int		 fd = open("n.cdb", O_RDWR | O_CREAT | O_EXCL, 0600);

	(void)state;
	assert_int_equal(cdb_make_start(make, fd), 0);
	assert_int_equal(cdb_make_add(make, "key", 4, "value", 6), 0);
	assert_int_equal(cdb_make_finish(make), 0);
	close(fd);
	assert_string_equal(answer(open_table("cdb:n"), "key"), "value");
}

static void
note(void *context, const char *key, const char *value)
{
	struct str	*all = context;

	str_addf(all, "%s=%s;", key, value);
}

static void
a_walk_shows_every_row(void **state)
{
	struct str	all;

	(void)state;
	write_file("w", "a b\nc d e\n");
	assert_string_equal(build("cdb:w", false, 2), "");
	str_init(&all, pool, 0);
	assert_null(map_walk(pool, "cdb:w", note, &all));
	assert_string_equal(all.data, "a=b;c=d e;");
}

static void
single_keys_are_not_changed(void **state)
{
	bool	was_there;

	(void)state;
	write_file("c", "a b\n");
	assert_string_equal(build("cdb:c", false, 1), "");
	assert_non_null(strstr(map_put(pool, "cdb:c", "a", "x"),
	    "built as a whole"));
	assert_non_null(strstr(map_delete(pool, "cdb:c", "a", &was_there),
	    "built as a whole"));
	assert_string_equal(answer(open_table("cdb:c"), "a"), "b");
}

static void
a_new_build_is_noticed(void **state)
{
	struct map	*m;

	(void)state;
	write_file("x", "a b\n");
	assert_string_equal(build("cdb:x", false, 1), "");
	m = open_table("cdb:x");
	assert_false(map_has_changed(m));
	write_file("x", "a c\n");
	assert_string_equal(build("cdb:x", false, 1), "");
	assert_true(map_has_changed(m));
	assert_string_equal(answer(m, "a"), "b");
	assert_string_equal(answer(open_table("cdb:x"), "a"), "c");
}

static void
rubbish_is_no_table_and_a_damaged_one_no_answer(void **state)
{
	unsigned char	 index[16];
	int		 fd;

	(void)state;
	write_file("r.cdb", "");
	assert_non_null(strstr(refusal("cdb:r"), "no constant database"));
	write_file("r.cdb", "something else altogether");
	assert_non_null(strstr(refusal("cdb:r"), "no constant database"));
	assert_non_null(strstr(refusal("cdb:none"), "no such file"));

	/* Every index points behind the end of the file. */
	memset(index, 0x7f, sizeof(index));
	write_file("l", "a b\n");
	assert_string_equal(build("cdb:l", false, 1), "");
	assert_true((fd = open("l.cdb", O_WRONLY)) != -1);
	for (int i = 0; i < 2048 / (int)sizeof(index); i++)
		assert_int_equal(write(fd, index, sizeof(index)),
		    sizeof(index));
	close(fd);
	assert_non_null(strstr(refusal("cdb:l"), "damaged"));
}

/* Make a file over the old one, without another name in between. */
static void
overwrite(const char *path, const void *content, size_t len)
{
	int	fd = open(path, O_WRONLY | O_TRUNC);

	assert_true(fd != -1);
	assert_int_equal(write(fd, content, len), len);
	close(fd);
}

static void
a_file_that_is_cut_or_written_over_is_a_failure_until_it_is_whole(void **state)
{
	static const char	zeros[4096];
	static char		whole[4096];
	struct map		*m;
	size_t			 len;
	int			 fd;

	(void)state;
	write_file("o", "a b\nc d\n");
	assert_string_equal(build("cdb:o", false, 2), "");
	assert_true((fd = open("o.cdb", O_RDONLY)) != -1);
	len = (size_t)read(fd, whole, sizeof(whole));
	close(fd);
	m = open_table("cdb:o");

	overwrite("o.cdb", whole, 0);
	assert_string_equal(answer(m, "a"), "(error)");
	overwrite("o.cdb", whole, 2048);
	assert_string_equal(answer(m, "nobody"), "(error)");
	overwrite("o.cdb", whole, len - 1);
	assert_string_equal(answer(m, "nobody"), "(error)");
	/* The head comes last. */
	overwrite("o.cdb", zeros, len);
	assert_string_equal(answer(m, "a"), "(error)");
	overwrite("o.cdb", whole, len);
	assert_string_equal(answer(m, "a"), "b");
	assert_string_equal(answer(m, "nobody"), "(none)");
}

#else

static void
a_build_without_the_library_says_so(void **state)
{
	(void)state;
	assert_non_null(strstr(refusal("cdb:t"),
	    "this build has no tables of type cdb"));
}
#endif

int
main(void)
{
	const struct CMUnitTest	tests[] = {
#ifdef HAVE_CDB
		cmocka_unit_test(what_is_built_is_found),
		cmocka_unit_test(
		    the_first_of_equal_keys_counts_unless_the_last_shall),
		cmocka_unit_test(a_key_with_its_nul_is_found),
		cmocka_unit_test(a_walk_shows_every_row),
		cmocka_unit_test(single_keys_are_not_changed),
		cmocka_unit_test(a_new_build_is_noticed),
		cmocka_unit_test(
		    rubbish_is_no_table_and_a_damaged_one_no_answer),
		cmocka_unit_test(
	    a_file_that_is_cut_or_written_over_is_a_failure_until_it_is_whole),
#else
		cmocka_unit_test(a_build_without_the_library_says_so),
#endif
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
