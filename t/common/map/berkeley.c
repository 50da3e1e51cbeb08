/*
 * berkeley.c - claims about tables of Berkeley DB, ours and others'.
 */
#include "t/common/map/table.h"

#include <db.h>
#include <sys/file.h>

/* A file as another program writes it: keys with or without their NUL. */
static void
write_foreign(const char *path, DBTYPE type, const char *key, bool has_nul,
    const char *value)
{
	DB	*db;
	DBT	 k = { .data = (void *)(uintptr_t)key,
		     .size = (u_int32_t)(strlen(key) + has_nul) };
	DBT	 v = { .data = (void *)(uintptr_t)value,
		     .size = (u_int32_t)(strlen(value) + has_nul) };

	assert_int_equal(db_create(&db, NULL, 0), 0);
	assert_int_equal(db->open(db, NULL, path, NULL, type,
	    DB_CREATE | DB_TRUNCATE, 0644), 0);
	assert_int_equal(db->put(db, NULL, &k, &v, 0), 0);
	assert_int_equal(db->close(db, 0), 0);
}

/* Wait until a write would get another time than this file has. */
static void
let_time_pass(const char *path)
{
	struct stat	st, probe;

	assert_int_equal(stat(path, &st), 0);
	do {
		write_file("probe", "x");
		assert_int_equal(stat("probe", &probe), 0);
	} while (probe.st_mtim.tv_sec == st.st_mtim.tv_sec &&
	    probe.st_mtim.tv_nsec == st.st_mtim.tv_nsec);
}

static void
keys_of_others_are_found_with_and_without_nul(void **state)
{
	(void)state;
	write_foreign("a.db", DB_HASH, "key", true, "with");
	assert_string_equal(answer(open_table("hash:a"), "KEY"), "with");
	write_foreign("b.db", DB_HASH, "key", false, "without");
	assert_string_equal(answer(open_table("hash:b"), "key"), "without");
	assert_string_equal(answer(open_table("hash:b"), "ke"), "(none)");
}

/* Postfix reads what we write: key and value end with a NUL that counts. */
static void
what_we_build_has_the_nuls(void **state)
{
	DB	*db;
	DBT	 k = { .data = (void *)(uintptr_t)"alice", .size = 6 };
	DBT	 v = { 0 };

	(void)state;
	write_file("t", "Alice  bob\n");
	assert_string_equal(build("hash:t", false, 1), "");
	assert_int_equal(db_create(&db, NULL, 0), 0);
	assert_int_equal(db->open(db, NULL, "t.db", NULL, DB_HASH, DB_RDONLY,
	    0), 0);
	assert_int_equal(db->get(db, NULL, &k, &v, 0), 0);
	assert_int_equal(v.size, 4);
	assert_memory_equal(v.data, "bob", 4);
	assert_int_equal(db->close(db, 0), 0);
}

static void
a_tree_is_not_a_hash(void **state)
{
	(void)state;
	write_foreign("c.db", DB_BTREE, "k", true, "v");
	assert_string_equal(answer(open_table("btree:c"), "k"), "v");
	assert_non_null(strstr(refusal("hash:c"), "not a complete table"));
}

static void
a_missing_table_says_how_to_get_it(void **state)
{
	(void)state;
	assert_non_null(strstr(refusal("hash:none"),
	    "none.db: no such file (build it with"));
}

static void
half_a_table_is_no_table(void **state)
{
	(void)state;
	write_file("e.db", "");
	assert_non_null(strstr(refusal("hash:e"), "not a complete table"));
	write_file("e.db", "rubbish that is no page");
	assert_non_null(strstr(refusal("hash:e"), "not a complete table"));
}

static void
a_table_rewritten_in_place_is_read_anew(void **state)
{
	struct map	*m;

	(void)state;
	write_foreign("f.db", DB_HASH, "k", true, "old");
	m = open_table("hash:f");
	assert_string_equal(answer(m, "k"), "old");
	let_time_pass("f.db");
	write_foreign("f.db", DB_HASH, "k", true, "new");
	assert_string_equal(answer(m, "k"), "new");
	assert_true(map_has_changed(m));
}

static void
a_table_destroyed_in_place_is_a_temporary_failure(void **state)
{
	struct map	*m;

	(void)state;
	write_foreign("g.db", DB_HASH, "k", true, "old");
	m = open_table("hash:g");
	assert_string_equal(answer(m, "k"), "old");
	let_time_pass("g.db");
	write_file("g.db", "rubb");
	assert_string_equal(answer(m, "k"), "(error)");
	assert_string_equal(answer(m, "other"), "(error)");
	let_time_pass("g.db");
	write_file("g.db", "");
	write_foreign("g.db", DB_HASH, "k", true, "again");
	assert_string_equal(answer(m, "k"), "again");
}

static void
a_locked_table_is_asked_again_later(void **state)
{
	struct map	*m;
	char		*value, *why;
	int		 fd;

	(void)state;
	write_foreign("h.db", DB_HASH, "k", true, "v");
	m = open_table("hash:h");
	fd = open("h.db", O_RDWR);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(map_find(m, pool, "k", &value, &why), MAP_ERROR);
	assert_int_equal(errno, EAGAIN);
	assert_non_null(strstr(why, "being written"));
	close(fd);
	assert_string_equal(answer(m, "k"), "v");
}

static void
nothing_of_a_lock_stays_behind(void **state)
{
	struct map	*m;
	int		 fd;

	(void)state;
	write_foreign("i.db", DB_HASH, "k", true, "v");
	m = open_table("hash:i");
	assert_string_equal(answer(m, "k"), "v");
	fd = open("i.db", O_RDWR);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(
		    keys_of_others_are_found_with_and_without_nul),
		cmocka_unit_test(what_we_build_has_the_nuls),
		cmocka_unit_test(a_tree_is_not_a_hash),
		cmocka_unit_test(a_missing_table_says_how_to_get_it),
		cmocka_unit_test(half_a_table_is_no_table),
		cmocka_unit_test(a_table_rewritten_in_place_is_read_anew),
		cmocka_unit_test(
		    a_table_destroyed_in_place_is_a_temporary_failure),
		cmocka_unit_test(a_locked_table_is_asked_again_later),
		cmocka_unit_test(nothing_of_a_lock_stays_behind),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
