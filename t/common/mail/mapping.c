/*
 * mapping.c - claims about what tables of addresses say.
 */
#include "common/mail/mapping.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct pool		*pool;
static const struct naming	 ours = { "o.test", "d.test" }, none;

/* The address made whole. */
static const char *
whole(const char *address, const struct naming *naming)
{
	return mapping_whole(pool, pool_strdup(pool, address), naming);
}

static void
incomplete_addresses_are_completed(void **state)
{
	(void)state;
	assert_string_equal(whole("a", &ours), "a@o.test");
	assert_string_equal(whole("\"a@b\"", &ours), "\"a@b\"@o.test");
	assert_string_equal(whole("a@b", &ours), "a@b.d.test");
	assert_string_equal(whole("a@b.c", &ours), "a@b.c");
	assert_string_equal(whole("a@localhost", &ours), "a@localhost");
	assert_string_equal(whole("a@[1.2.3.4]", &ours), "a@[1.2.3.4]");
	assert_string_equal(whole("", &ours), "");
	assert_string_equal(whole("a", &none), "a");
	assert_string_equal(whole("a@b", &none), "a@b");
}

static void
answers_are_addresses(void **state)
{
	(void)state;
	assert_string_equal(mapping_result(pool, "a@b", "x@y.z", "", &ours),
	    "x@y.z");
	assert_string_equal(mapping_result(pool, "a@b", " @y.z", "+e", &ours),
	    "a@y.z");
	assert_string_equal(mapping_result(pool, "a@b", "x, y", "", &ours),
	    "x@o.test");
	assert_string_equal(mapping_result(pool, "a@b", "x@y.z", "+e", &ours),
	    "x+e@y.z");
	assert_null(mapping_result(pool, "a@b", "<<", "", &ours));
	assert_null(mapping_result(pool, "a@b", "@b@c d", "", &ours));
	assert_null(mapping_result(pool, "a@b", "", "", &ours));
}

static void
words_are_found_in_lists(void **state)
{
	(void)state;
	assert_true(mapping_lists("a, bc\td", "BC"));
	assert_true(mapping_lists("a", "a"));
	assert_false(mapping_lists("abc", "ab"));
	assert_false(mapping_lists("", "a"));
}

static void
sub_domains_are_left_out(void **state)
{
	static const char	list[] = "!k.e.test, f.e.test e.test";

	(void)state;
	assert_string_equal(masquerade_domain(list, "a.b.E.test"), "E.test");
	assert_string_equal(masquerade_domain(list, "x.f.e.test"), "f.e.test");
	assert_null(masquerade_domain(list, "f.e.test"));
	assert_null(masquerade_domain(list, "e.test"));
	assert_null(masquerade_domain(list, "k.e.test"));
	assert_null(masquerade_domain(list, "x.k.e.test"));
	assert_null(masquerade_domain(list, "xe.test"));
	assert_null(masquerade_domain("", "a.b"));
	assert_null(masquerade_domain("!", "a.b"));
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
		cmocka_unit_test(incomplete_addresses_are_completed),
		cmocka_unit_test(answers_are_addresses),
		cmocka_unit_test(words_are_found_in_lists),
		cmocka_unit_test(sub_domains_are_left_out),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
