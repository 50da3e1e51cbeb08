/*
 * maincf.c - claims about main.cf in memory.
 */
#include "files.h"

#include "common/param/maincf.h"

/* A file with this text. */
static struct maincf *
read_text(const char *text)
{
	char		*why;
	struct maincf	*mc;

	mc = maincf_read(pool, write_file("main.cf", text), &why);
	assert_non_null(mc);
	assert_null(why);
	return mc;
}

static void
setting_knows_value_file_and_line(void **state)
{
	const struct setting	*s;
	struct maincf		*mc;

	(void)state;
	mc = read_text("# x\nname=  a b  \nother =\n  c,\n  d\n");
	s = maincf_find(mc, "name");
	assert_string_equal(s->value, "a b");
	assert_int_equal(s->line, 2);
	assert_string_equal(maincf_where(pool, s),
	    pool_printf(pool, "%s/main.cf:2", directory));
	s = maincf_find(mc, "other");
	assert_string_equal(s->value, "c,  d");
	assert_int_equal(s->line, 3);
	assert_null(maincf_find(mc, "NAME"));
}

static void
last_setting_wins_and_the_first_is_remembered(void **state)
{
	struct maincf	*mc;

	(void)state;
	mc = read_text("a = 1\nb = 2\na = 3\n");
	assert_string_equal(maincf_find(mc, "a")->value, "3");
	assert_string_equal(maincf_at(mc, 0)->name, "b");
	assert_string_equal(maincf_at(mc, 1)->name, "a");
	assert_null(maincf_at(mc, 2));
	assert_int_equal(maincf_hidden(mc, 0)->line, 1);
	assert_null(maincf_hidden(mc, 1));
}

static void
value_may_hold_an_equals_sign_and_be_empty(void **state)
{
	struct maincf	*mc;

	(void)state;
	mc = read_text("a = b=c\nd =\n");
	assert_string_equal(maincf_find(mc, "a")->value, "b=c");
	assert_string_equal(maincf_find(mc, "d")->value, "");
}

static void
carriage_returns_are_white_space(void **state)
{
	struct maincf	*mc;

	(void)state;
	mc = read_text("a = b\r\n\r\nc = d\r\n");
	assert_string_equal(maincf_find(mc, "a")->value, "b");
	assert_string_equal(maincf_find(mc, "c")->value, "d");
}

static void
line_that_is_no_setting_is_an_error_with_its_place(void **state)
{
	static const char *const	bad[] = {
		"a = 1\nnonsense\n", "a = 1\n= 2\n", "a = 1\nb c = 2\n"
	};
	char				*why;
	size_t				 i;

	(void)state;
	for (i = 0; i < 3; i++) {
		assert_null(maincf_read(pool, write_file("main.cf", bad[i]),
		    &why));
		assert_non_null(strstr(why,
		    "main.cf:2: expected name = value"));
	}
}

static void
override_wins_and_says_where_it_is_from(void **state)
{
	struct maincf	*mc;

	(void)state;
	mc = read_text("a = 1\n");
	maincf_set(mc, "a", "2", "master.cf:7");
	assert_string_equal(maincf_find(mc, "a")->value, "2");
	assert_string_equal(maincf_where(pool, maincf_find(mc, "a")),
	    "master.cf:7");
	assert_null(maincf_hidden(mc, 0));
}

static void
override_may_name_what_was_before(void **state)
{
	struct maincf	*mc = read_text("a = 1\nab = 3\n");

	(void)state;
	maincf_set(mc, "a", "$a/x ${a}$ab $$a ${a?y}", "-o");
	assert_string_equal(maincf_text(mc, "a"), "1/x 1$ab $$a ${a?y}");
	maincf_default(mc, "d", "$ab");
	maincf_set(mc, "d", "<$d>", "-o");
	assert_string_equal(maincf_text(mc, "d"), "<$ab>");
	maincf_set(mc, "new", "$new", "-o");
	assert_string_equal(maincf_text(mc, "new"), "$new");
}

static void
default_counts_until_something_is_set(void **state)
{
	struct maincf	*mc = maincf_empty(pool);

	(void)state;
	assert_null(maincf_text(mc, "a"));
	maincf_default(mc, "a", "1");
	assert_string_equal(maincf_text(mc, "a"), "1");
	assert_null(maincf_find(mc, "a"));
	maincf_set(mc, "a", "2", "test");
	assert_string_equal(maincf_text(mc, "a"), "2");
	assert_string_equal(maincf_where(pool, NULL), "default");
}

