/*
 * settings.c - what is set for one transport, for all, and wrongly.
 *
 * needs: qmgr/settings.c qmgr/retry.c qmgr/site.c
 */
#include "qmgr/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "common/daemon/daemon.h"

static struct pool	*pool;
static struct maincf	*mc;
static struct str	 problems;

/* Instead of the daemon's. */
struct maincf *
daemon_maincf(void)
{
	return mc;
}

static int
set_up(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	mc = maincf_empty(pool);
	str_init(&problems, pool, 0);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

static void
set(const char *name, const char *value)
{
	maincf_set(mc, name, value, "test");
}

/* The settings of a transport after all rows were read. */
static int
read_all(const char *transport, struct tuning *t)
{
	static const struct param *const	tables[] = { transport_params,
						    retry_params, NULL };

	assert_int_equal(param_load(mc, tables, &problems), 0);
	return tuning_read(transport, t, &problems);
}

static void
defaults_are_those_of_postfix(void **state)
{
	struct tuning	t;

	(void)state;
	assert_int_equal(read_all("smtp", &t), 0);
	assert_int_equal(t.pace.initial, 5);
	assert_int_equal(t.pace.limit, 20);
	assert_int_equal(t.pace.recipients, 50);
	assert_true(t.pace.cohorts > 0.99 && t.pace.cohorts < 1.01);
	assert_int_equal(t.pace.rate_delay, 0);
	assert_int_equal(t.rate_delay, 0);
	assert_int_equal(t.pace.dead_time, 300000);
	assert_int_equal(t.retry.minimal, 300000);
	assert_int_equal(t.retry.maximal, 4000000);
	assert_int_equal(t.retry.lifetime, 5 * 86400000);
	assert_int_equal(t.retry.bounce_lifetime, 5 * 86400000);
	assert_int_equal(tuning_transport_pause(), 60000);
	assert_false(t.is_deferred || tuning_is_debugged());
	assert_int_equal(read_all("local", &t), 0);
	assert_int_equal(t.pace.limit, 20);	/* 2 in local/turns.c */
	assert_int_equal(t.pace.recipients, 1);
}

static void
one_transport_may_differ_from_all(void **state)
{
	struct tuning	t;

	(void)state;
	set("default_destination_concurrency_limit", "7");
	set("slow_destination_concurrency_limit", "3");
	set("slow_initial_destination_concurrency", "2");
	set("slow_destination_recipient_limit", "$two$two");
	set("two", "2");
	set("slow_destination_concurrency_failed_cohort_limit", "4");
	set("slow_destination_concurrency_positive_feedback",
	    "0.5/concurrency");
	set("slow_minimal_backoff_time", "1h");
	set("slow_maximal_backoff_time", "1d");
	set("slow_maximal_queue_lifetime", "2");	/* days */
	set("slow_bounce_queue_lifetime", "12h");
	set("slow_transport_rate_delay", "250ms");
	set("defer_transports", "other, slow");
	set("local_destination_concurrency_limit", "9");
	assert_int_equal(read_all("slow", &t), 0);
	assert_int_equal(t.pace.limit, 3);
	assert_int_equal(t.pace.initial, 2);
	assert_int_equal(t.pace.recipients, 22);
	assert_true(t.pace.cohorts > 3.99);
	assert_int_equal(t.pace.up.per, FEEDBACK_PER_WINDOW);
	assert_int_equal(t.pace.down.per, FEEDBACK_PER_DELIVERY);
	assert_int_equal(t.pace.dead_time, 3600000);
	assert_int_equal(t.retry.maximal, 86400000);
	assert_int_equal(t.retry.lifetime, 2 * 86400000);
	assert_int_equal(t.retry.bounce_lifetime, 43200000);
	assert_int_equal(t.rate_delay, 250);
	assert_true(t.is_deferred);
	assert_int_equal(read_all("smtp", &t), 0);
	assert_int_equal(t.pace.limit, 7);
	assert_int_equal(t.retry.minimal, 300000);
	assert_false(t.is_deferred);
	assert_int_equal(read_all("local", &t), 0);
	assert_int_equal(t.pace.limit, 9);
}

static void
a_pause_means_one_at_a_time_and_may_be_a_fraction(void **state)
{
	static const struct { const char *text; int64_t ms; } cases[] = {
		{ "0.2s", 200 }, { "200ms", 200 }, { "1", 1000 },
		{ "1.5", 1500 }, { "1m", 60000 }, { "0", 0 }
	};
	struct tuning	t;
	size_t		i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		set("default_destination_rate_delay", cases[i].text);
		assert_int_equal(read_all("smtp", &t), 0);
		assert_int_equal(t.pace.rate_delay, cases[i].ms);
		assert_int_equal(t.pace.limit, cases[i].ms > 0 ? 1 : 20);
	}
}

static void
a_wrong_one_changes_nothing_and_is_told(void **state)
{
	struct tuning	t = { .rate_delay = 77 };

	(void)state;
	set("smtp_destination_concurrency_limit", "3");
	set("smtp_minimal_backoff_time", "soon");
	set("smtp_destination_concurrency_negative_feedback", "2");
	assert_int_equal(read_all("smtp", &t), -1);
	assert_int_equal(t.rate_delay, 77);
	assert_int_equal(t.pace.limit, 0);
	assert_non_null(strstr(problems.data,
	    "test: smtp_minimal_backoff_time = soon: expected a time"));
	assert_non_null(strstr(problems.data, "test: "
	    "smtp_destination_concurrency_negative_feedback = 2: expected"));
}

static void
a_thousand_reloads_leave_nothing_in_the_configuration(void **state)
{
	struct pool	*own = pool_new("configuration", 64 * 1024);
	struct tuning	 t;
	int		 i;

	(void)state;
	mc = maincf_empty(own);
	set("smtp_destination_concurrency_positive_feedback", "0.5");
	assert_int_equal(read_all("smtp", &t), 0);
	for (i = 0; i < 1000; i++)
		assert_int_equal(tuning_read("smtp", &t, &problems), 0);
	assert_false(pool_is_over(own));
	pool_free(own);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
#define TEST(f)	cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		TEST(defaults_are_those_of_postfix),
		TEST(one_transport_may_differ_from_all),
		TEST(a_pause_means_one_at_a_time_and_may_be_a_fraction),
		TEST(a_wrong_one_changes_nothing_and_is_told),
		TEST(a_thousand_reloads_leave_nothing_in_the_configuration),
	};

	return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
