/*
 * map.c - claims about what all tables have in common.
 */
#include <time.h>

#include "t/common/map/table.h"

static void
a_name_needs_a_type_that_is_known(void **state)
{
	(void)state;
	assert_string_equal(refusal("/etc/aliases"),
	    "/etc/aliases: expected type:name");
	assert_string_equal(refusal("nonsense:x"),
	    "nonsense:x: this build has no tables of type nonsense");
	assert_non_null(strstr(refusal("texthash:/no/such/file"),
	    "texthash:/no/such/file: /no/such/file: No such file"));
}

static void
proxy_means_nothing(void **state)
{
	struct map	*m;

	(void)state;
	m = open_table("proxy:proxy:static:x");
	assert_string_equal(map_name(m), "static:x");
	assert_string_equal(answer(m, "anything"), "x");
}

static void
types_are_listed(void **state)
{
	const char *const	*types = map_types();
	bool			 has_hash = false;

	(void)state;
	for (; *types != NULL; types++)
		has_hash = has_hash || strcmp(*types, "hash") == 0;
	assert_true(has_hash);
}

static void
empty_and_endless_keys_are_in_no_table(void **state)
{
	struct map	*m = open_table("static:x");
	char		*key = pool_alloc(pool, 10000);

	(void)state;
	memset(key, 'k', 9999);
	assert_string_equal(answer(m, ""), "(none)");
	assert_string_equal(answer(m, key), "(none)");
}

static void
values_have_a_limit(void **state)
{
	char	*text = pool_alloc(pool, 40100);

	(void)state;
	memcpy(text, "key ", 4);
	memset(text + 4, 'v', 40000);
	strlcpy(text + 40004, "\nother short\n", 20);
	write_file("t", text);
	assert_string_equal(answer(open_table("texthash:t"), "key"),
	    "(error)");
	assert_string_equal(answer(open_table("texthash:t"), "other"),
	    "short");
}

static void
a_change_of_the_file_is_noticed(void **state)
{
	struct map	*m;

	(void)state;
	write_file("t", "a 1\n");
	m = open_table("texthash:t");
	assert_false(map_has_changed(m));
	write_file("u", "a 2\n");
	assert_int_equal(rename("u", "t"), 0);
	assert_true(map_has_changed(m));
	assert_int_equal(unlink("t"), 0);
	assert_false(map_has_changed(m));
	assert_string_equal(answer(m, "a"), "1");
}

static void
a_file_that_is_written_where_it_is_settles_after_a_second(void **state)
{
	struct timespec	 times[2] = { { .tv_nsec = UTIME_NOW },
			    { .tv_sec = time(NULL) - 2 } };
	struct map	*m;

	(void)state;
	write_file("t", "a 1\n");
	m = open_table("texthash:t");
	assert_true(map_is_unsettled(m));
	assert_false(map_has_changed_here(m));
	write_file("t", "");
	assert_true(map_has_changed(m));
	assert_true(map_has_changed_here(m));
	assert_true(map_is_unsettled(m));
	assert_int_equal(utimensat(AT_FDCWD, "t", times, 0), 0);
	assert_true(map_has_changed(m));
	assert_false(map_is_unsettled(m));
	write_file("u", "a 2\n");
	assert_int_equal(usleep(20000), 0);	/* the file system's tick */
	assert_int_equal(rename("u", "t"), 0);
	assert_true(map_has_changed(m));
	assert_false(map_has_changed_here(m));
	assert_false(map_is_unsettled(m));
}

static void
a_new_file_that_is_written_where_it_is_settles_too(void **state)
{
	struct map	*m;

	(void)state;
	write_file("t", "a 1\n");
	m = open_table("texthash:t");
	write_file("u", "a 2\n");		/* so that no inode comes again */
	assert_int_equal(unlink("t"), 0);
	assert_false(map_is_unsettled(m));
	write_file("t", "a");
	assert_true(map_has_changed(m));
	assert_true(map_is_unsettled(m));
}

static void
closing_twice_does_nothing(void **state)
{
	struct map	*m = open_table("static:x");

	(void)state;
	map_close(m);
	map_close(m);
	map_close(NULL);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(a_name_needs_a_type_that_is_known),
		cmocka_unit_test(proxy_means_nothing),
		cmocka_unit_test(types_are_listed),
		cmocka_unit_test(empty_and_endless_keys_are_in_no_table),
		cmocka_unit_test(values_have_a_limit),
		cmocka_unit_test(a_change_of_the_file_is_noticed),
		cmocka_unit_test(
		    a_file_that_is_written_where_it_is_settles_after_a_second),
		cmocka_unit_test(
		    a_new_file_that_is_written_where_it_is_settles_too),
		cmocka_unit_test(closing_twice_does_nothing),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
