/*
 * param.c - claims about rows and what they make of main.cf.
 */
#include "files.h"

#include "common/param/param.h"

static struct {
	char	*name, *raw;
	int64_t	 count, pause, size;
	bool	 is_on;
} set;

static const struct param	rows[] = {
	PARAM_STRING("name", set.name, "x-$other", 1, 20, "A name."),
	PARAM_RAW("raw", set.raw, "$not_expanded", 0, 0, "A raw text."),
	PARAM_INT("count", set.count, "3", 1, 10, "A number."),
	PARAM_TIME("pause", set.pause, "5m", 1, 3600, "A time."),
	PARAM_SIZE("size", set.size, "$half", 0, 1 << 20, "A size."),
	PARAM_END
};
static const struct param	more[] = {
	PARAM_BOOL("switch", set.is_on, "yes", "A switch."),
	PARAM_STRING("other", set.name, "y", 0, 0, "Another name."),
	PARAM_END
};
static const struct param *const	tables[] = { rows, NULL };
static const struct param *const	both[] = { more, rows, NULL };

/* Load this text; returns the problems, "" when there are none. */
static const char *
load(const char *text, const struct param *const *with)
{
	struct maincf	*mc;
	struct str	 problems;
	char		*why;
	int		 status;

	mc = maincf_read(pool, write_file("main.cf", text), &why);
	assert_non_null(mc);
	maincf_default(mc, "half", "2k");
	str_init(&problems, pool, 0);
	status = param_load(mc, with, &problems);
	assert_int_equal(status, problems.len == 0 ? 0 : -1);
	return problems.data;
}

static void
defaults_are_loaded_and_expanded(void **state)
{
	(void)state;
	assert_string_equal(load("", both), "");
	assert_string_equal(set.name, "x-y");
	assert_string_equal(set.raw, "$not_expanded");
	assert_int_equal(set.count, 3);
	assert_int_equal(set.pause, 300000);
	assert_int_equal(set.size, 2048);
	assert_true(set.is_on);
}

static void
file_wins_over_defaults(void **state)
{
	(void)state;
	assert_string_equal(load("name = a $count\ncount = 7\npause = 2s\n"
	    "size = ${count}k\nswitch = no\nother = b\n", both), "");
	assert_string_equal(set.name, "a 7");
	assert_int_equal(set.count, 7);
	assert_int_equal(set.pause, 2000);
	assert_int_equal(set.size, 7 * 1024);
	assert_false(set.is_on);
}

static void
every_bad_value_is_told_with_file_line_and_bounds(void **state)
{
	const char	*problems;

	(void)state;
	problems = load("count = 11\n\npause = soon\nname =\n", tables);
	assert_non_null(strstr(problems, "main.cf:1: count = 11: expected"));
	assert_non_null(strstr(problems, "1 to 10"));
	assert_non_null(strstr(problems, "main.cf:3: pause = soon: expected"));
	assert_non_null(strstr(problems,
	    "main.cf:4: name = : expected a value"));
}

static void
nothing_changes_unless_all_is_good(void **state)
{
	(void)state;
	assert_string_equal(load("count = 2\n", tables), "");
	assert_true(load("count = 5\nsize = big\n", tables)[0] != '\0');
	assert_int_equal(set.count, 2);
	assert_int_equal(set.size, 2048);
}

static void
loop_and_bad_default_are_told(void **state)
{
	(void)state;
	assert_non_null(strstr(load("name = $name\n", tables),
	    "main.cf:1: name = $name: $name is used in its own value"));
	assert_non_null(strstr(load("other = " "aaaaaaaaaaaaaaaaaaaaaaaaa\n",
	    tables), "default: name = x-aaaaaaaaaaaaaaaaaaaaaaaaa: expected "
	    "at most 20 characters"));
}

static void
one_value_can_be_checked(void **state)
{
	const struct param	*row = param_find(both, "count");

	(void)state;
	assert_non_null(row);
	assert_null(param_check(row, "10"));
	assert_non_null(param_check(row, "0"));
	assert_non_null(param_check(row, ""));
	assert_null(param_find(both, "nothing"));
	assert_non_null(param_check(param_find(both, "switch"), "maybe"));
}

static void
transport_has_its_own_or_the_general_value(void **state)
{
	struct maincf	*mc = maincf_empty(pool);

	(void)state;
	maincf_set(mc, "slow_limit", "$one", "test");
	maincf_set(mc, "one", "1", "test");
	maincf_set(mc, "bad_limit", "$bad_limit", "test");
	assert_string_equal(param_of_transport(mc, pool, "slow", "limit",
	    "20"), "1");
	assert_string_equal(param_of_transport(mc, pool, "smtp", "limit",
	    "20"), "20");
	assert_string_equal(param_of_transport(mc, pool, "bad", "limit",
	    "20"), "20");
}

static void
numbers_of_transports_leave_nothing_in_the_configuration(void **state)
{
	struct pool		*own = pool_new("configuration", 16 * 1024);
	struct maincf		*mc = maincf_empty(own);
	const struct param	*row = param_find(tables, "count");
	struct str		 problems;
	int64_t			 slow, smtp;
	int			 i;

	(void)state;
	str_init(&problems, pool, 0);
	maincf_set(mc, "slow_limit", "$one", "test");
	maincf_set(mc, "one", "1", "test");
	for (i = 0; i < 1000; i++) {
		slow = smtp = 7;
		assert_int_equal(param_number_of_transport(mc, "slow",
		    "limit", row, &slow, &problems), 0);
		assert_int_equal(param_number_of_transport(mc, "smtp",
		    "limit", row, &smtp, &problems), 0);
		assert_int_equal(slow, 1);
		assert_int_equal(smtp, 7);
	}
	assert_false(pool_is_over(own));
	pool_free(own);
}

static void
default_may_be_computed_by_somebody(void **state)
{
	static const struct param	computed[] = {
		PARAM_STRING("host", set.name, NULL, 1, 64, "A host."),
		PARAM_END
	};
	static const struct param *const	with[] = { computed, NULL };
	struct maincf			*mc = maincf_empty(pool);
	struct str			 problems;

	(void)state;
	str_init(&problems, pool, 0);
	maincf_default(mc, "host", "here");
	assert_int_equal(param_load(mc, with, &problems), 0);
	assert_string_equal(set.name, "here");
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		CLAIM_OF(defaults_are_loaded_and_expanded),
		CLAIM_OF(file_wins_over_defaults),
		CLAIM_OF(every_bad_value_is_told_with_file_line_and_bounds),
		CLAIM_OF(nothing_changes_unless_all_is_good),
		CLAIM_OF(loop_and_bad_default_are_told),
		CLAIM_OF(one_value_can_be_checked),
		CLAIM_OF(transport_has_its_own_or_the_general_value),
		CLAIM_OF(numbers_of_transports_leave_nothing_in_the_configuration),
		CLAIM_OF(default_may_be_computed_by_somebody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
