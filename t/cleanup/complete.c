/*
 * complete.c - claims about addresses in the headers of local mail.
 *
 * needs: cleanup/complete.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "cleanup/transaction.h"

static struct pool	*pool;

/* The value completed with "o.test"; what stays as it is comes back. */
static const char *
completed(const char *value)
{
	char	*changed = complete_header(pool, value, strlen(value),
		    "o.test");

	return changed != NULL ? changed : value;
}

static void
bare_words_get_the_origin(void **state)
{
	(void)state;
	assert_string_equal(completed("root"), "root@o.test");
	assert_string_equal(completed(" root"), " root@o.test");
	assert_string_equal(completed("a, b ,c@x.test,d"),
	    "a@o.test, b@o.test ,c@x.test,d@o.test");
	assert_string_equal(completed("a.b+c"), "a.b+c@o.test");
}

static void
cron_is_understood(void **state)
{
	(void)state;
	assert_string_equal(completed("root (Cron Daemon)"),
	    "root@o.test (Cron Daemon)");
	assert_string_equal(completed("(who (in) \\) fact) root"),
	    "(who (in) \\) fact) root@o.test");
}

static void
words_in_brackets_get_the_origin(void **state)
{
	(void)state;
	assert_string_equal(completed("Root User <root>"),
	    "Root User <root@o.test>");
	assert_string_equal(completed("\"Last, First\" <me>,\r\n <you>"),
	    "\"Last, First\" <me@o.test>,\r\n <you@o.test>");
}

static void
whole_addresses_stay(void **state)
{
	static const char *const	good[] = {
		"a@b.test", "A <a@b.test>", "\"a, b\" <c@d.test>, e@f.test",
		"\"a b\"@c.test", "a @ b.test", "", " ", ",,", "<>", "<@a:b@c>"
	};
	size_t				i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_string_equal(completed(good[i]), good[i]);
}

static void
what_is_not_simple_stays(void **state)
{
	static const char *const	odd[] = {
		"friends: a, b;", "undisclosed-recipients:;", "two words",
		"\"quoted\"", "<a", "\"open", "(open", "a <b> <c>", "[1.2.3.4]",
		"a \\", "\"\\"
	};
	size_t				i;

	(void)state;
	for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		assert_string_equal(completed(odd[i]), odd[i]);
}

static int
setup(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(bare_words_get_the_origin),
		cmocka_unit_test(cron_is_understood),
		cmocka_unit_test(words_in_brackets_get_the_origin),
		cmocka_unit_test(whole_addresses_stay),
		cmocka_unit_test(what_is_not_simple_stays),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
