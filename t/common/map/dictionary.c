/*
 * dictionary.c - claims about keys and values in memory.
 */
#include "t/common/map/table.h"

#include "common/map/inside.h"

static void
every_key_of_many_is_found(void **state)
{
	struct dictionary	*d = dictionary_new(pool);
	char			 key[20], value[20];
	int			 i;

	(void)state;
	assert_null(dictionary_find(d, "x"));
	for (i = 0; i < 1000; i++) {
		snprintf(key, sizeof key, "Key%d", i * 7919 % 1000);
		snprintf(value, sizeof value, "%d", i * 7919 % 1000);
		dictionary_add(d, key, value);
	}
	for (i = 0; i < 1000; i++) {
		snprintf(key, sizeof key, "key%d", i);
		snprintf(value, sizeof value, "%d", i);
		assert_string_equal(dictionary_find(d, key), value);
	}
	assert_null(dictionary_find(d, "key1000"));
	assert_null(dictionary_find(d, "a"));
	assert_null(dictionary_find(d, "z"));
}

static void
the_first_value_of_a_key_counts(void **state)
{
	struct dictionary	*d = dictionary_new(pool);

	(void)state;
	dictionary_add(d, "b", "1");
	dictionary_add(d, "B", "2");
	dictionary_add(d, "a", "3");
	dictionary_add(d, "b", "4");
	assert_string_equal(dictionary_find(d, "b"), "1");
	dictionary_add(d, "0", "5");
	assert_string_equal(dictionary_find(d, "0"), "5");
	assert_string_equal(dictionary_find(d, "b"), "1");
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(every_key_of_many_is_found),
		cmocka_unit_test(the_first_value_of_a_key_counts),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
