/*
 * expand.c - claims about $name in values.
 */
#include "files.h"

#include "common/param/maincf.h"

static struct maincf	*mc;

/* A few names to expand. */
static void
prepare(void)
{
	mc = maincf_empty(pool);
	maincf_set(mc, "host", "mail.$domain", "test");
	maincf_default(mc, "domain", "example.com");
	maincf_set(mc, "empty", "", "test");
	maincf_set(mc, "nine", "9", "test");
	maincf_set(mc, "level", "3.6", "test");
}

/* This becomes that. */
static void
expect(const char *text, const char *expanded)
{
	char		*why;
	const char	*got = maincf_expand(mc, pool, text, &why);

	if (got == NULL)
		fail_msg("\"%s\": %s", text, why);
	assert_string_equal(got, expanded);
	assert_null(why);
}

/* This is an error that says so. */
static void
expect_error(const char *text, const char *part)
{
	char	*why;

	assert_null(maincf_expand(mc, pool, text, &why));
	assert_non_null(why);
	if (strstr(why, part) == NULL)
		fail_msg("\"%s\": \"%s\" in \"%s\"", text, part, why);
}

static void
name_becomes_its_value_in_every_spelling(void **state)
{
	(void)state;
	prepare();
	expect("plain", "plain");
	expect("$domain", "example.com");
	expect("a ${domain} b", "a example.com b");
	expect("$(domain)", "example.com");
	expect("${ domain }", "example.com");
	expect("<$host>", "<mail.example.com>");
	expect("$domain.$nine", "example.com.9");
	expect("$nobody$empty!", "!");
}

static void
two_dollar_signs_are_one(void **state)
{
	(void)state;
	prepare();
	expect("a$$domain", "a$domain");
	expect("$$$domain$$", "$example.com$");
}

static void
text_depends_on_a_name(void **state)
{
	(void)state;
	prepare();
	expect("${domain?yes}", "yes");
	expect("${empty?yes}", "");
	expect("${nobody?yes}", "");
	expect("${domain:no}", "");
	expect("${empty:no}", "no");
	expect("${domain?{yes}}", "yes");
	expect("${empty:{no}}", "no");
	expect("${domain?{yes}:{no}}", "yes");
	expect("${empty?{yes}:{no}}", "no");
	expect("${domain ? {yes} : {no}}", "yes");
	expect("${empty ? {yes} : { n o }}", " n o ");
	expect("${empty: no }", " no ");
	expect("${empty ? {a} : b }", " b ");
	expect("${domain?<$domain>}", "<example.com>");
	expect("${empty?{$nobody}:{${nine?{$host}}}}", "mail.example.com");
	expect("${domain?a:b}", "a:b");
	expect("$(domain?{yes}:{no})", "yes");
}

static void
texts_are_compared(void **state)
{
	(void)state;
	prepare();
	expect("${{$nine} == {9} ? {yes} : {no}}", "yes");
	expect("${{$nine} != {9} ? {yes} : {no}}", "no");
	expect("${{a}<{b}?{yes}:{no}}", "yes");
	expect("${{b} <= {a} ? {yes} : {no}}", "no");
	expect("${{$domain} == {$host} ? {yes} : {no}}", "no");
	expect("${{a} == {a} ? yes}", " yes");
	expect("${{a} == {b} :no}", "no");
	expect("${{a} == {a}}", "true");
	expect("${{a} == {b}}", "");
}

static void
numbers_are_compared_as_numbers(void **state)
{
	(void)state;
	prepare();
	expect("${{$nine} < {10} ? {yes} : {no}}", "yes");
	expect("${{10} > {9} ? {yes} : {no}}", "yes");
	expect("${{010} == {10} ? {yes} : {no}}", "yes");
	expect("${{9} >= {10} ? {yes} : {no}}", "no");
	expect("${{9a} < {10} ? {yes} : {no}}", "no");
}

static void
levels_are_compared_part_by_part(void **state)
{
	(void)state;
	prepare();
	expect("${{$level} <level {3.10} ? {yes} : {no}}", "yes");
	expect("${{$level} <level {1} ? {yes} : {no}}", "no");
	expect("${{$level} >=level {3.6} ? {yes} : {no}}", "yes");
	expect("${{3} <level {3.6} ? {yes} : {no}}", "yes");
}

static void
loop_is_an_error_that_names_it(void **state)
{
	(void)state;
	prepare();
	maincf_set(mc, "a", "$b", "test");
	maincf_set(mc, "b", "x ${c?{y}}", "test");
	maincf_set(mc, "c", "$a", "test");
	expect_error("$a", "$a is used in its own value");
	maincf_set(mc, "self", "$self", "test");
	expect_error("$self", "$self is used");
}

static void
value_by_name_is_expanded_too(void **state)
{
	char	*why;

	(void)state;
	prepare();
	assert_string_equal(maincf_value(mc, pool, "host", &why),
	    "mail.example.com");
	assert_string_equal(maincf_value(mc, pool, "domain", &why),
	    "example.com");
	assert_null(maincf_value(mc, pool, "nobody", &why));
	assert_null(why);
	maincf_set(mc, "self", "x$self", "test");
	assert_null(maincf_value(mc, pool, "self", &why));
	assert_non_null(why);
}

static void
bad_syntax_is_an_error(void **state)
{
	(void)state;
	prepare();
	expect_error("$", "expected a name");
	expect_error("a$ b", "expected a name");
	expect_error("${domain", "expected a closing }");
	expect_error("$(domain", "expected a closing )");
	expect_error("${}", "expected a name");
	expect_error("${domain!x}", "expected ? or :");
	expect_error("${{a} = {b} ? c}", "expected ==");
	expect_error("${{a} == b}", "something to compare");
	expect_error("${domain?{a} b}", "expected a closing }");
	expect_error("${domain?{a}:{b} c}", "expected a closing }");
	expect_error("${domain?{a}", "expected a closing }");
}

static void
work_is_bounded(void **state)
{
	struct str	deep;
	int		i;

	(void)state;
	prepare();
	for (i = 0; i < 30; i++)
		maincf_set(mc, pool_printf(pool, "n%d", i),
		    pool_printf(pool, "$n%d$n%d", i + 1, i + 1), "test");
	expect_error("$n0", "too many");
	maincf_set(mc, "n30", "0123456789abcdef", "test");
	expect_error("$n0", "too many");
	str_init(&deep, pool, 0);
	for (i = 0; i < 1000; i++)
		str_add(&deep, "${domain?{");
	str_add(&deep, "x");
	for (i = 0; i < 1000; i++)
		str_add(&deep, "}}");
	expect_error(deep.data, "too deep");
}

static void
long_value_is_refused(void **state)
{
	struct str	text;
	int		i;

	(void)state;
	prepare();
	str_init(&text, pool, 0);
	for (i = 0; i < 70000; i++)
		str_add(&text, "0123456789abcdef");
	maincf_set(mc, "long", text.data, "test");
	expect_error("$long", "too long");
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		CLAIM_OF(name_becomes_its_value_in_every_spelling),
		CLAIM_OF(two_dollar_signs_are_one),
		CLAIM_OF(text_depends_on_a_name),
		CLAIM_OF(texts_are_compared),
		CLAIM_OF(numbers_are_compared_as_numbers),
		CLAIM_OF(levels_are_compared_part_by_part),
		CLAIM_OF(loop_is_an_error_that_names_it),
		CLAIM_OF(value_by_name_is_expanded_too),
		CLAIM_OF(bad_syntax_is_an_error),
		CLAIM_OF(work_is_bounded),
		CLAIM_OF(long_value_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
