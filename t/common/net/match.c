/*
 * match.c - the first word that fits decides.
 */
#include "common/net/match.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/fs.h"

static struct pool	*pool;
static char		 directory[64];

static int
fill(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	return 0;
}

static int
drain(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

static int
make_directory(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/match.XXXXXX");
	return mkdtemp(directory) == NULL ? -1 : 0;
}

static int
remove_directory(void **state)
{
	(void)state;
	return rmdir(directory);
}

/* A file with this text; its path. */
static char *
make_file(const char *name, const char *text)
{
	char	*path = pool_printf(pool, "%s/%s", directory, name);

	assert_int_equal(fs_replace_file(path, text, strlen(text), 0600), 0);
	return path;
}

static bool
has(const char *list, const char *address)
{
	struct inetaddr	 a;
	struct match	*m;
	char		*why = NULL;

	assert_true(inetaddr_parse(&a, address));
	if ((m = match_networks(pool, list, &why)) == NULL)
		fail_msg("%s", why);
	return match_address(m, &a);
}

static bool
names(const char *list, const char *name, bool parents)
{
	struct match	*m;
	char		*why = NULL;

	if ((m = match_names(pool, list, &why)) == NULL)
		fail_msg("%s", why);
	return match_name(m, name, parents);
}

static const char *
complaint(const char *list)
{
	char	*why = NULL;

	assert_null(match_networks(pool, list, &why));
	assert_non_null(why);
	return why;
}

static void
an_address_in_a_network_matches(void **state)
{
	static const char	list[] = "127.0.0.0/8, [::1]/128\n 10.0.0.1";

	(void)state;
	assert_true(has(list, "127.9.9.9"));
	assert_true(has(list, "::1"));
	assert_true(has(list, "10.0.0.1"));
	assert_true(has(list, "::ffff:10.0.0.1"));
	assert_false(has(list, "10.0.0.2"));
	assert_false(has(list, "::2"));
	assert_false(has("", "127.0.0.1"));
	assert_true(has("2001:db8::/32", "2001:db8::1"));
}

static void
the_first_that_fits_decides_and_may_negate(void **state)
{
	(void)state;
	assert_false(has("!10.0.0.1, 10.0.0.0/8", "10.0.0.1"));
	assert_true(has("!10.0.0.1, 10.0.0.0/8", "10.0.0.2"));
	assert_true(has("10.0.0.0/8 !10.0.0.1", "10.0.0.1"));
	assert_true(has("!!10.0.0.1", "10.0.0.1"));
	assert_false(has("!10.0.0.1", "10.0.0.2"));
}

static void
a_bad_word_is_named(void **state)
{
	(void)state;
	assert_string_equal(complaint("127.0.0.1, 10.0.0.1/8"),
	    "10.0.0.1/8: expected 10.0.0.0/8");
	assert_non_null(strstr(complaint("localhost"), "localhost: "));
	assert_non_null(strstr(complaint("10.0.0.0/40"), "10.0.0.0/40: "));
	assert_non_null(strstr(complaint("127.0.0.1, !"), "!"));
	assert_non_null(strstr(complaint("[::1"), "[::1: "));
	assert_string_equal(complaint("/no/such/file"),
	    "/no/such/file: No such file or directory");
}

static void
a_file_stands_for_its_words(void **state)
{
	char	*inner, *outer, *list;

	(void)state;
	inner = make_file("inner", "10.0.0.1 # no comment here\n");
	assert_non_null(strstr(complaint(inner), "#: "));
	inner = make_file("inner", "# 10.0.0.9\n10.0.0.1\n  # 10.0.0.8\n"
	    "!10.0.0.2,10.0.0.0/24");
	outer = make_file("outer", pool_printf(pool, "\n!%s\n#", inner));
	assert_true(has(inner, "10.0.0.1"));
	assert_false(has(inner, "10.0.0.2"));
	assert_true(has(inner, "10.0.0.9"));
	assert_false(has(outer, "10.0.0.1"));
	assert_true(has(outer, "10.0.0.2"));
	list = pool_printf(pool, "192.0.2.1, %s", inner);
	assert_true(has(list, "192.0.2.1"));
	assert_true(has(list, "10.0.0.7"));
	assert_int_equal(unlink(inner), 0);
	assert_int_equal(unlink(outer), 0);
}

static void
a_file_that_names_itself_is_refused(void **state)
{
	char	*path = pool_printf(pool, "%s/self", directory);

	(void)state;
	make_file("self", path);
	assert_non_null(strstr(complaint(path), "too deeply"));
	assert_int_equal(unlink(path), 0);
}

static void
a_table_is_kept_for_who_can_ask(void **state)
{
	struct match	*m;
	char		*why = NULL;

	(void)state;
	m = match_networks(pool, "127.0.0.1 cidr:/etc/x, hash:/etc/y", &why);
	assert_non_null(m);
	assert_string_equal(match_tables(m), "cidr:/etc/x");
	m = match_names(pool, "a.example, !hash:/etc/y", &why);
	assert_non_null(m);
	assert_string_equal(match_tables(m), "hash:/etc/y");
	assert_false(match_name(m, "hash:/etc/y", true));
	m = match_networks(pool, "127.0.0.1", &why);
	assert_null(match_tables(m));
}

/* Does a list of both sorts have this client? */
static bool
clients(const char *list, const char *address, const char *name)
{
	struct inetaddr	 a;
	struct match	*m;
	char		*why = NULL;

	assert_true(inetaddr_parse(&a, address));
	if ((m = match_clients(pool, list, &why)) == NULL)
		fail_msg("%s", why);
	return match_client(m, &a, name);
}

static void
networks_and_names_keep_their_order_in_one_list(void **state)
{
	static const char	list[] = "!10.0.0.1 .a.example !b.example "
				    "10.0.0.0/8";
	char			*why = NULL;

	(void)state;
	assert_false(clients(list, "10.0.0.1", "x.a.example"));
	assert_true(clients(list, "192.0.2.1", "x.a.example"));
	assert_false(clients(list, "10.0.0.2", "b.example"));
	assert_true(clients(list, "10.0.0.2", "c.example"));
	assert_false(clients(list, "192.0.2.1", "unknown"));
	assert_false(clients("", "192.0.2.1", "x.a.example"));
	assert_null(match_clients(pool, "!10.0.0.1/8, .a.example", &why));
	assert_non_null(strstr(why, "10.0.0.1/8: "));
	assert_null(match_clients(pool, "10.0.0.300", &why));
	assert_string_equal(match_tables(match_clients(pool,
	    "a.example hash:/etc/y", &why)), "hash:/etc/y");
}

static void
names_match_themselves_and_their_children_when_told(void **state)
{
	(void)state;
	assert_true(names("a.example, b.example", "B.Example", false));
	assert_false(names("a.example", "x.a.example", false));
	assert_true(names("a.example", "x.a.example", true));
	assert_true(names("a.example", "a.example", true));
	assert_false(names("a.example", "xa.example", true));
	assert_true(names(".a.example", "x.a.example", false));
	assert_true(names(".a.example", "y.x.a.example", true));
	assert_false(names(".a.example", "a.example", true));
	assert_false(names(".a.example", ".a.example", true));
	assert_false(names("!x.example, .example", "x.example", false));
	assert_true(names("!x.example, .example", "y.example", false));
	assert_false(names("", "a", true));
	assert_false(names("a.example", "", true));
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, fill, drain)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(an_address_in_a_network_matches),
		TEST(the_first_that_fits_decides_and_may_negate),
		TEST(a_bad_word_is_named),
		TEST(a_file_stands_for_its_words),
		TEST(a_file_that_names_itself_is_refused),
		TEST(a_table_is_kept_for_who_can_ask),
		TEST(networks_and_names_keep_their_order_in_one_list),
		TEST(names_match_themselves_and_their_children_when_told),
	};

	return cmocka_run_group_tests_name("match", tests, make_directory,
	    remove_directory);
}