static void
names_used_by_values_are_noted(void **state)
{
	struct maincf	*mc;

	(void)state;
	mc = read_text("a = $b ${c?{$d}} $(e) $$f ${{$g} == {h} ? {i}}\n");
	assert_true(maincf_is_used(mc, "b"));
	assert_true(maincf_is_used(mc, "c"));
	assert_true(maincf_is_used(mc, "d"));
	assert_true(maincf_is_used(mc, "e"));
	assert_false(maincf_is_used(mc, "f"));
	assert_true(maincf_is_used(mc, "g"));
	assert_false(maincf_is_used(mc, "h"));
	maincf_note_uses(mc, "$f");
	assert_true(maincf_is_used(mc, "f"));
}

static void
a_file_that_says_the_same_is_the_same(void **state)
{
	const struct maincf	*before;

	(void)state;
	before = read_text("a = $b\nc = 1\n");
	assert_true(maincf_is_same(before, read_text("# x\nc=1\na = $b\n")));
	assert_false(maincf_is_same(before, read_text("a = $b\n")));
	assert_false(maincf_is_same(before, read_text("a = $b\nc = 2\n")));
	assert_false(maincf_is_same(before, read_text("a = $b\nd = 1\n")));
	assert_false(maincf_is_same(read_text("a = 1\n"),
	    read_text("a = 1\nb = 2\n")));
}

/* A default that is somewhere else. */
static const char *
find_default(const char *name)
{
	return strcmp(name, "a") == 0 || strcmp(name, "b") == 0 ?
	    "found $c" : NULL;
}

static void
default_is_looked_for_when_none_was_given(void **state)
{
	struct maincf	*mc = maincf_empty(pool);
	char		*why;

	(void)state;
	maincf_defaults(mc, find_default);
	maincf_default(mc, "b", "given");
	maincf_set(mc, "c", "set", "test");
	assert_string_equal(maincf_text(mc, "a"), "found $c");
	assert_string_equal(maincf_value(mc, pool, "a", &why), "found set");
	assert_string_equal(maincf_text(mc, "b"), "given");
	assert_string_equal(maincf_text(mc, "c"), "set");
	assert_null(maincf_text(mc, "d"));
	assert_null(maincf_find(mc, "a"));
	maincf_set(mc, "a", "mine", "test");
	assert_string_equal(maincf_text(mc, "a"), "mine");
}

static void
other_defaults_are_a_difference(void **state)
{
	struct maincf	*before, *again;

	(void)state;
	before = read_text("a = $b\n");
	again = read_text("a = $b\n");
	maincf_default(before, "b", "1");
	maincf_default(before, "later", "given");
	maincf_default(again, "b", "1");
	assert_true(maincf_is_same(before, again));
	maincf_default(again, "b", "2");
	assert_false(maincf_is_same(before, again));
	maincf_default(again, "b", "1");
	maincf_default(again, "new", "");
	assert_false(maincf_is_same(before, again));
}

static void
file_knows_its_directory(void **state)
{
	struct maincf	*mc;

	(void)state;
	mc = read_text("");
	assert_string_equal(maincf_directory(mc), directory);
	assert_string_equal(maincf_directory(maincf_empty(pool)), "");
}

static void
thousands_of_settings_stay_in_order(void **state)
{
	struct str	 text;
	struct maincf	*mc;
	int		 i;

	(void)state;
	str_init(&text, pool, 0);
	for (i = 0; i < 3000; i++)
		str_addf(&text, "n%d = %d\n", i * 7919 % 3000, i);
	mc = read_text(text.data);
	for (i = 0; i < 3000; i++)
		assert_int_equal(maincf_at(mc, (size_t)i)->line, i + 1);
	assert_null(maincf_at(mc, 3000));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		CLAIM_OF(setting_knows_value_file_and_line),
		CLAIM_OF(last_setting_wins_and_the_first_is_remembered),
		CLAIM_OF(value_may_hold_an_equals_sign_and_be_empty),
		CLAIM_OF(carriage_returns_are_white_space),
		CLAIM_OF(line_that_is_no_setting_is_an_error_with_its_place),
		CLAIM_OF(override_wins_and_says_where_it_is_from),
		CLAIM_OF(override_may_name_what_was_before),
		CLAIM_OF(default_counts_until_something_is_set),
		CLAIM_OF(default_is_looked_for_when_none_was_given),
		CLAIM_OF(names_used_by_values_are_noted),
		CLAIM_OF(a_file_that_says_the_same_is_the_same),
		CLAIM_OF(other_defaults_are_a_difference),
		CLAIM_OF(file_knows_its_directory),
		CLAIM_OF(thousands_of_settings_stay_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
