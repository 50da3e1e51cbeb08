/*
 * search.c - claims about short names.
 *
 * needs: resolve/dns_search.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "resolve/dns.h"

static struct pool	*pool;
static char		 path[] = "/tmp/prt-search-XXXXXX";

static int
set_up(void **state)
{
	FILE	*file = fdopen(mkstemp(path), "w");

	(void)state;
	pool = pool_new("test", 0);
	fputs("nameserver 127.0.0.1\ndomain old.test\n"
	    "search a.test b.test bad..name # no more.test\n", file);
	return fclose(file);
}

static int
tear_down(void **state)
{
	(void)state;
	pool_free(pool);
	return unlink(path);
}

/* All names to try in one line. */
static char *
names(const char *name)
{
	const char	**n = search_names(pool, name);
	char		*all = pool_strdup(pool, "");

	for (; *n != NULL; n++)
		all = pool_printf(pool, "%s%s ", all, *n);
	return all;
}

static void
without_options_a_name_is_what_it_is(void **state)
{
	(void)state;
	search_read("", path);
	assert_string_equal(names("mail"), "mail ");
	assert_string_equal(names("mail.test"), "mail.test ");
}

static void
res_defnames_completes_names_without_a_dot(void **state)
{
	(void)state;
	search_read("res_defnames", path);
	assert_string_equal(names("mail"), "mail.a.test mail ");
	assert_string_equal(names("mail.test"), "mail.test ");
}

static void
res_dnsrch_tries_all_domains(void **state)
{
	(void)state;
	search_read("res_defnames, res_dnsrch", path);
	assert_string_equal(names("mail"), "mail.a.test mail.b.test mail ");
	assert_string_equal(names("mail.x"),
	    "mail.x mail.x.a.test mail.x.b.test ");
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(without_options_a_name_is_what_it_is),
		cmocka_unit_test(res_defnames_completes_names_without_a_dot),
		cmocka_unit_test(res_dnsrch_tries_all_domains),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
