/*
 * source.c - claims about the text of tables.
 */
#include "t/common/map/table.h"

#include "common/map/inside.h"

static struct str	seen;

static const char *
note(struct map *m, char *text, unsigned number)
{
	(void)m;
	str_addf(&seen, "%u<%s>", number, text);
	return strcmp(text, "bad") == 0 ? "it is bad" : NULL;
}

/* The logical lines of a text, with their numbers; or why not. */
static const char *
lines(const char *text)
{
	struct map	 m = { .pool = pool };
	const char	*why;

	str_init(&seen, pool, 0);
	why = map_text_lines(&m, "t", pool_strdup(pool, text), note);
	return why != NULL ? why : seen.data;
}

static void
lines_are_joined_and_counted(void **state)
{
	(void)state;
	assert_string_equal(lines(""), "");
	assert_string_equal(lines("\n\n# a\n   # b\n"), "");
	assert_string_equal(lines("a b\nc\n"), "1<a b>2<c>");
	assert_string_equal(lines("a\n  b\n# x\n\n\tc\nd"),
	    "1<a  b\tc>6<d>");
	assert_string_equal(lines("a  \r\nb\r\n"), "1<a>2<b>");
}

static void
mistakes_have_a_place(void **state)
{
	(void)state;
	assert_string_equal(lines("a\n\nbad\nc\n"), "t:3: it is bad");
	assert_non_null(strstr(lines("# x\n  a\n"),
	    "t:2: a line that begins with white space"));
}

static void
keys_and_values_are_cut(void **state)
{
	char	*key, *value;
	char	 plain[] = "key \t v w", quoted[] = "\"a b\" v";
	char	 inner[] = "\"a b\"@c v", lonely[] = "key";

	(void)state;
	assert_null(map_cut_line(plain, &key, &value));
	assert_string_equal(key, "key");
	assert_string_equal(value, "v w");
	assert_null(map_cut_line(quoted, &key, &value));
	assert_string_equal(key, "\"a b\"");
	assert_null(map_cut_line(inner, &key, &value));
	assert_string_equal(key, "\"a b\"@c");
	assert_non_null(map_cut_line(lonely, &key, &value));
}

static void
aliases_are_cut_at_their_colon(void **state)
{
	char	*key, *value;
	char	 plain[] = "name: a, b", spaced[] = "name  : x";
	char	 quoted[] = "\"a: b\": c:d", no_colon[] = "name a";
	char	 no_name[] = ": a", no_value[] = "a:";

	(void)state;
	assert_null(map_cut_alias(pool, plain, &key, &value));
	assert_string_equal(key, "name");
	assert_string_equal(value, "a, b");
	assert_null(map_cut_alias(pool, spaced, &key, &value));
	assert_string_equal(key, "name");
	assert_null(map_cut_alias(pool, quoted, &key, &value));
	assert_string_equal(key, "a: b");
	assert_string_equal(value, "c:d");
	assert_non_null(map_cut_alias(pool, no_colon, &key, &value));
	assert_non_null(map_cut_alias(pool, no_name, &key, &value));
	assert_non_null(map_cut_alias(pool, no_value, &key, &value));
}

static void
a_file_with_nul_is_no_text(void **state)
{
	FILE	*f = fopen("n", "w");

	(void)state;
	assert_non_null(f);
	assert_int_equal(fwrite("a b\0c\n", 1, 6, f), 6);
	assert_int_equal(fclose(f), 0);
	assert_non_null(strstr(refusal("texthash:n"), "NUL"));
	assert_non_null(strstr(refusal("texthash:/dev/null"), "/dev/null: "));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(lines_are_joined_and_counted),
		cmocka_unit_test(mistakes_have_a_place),
		cmocka_unit_test(keys_and_values_are_cut),
		cmocka_unit_test(aliases_are_cut_at_their_colon),
		cmocka_unit_test(a_file_with_nul_is_no_text),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
