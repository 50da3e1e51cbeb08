/*
 * many.c - claims about tables made of tables.
 */
#include "t/common/map/table.h"

static void
pipemap_asks_the_next_what_the_last_said(void **state)
{
	struct map	*m = open_table("pipemap:{inline:{a=b, c=d}, "
			    "inline:{b=e}}");

	(void)state;
	assert_string_equal(answer(m, "a"), "e");
	assert_string_equal(answer(m, "c"), "(none)");
	assert_string_equal(answer(m, "x"), "(none)");
}

static void
unionmap_joins_all_answers(void **state)
{
	struct map	*m = open_table("unionmap:{inline:{a=1}, "
			    "inline:{a=2, b=3}}");

	(void)state;
	assert_string_equal(answer(m, "a"), "1,2");
	assert_string_equal(answer(m, "b"), "3");
	assert_string_equal(answer(m, "c"), "(none)");
	assert_string_equal(answer(open_table(
	    "unionmap:{inline:{a=1}, fail:x}"), "a"), "(error)");
}

static void
randmap_says_one_of_its_words(void **state)
{
	struct map	*m = open_table("randmap:{x,y}");
	const char	*said;
	bool		 has_x = false, has_y = false;
	int		 i;

	(void)state;
	for (i = 0; i < 200; i++) {
		said = answer(m, "key");
		has_x = has_x || strcmp(said, "x") == 0;
		has_y = has_y || strcmp(said, "y") == 0;
		assert_int_equal(strlen(said), 1);
	}
	assert_true(has_x && has_y);
}

static void
a_change_below_is_a_change(void **state)
{
	struct map	*m;

	(void)state;
	write_file("t", "a 1\n");
	m = open_table("unionmap:{static:x, texthash:t}");
	assert_false(map_has_changed(m));
	write_file("u", "a 2\n");
	assert_int_equal(rename("u", "t"), 0);
	assert_true(map_has_changed(m));
}

static void
mistakes_name_the_part(void **state)
{
	(void)state;
	assert_non_null(strstr(refusal("pipemap:{static:x, nonsense:y}"),
	    "nonsense"));
	assert_non_null(strstr(refusal("unionmap:x"), "expected {"));
	assert_non_null(strstr(refusal("randmap:{ }"), "at least one"));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(pipemap_asks_the_next_what_the_last_said),
		cmocka_unit_test(unionmap_joins_all_answers),
		cmocka_unit_test(randmap_says_one_of_its_words),
		cmocka_unit_test(a_change_below_is_a_change),
		cmocka_unit_test(mistakes_name_the_part),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
