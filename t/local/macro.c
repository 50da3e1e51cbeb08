/*
 * macro.c - claims about $name in settings of local and pipe.
 */
/* needs: local/macro.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "local/macro.h"

static const struct macro	table[] = {
	{ "user", "alice" }, { "extension", NULL }, { "domain", "" },
	{ "home", "/home/$user; rm" }, { NULL, NULL }
};

static struct pool	*pool;
static bool		 is_unset;
static const char	*why;

/* What the text becomes. */
static char *
of(const char *text)
{
	if (pool == NULL)
		pool = pool_new("test", 0);
	return macro_expand(pool, text, table, NULL, &is_unset, &why);
}

static void
a_name_is_replaced_in_each_of_its_forms(void **state)
{
	(void)state;
	assert_string_equal(of("a $user, ${user}$(user)!"),
	    "a alice, alicealice!");
	assert_false(is_unset);
	assert_string_equal(of("$user.x"), "alice.x");
	assert_string_equal(of("$$user"), "$user");
	assert_string_equal(of(""), "");
}

static void
a_name_without_a_value_is_told(void **state)
{
	(void)state;
	assert_string_equal(of("x$extension"), "x");
	assert_true(is_unset);
	assert_string_equal(of("x$domain"), "x");
	assert_true(is_unset);
}

static void
a_choice_depends_on_the_value(void **state)
{
	(void)state;
	assert_string_equal(of("${user?yes}${extension?no}"), "yes");
	assert_string_equal(of("${user:no}${extension:yes}"), "yes");
	assert_string_equal(of("${user?{a}:{b}}${extension?{a}:{b}}"), "ab");
	assert_string_equal(of("${user?+$user}"), "+alice");
	assert_string_equal(of("${user?{${extension:{deep}}}}"), "deep");
	assert_false(is_unset);
}

static void
a_value_is_not_looked_through_for_names(void **state)
{
	(void)state;
	assert_string_equal(of("$home"), "/home/$user; rm");
	assert_string_equal(macro_expand(pool, "$home $(user)", table,
	    "/abcdefghijklmnopqrstuvwxyz", NULL, &why),
	    "/home/_user__rm alice");
}

static void
mistakes_have_sentences(void **state)
{
	static const char *const	wrong[] = { "$nobody", "${user", "$",
					    "${user!x}", "$(user}", "${}",
					    "a$ b" };
	char				deep[400] = "";
	size_t				i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_null(of(wrong[i]));
		assert_non_null(why);
	}
	for (i = 0; i < 40; i++)
		strlcat(deep, "${user?", sizeof(deep));
	for (i = 0; i < 40; i++)
		strlcat(deep, "}", sizeof(deep));
	assert_null(of(deep));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(a_name_is_replaced_in_each_of_its_forms),
		cmocka_unit_test(a_name_without_a_value_is_told),
		cmocka_unit_test(a_choice_depends_on_the_value),
		cmocka_unit_test(a_value_is_not_looked_through_for_names),
		cmocka_unit_test(mistakes_have_sentences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
