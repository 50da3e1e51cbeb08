/*
 * maps.c - claims about lists of tables and the keys of addresses.
 */
#include "t/common/map/table.h"

static struct maps *
open_tables(const char *list)
{
	struct maps	*all;
	char		*why = NULL;

	if ((all = maps_open(pool, list, &why)) == NULL)
		fail_msg("%s", why);
	return all;
}

static void
the_first_table_that_knows_answers(void **state)
{
	struct maps	*all = open_tables("inline:{ a=1, b=2 }, "
			    "inline:{ b=3 c=4 },\n\tstatic:9");
	char		*value, *why;

	(void)state;
	assert_int_equal(maps_find(all, pool, "b", &value, &why), MAP_FOUND);
	assert_string_equal(value, "2");
	assert_int_equal(maps_find(all, pool, "c", &value, &why), MAP_FOUND);
	assert_string_equal(value, "4");
	assert_int_equal(maps_find(all, pool, "z", &value, &why), MAP_FOUND);
	assert_string_equal(value, "9");
}

static void
a_table_that_fails_ends_the_search(void **state)
{
	struct maps	*all = open_tables("inline:{a=1} fail:x static:9");
	char		*value, *why;

	(void)state;
	assert_int_equal(maps_find(all, pool, "a", &value, &why), MAP_FOUND);
	assert_int_equal(maps_find(all, pool, "b", &value, &why), MAP_ERROR);
	assert_non_null(strstr(why, "fail:x"));
}

static void
an_empty_list_knows_nothing(void **state)
{
	struct maps	*all = open_tables(" , ");
	char		*value, *why;

	(void)state;
	assert_true(maps_are_empty(all));
	assert_int_equal(maps_find(all, pool, "a", &value, &why),
	    MAP_NOT_FOUND);
}

static void
one_bad_table_spoils_the_list_or_only_its_answers(void **state)
{
	struct maps	*all;
	char		*value, *why = NULL;

	(void)state;
	assert_null(maps_open(pool, "static:x nonsense:y", &why));
	assert_non_null(strstr(why, "nonsense"));
	all = maps_open_all(pool, "inline:{a=1} nonsense:y", &why);
	assert_non_null(strstr(why, "nonsense"));
	assert_int_equal(maps_find(all, pool, "a", &value, &why), MAP_FOUND);
	assert_int_equal(maps_find(all, pool, "b", &value, &why), MAP_ERROR);
	assert_true(maps_have_changed(all));
}

/* "value/extension" of an address, "-" for none. */
static const char *
found(const char *list, const char *address, bool is_ours)
{
	char	*value, *extension, *why;

	switch (maps_find_address(open_tables(list), pool, address, "+-",
	    is_ours, &value, &extension, &why)) {
	case MAP_FOUND:
		return pool_printf(pool, "%s/%s", value,
		    extension == NULL ? "" : extension);
	case MAP_NOT_FOUND:
		return "-";
	default:
		return "error";
	}
}

static void
addresses_are_asked_from_special_to_general(void **state)
{
	static const char *const	lists[][2] = {
		{ "inline:{ u+x@d=1, u@d=2, u+x=3, u=4, @d=5 }", "1/" },
		{ "inline:{ u@d=2, u+x=3, u=4, @d=5 }", "2/+X" },
		{ "inline:{ u+x=3, u=4, @d=5 }", "3/" },
		{ "inline:{ u=4, @d=5 }", "4/+X" },
		{ "inline:{ @d=5, d=6 }", "5/" },
		{ "inline:{ d=6 }", "-" }
	};
	size_t				i;

	(void)state;
	for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		assert_string_equal(found(lists[i][0], "U+X@D", true),
		    lists[i][1]);
}

static void
local_parts_are_keys_only_in_our_domains(void **state)
{
	(void)state;
	assert_string_equal(found("inline:{ u=4, @d=5 }", "u@d", false),
	    "5/");
	assert_string_equal(found("inline:{ u=4 }", "u@d", false), "-");
}

static void
quoted_local_parts_are_keys_with_and_without_quotes(void **state)
{
	(void)state;
	assert_string_equal(found("inline:{ {a b@d = 1} }", "\"a b\"@d",
	    false), "1/");
	assert_string_equal(found("inline:{ {\"a b\"@d = 2} }", "\"a b\"@d",
	    false), "2/");
	assert_string_equal(found("inline:{ {\"a b\" = 3} }", "\"a b\"@d",
	    true), "3/");
}

static void
patterns_see_whole_addresses_only(void **state)
{
	(void)state;
	write_file("re", "/^u$/ part\n/^@d$/ domain\n/^u@d$/ whole\n");
	assert_string_equal(found("regexp:re", "u+x@d", true), "whole/+x");
	assert_string_equal(found("regexp:re", "v@d", true), "-");
}

static const char *
taking(const char *list, bool at_start)
{
	char		*why;
	struct maps	*all = maps_open(pool, list, &why);
	const char	*name;

	assert_non_null(all);
	name = maps_taking_parts(all, at_start);
	return name == NULL ? "(none)" : name;
}

static void
results_with_parts_of_the_key_are_known(void **state)
{
	(void)state;
	assert_string_equal(taking("inline:{a=$1}, regexp:{ {/a/ b$$} }",
	    false), "(none)");
	assert_string_equal(taking("inline:{a=b}, regexp:{ {/(a)/ b$1} }",
	    false), "regexp:{ {/(a)/ b$1} }");
	assert_string_equal(taking("regexp:{ {/(a)/ b$1} }", true), "(none)");
	assert_string_not_equal(taking("regexp:{ {/(a)/ $1} }", true),
	    "(none)");
	assert_string_not_equal(taking("regexp:{ {/(a)/ FILTER  ${1}x} }",
	    true), "(none)");
	assert_string_equal(taking("regexp:{ {/(a)/ FILTER x:$1} }", true),
	    "(none)");
	assert_string_not_equal(taking("pipemap:{ inline:{a=b}, "
	    "unionmap:{ regexp:{ {/(a)/ $1} } } }", true), "(none)");
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(the_first_table_that_knows_answers),
		cmocka_unit_test(a_table_that_fails_ends_the_search),
		cmocka_unit_test(an_empty_list_knows_nothing),
		cmocka_unit_test(
		    one_bad_table_spoils_the_list_or_only_its_answers),
		cmocka_unit_test(addresses_are_asked_from_special_to_general),
		cmocka_unit_test(local_parts_are_keys_only_in_our_domains),
		cmocka_unit_test(
		    quoted_local_parts_are_keys_with_and_without_quotes),
		cmocka_unit_test(patterns_see_whole_addresses_only),
		cmocka_unit_test(results_with_parts_of_the_key_are_known),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
