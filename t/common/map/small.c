/*
 * small.c - claims about static, inline, texthash and fail.
 */
#include "t/common/map/table.h"

static void
static_says_always_the_same(void **state)
{
	(void)state;
	assert_string_equal(answer(open_table("static:x"), "any"), "x");
	assert_string_equal(answer(open_table("static:{ a b }"), "any"),
	    "a b");
	(void)refusal("static:");
}

static void
inline_holds_its_own_rows(void **state)
{
	struct map	*m = open_table("inline:{ A=1, {b = two words}, c= }");

	(void)state;
	assert_string_equal(answer(m, "a"), "1");
	assert_string_equal(answer(m, "B"), "two words");
	assert_string_equal(answer(m, "c"), "");
	assert_string_equal(answer(m, "d"), "(none)");
	assert_non_null(strstr(refusal("inline:{x}"),
	    "x: expected key=value"));
	(void)refusal("inline:a=b");
}

static void
texthash_reads_the_text(void **state)
{
	struct map	*m;

	(void)state;
	write_file("t", "# c\nKey  value  with words \n\"k 2\"  v2\n");
	m = open_table("texthash:t");
	assert_string_equal(answer(m, "KEY"), "value  with words");
	assert_string_equal(answer(m, "\"K 2\""), "v2");
	write_file("t", "lonely\n");
	assert_non_null(strstr(refusal("texthash:t"), "t:1: expected a key"));
}

static void
fail_always_fails(void **state)
{
	(void)state;
	assert_string_equal(answer(open_table("fail:x"), "any"), "(error)");
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(static_says_always_the_same),
		cmocka_unit_test(inline_holds_its_own_rows),
		cmocka_unit_test(texthash_reads_the_text),
		cmocka_unit_test(fail_always_fails),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
