/*
 * spell.c - claims about names of the site that are not ASCII.
 */
#include "files.h"

#include "common/mail/idn.h"
#include "common/param/site.h"

static const char	german[] = "myhostname = m\xc3\xbc.example.com\n"
			    "mydestination = $myhostname\n";

static void
names_become_a_labels_before_others_use_them(void **state)
{
	struct str	problems;

	(void)state;
	if (!idn_is_built_in())
		skip();
	write_file("main.cf", german);
	str_init(&problems, pool, 0);
	assert_non_null(site_try(pool, directory, &problems));
	assert_string_equal(site.myhostname, "xn--m-eha.example.com");
	assert_string_equal(site.mydestination, "xn--m-eha.example.com");
	assert_string_equal(problems.data, "");
}

static void
a_glance_leaves_them(void **state)
{
	struct str	problems;

	(void)state;
	write_file("main.cf", german);
	str_init(&problems, pool, 0);
	assert_non_null(site_glance(pool, directory, &problems));
	assert_string_equal(site.myhostname, "m\xc3\xbc.example.com");
	assert_string_equal(site.mydestination, site.myhostname);
	write_file("main.cf", "queue_directory = here\n");
	assert_null(site_glance(pool, directory, &problems));
	assert_non_null(strstr(problems.data, "begins with /"));
}

static void
older_rules_are_known_once_the_file_is_good(void **state)
{
	struct str	problems;

	(void)state;
	str_init(&problems, pool, 0);
	write_file("main.cf", "enable_idna2003_compatibility = yes\n"
	    "queue_directory = here\n");
	assert_null(site_try(pool, directory, &problems));
	assert_false(idn_is_transitional);
	write_file("main.cf", "enable_idna2003_compatibility = yes\n");
	assert_non_null(site_try(pool, directory, &problems));
	assert_true(idn_is_transitional);
	write_file("main.cf", "");
	assert_non_null(site_try(pool, directory, &problems));
	assert_false(idn_is_transitional);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		CLAIM_OF(names_become_a_labels_before_others_use_them),
		CLAIM_OF(a_glance_leaves_them),
		CLAIM_OF(older_rules_are_known_once_the_file_is_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
