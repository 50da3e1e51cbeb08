/*
 * plain.c - claims about tables whose text is at hand.
 */
#include "t/common/map/table.h"

static struct str	seen;

static void
note(void *context, const char *key, const char *value)
{
	(void)context;
	str_addf(&seen, "%s=%s;", key, value);
}

static void
each_type_has_its_file(void **state)
{
	(void)state;
	assert_string_equal(map_file(pool, "hash:/a"), "/a.db");
	assert_string_equal(map_file(pool, "proxy:btree:/a"), "/a.db");
	assert_string_equal(map_file(pool, "lmdb:/a"), "/a.lmdb");
	assert_string_equal(map_file(pool, "cdb:/a"), "/a.cdb");
	assert_string_equal(map_file(pool, "texthash:/a"), "/a");
	assert_null(map_file(pool, "inline:{a=b}"));
	assert_null(map_file(pool, "regexp:{{/a/ b}}"));
	assert_null(map_file(pool, "static:x"));
}

static void
inline_and_texthash_are_text(void **state)
{
	(void)state;
	assert_true(map_is_text("inline:{a=b}"));
	assert_true(map_is_text("proxy:texthash:/a"));
	assert_false(map_is_text("hash:/a"));
	assert_false(map_is_text("/a"));
}

static void
each_key_is_walked_once(void **state)
{
	(void)state;
	str_init(&seen, pool, 0);
	assert_null(map_walk_text(pool, "inline:{ B=1, { a = x y }, b=2 }",
	    note, NULL));
	assert_string_equal(seen.data, "a=x y;b=1;");
}

static void
what_cannot_be_read_is_told(void **state)
{
	const char	*why;

	(void)state;
	str_init(&seen, pool, 0);
	why = map_walk_text(pool, "texthash:/no/such", note, NULL);
	assert_non_null(why);
	assert_non_null(strstr(why, "texthash:/no/such: "));
	assert_string_equal(seen.data, "");
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(each_type_has_its_file),
		cmocka_unit_test(inline_and_texthash_are_text),
		cmocka_unit_test(each_key_is_walked_once),
		cmocka_unit_test(what_cannot_be_read_is_told)
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
