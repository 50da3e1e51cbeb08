/*
 * site.c - a window grows while the site answers, shrinks while it does not,
 * and closes when a whole cohort has failed.
 *
 * needs: qmgr/site.c
 */
#include "qmgr/site.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct pace	standard = {
	.initial = 5, .limit = 20, .recipients = 50,
	.up = { 1, FEEDBACK_PER_DELIVERY },
	.down = { 1, FEEDBACK_PER_DELIVERY },
	.cohorts = 1, .dead_time = 1000
};

/* So many good deliveries with the window used up. */
static void
succeed(struct window *w, const struct pace *p, int times)
{
	while (times-- > 0)
		window_succeeded(w, p, (unsigned)w->size);
}

static void
a_window_grows_to_its_limit(void **state)
{
	struct window	w;

	(void)state;
	window_start(&w, &standard);
	assert_int_equal(w.size, 5);
	succeed(&w, &standard, 3);
	assert_int_equal(w.size, 8);
	succeed(&w, &standard, 100);
	assert_int_equal(w.size, 20);
}

static void
a_window_without_a_limit_goes_on_growing(void **state)
{
	struct pace	p = standard;
	struct window	w;

	(void)state;
	p.limit = 0;
	window_start(&w, &p);
	succeed(&w, &p, 1000);
	assert_int_equal(w.size, 1005);
}

static void
a_window_that_is_not_used_does_not_grow(void **state)
{
	struct window	w;
	int		i;

	(void)state;
	window_start(&w, &standard);
	for (i = 0; i < 50; i++)
		window_succeeded(&w, &standard, 0);
	assert_int_equal(w.size, 5);
}

static void
a_part_per_window_takes_a_window_of_deliveries(void **state)
{
	struct pace	p = standard;
	struct window	w;
	int		i;

	(void)state;
	p.up.per = FEEDBACK_PER_WINDOW;
	window_start(&w, &p);
	for (i = 0; i < 4; i++)
		succeed(&w, &p, 1);
	assert_int_equal(w.size, 5);
	succeed(&w, &p, 1);
	assert_int_equal(w.size, 6);
	succeed(&w, &p, 6);
	assert_int_equal(w.size, 7);
}

static void
the_first_failure_narrows_it(void **state)
{
	struct window	w;

	(void)state;
	window_start(&w, &standard);
	assert_false(window_failed(&w, &standard, 0));
	assert_int_equal(w.size, 4);
	succeed(&w, &standard, 1);
	assert_int_equal(w.size, 5);
}

static void
a_cohort_of_failures_kills_the_site(void **state)
{
	struct window	w;
	int		failures = 1;

	(void)state;
	window_start(&w, &standard);
	while (!window_failed(&w, &standard, 100))
		failures++;
	/* 1/5 + 1/4 + 1/3 + 1/2 */
	assert_int_equal(failures, 4);
	assert_true(window_is_dead(&w, &standard, 100));
	assert_true(window_is_dead(&w, &standard, 1099));
	assert_false(window_is_dead(&w, &standard, 1100));
	assert_int_equal(w.size, 5);
}

static void
a_success_starts_the_cohort_again(void **state)
{
	struct window	w;
	int		i;

	(void)state;
	window_start(&w, &standard);
	for (i = 0; i < 100; i++) {
		assert_false(window_failed(&w, &standard, 0));
		succeed(&w, &standard, 1);
	}
}

static void
a_site_with_one_place_dies_at_its_first_failure(void **state)
{
	struct pace	p = standard;
	struct window	w;

	(void)state;
	p.limit = 1;
	window_start(&w, &p);
	assert_int_equal(w.size, 1);
	assert_true(window_failed(&w, &p, 0));
}

static void
with_no_cohort_limit_a_site_never_dies(void **state)
{
	struct pace	p = standard;
	struct window	w;
	int		i;

	(void)state;
	p.cohorts = 0;
	window_start(&w, &p);
	for (i = 0; i < 100; i++)
		assert_false(window_failed(&w, &p, 0));
	assert_int_equal(w.size, 1);
}

static void
failures_of_those_under_way_do_not_prolong_death(void **state)
{
	struct window	w;

	(void)state;
	window_start(&w, &standard);
	while (!window_failed(&w, &standard, 0))
		;
	assert_false(window_failed(&w, &standard, 500));
	assert_int_equal(w.dead_until, 1000);
}

static void
feedback_is_read_strictly(void **state)
{
	struct feedback	f;

	(void)state;
	assert_null(feedback_parse("1", &f));
	assert_true(f.factor == 1 && f.per == FEEDBACK_PER_DELIVERY);
	assert_null(feedback_parse("0.5/concurrency", &f));
	assert_true(f.factor == 0.5 && f.per == FEEDBACK_PER_WINDOW);
	assert_null(feedback_parse("1/ sqrt_concurrency", &f));
	assert_true(f.per == FEEDBACK_PER_ROOT);
	assert_null(feedback_parse("0", &f));
	assert_non_null(feedback_parse("", &f));
	assert_non_null(feedback_parse("2", &f));
	assert_non_null(feedback_parse("-1", &f));
	assert_non_null(feedback_parse("nan", &f));
	assert_non_null(feedback_parse("1/window", &f));
}

static void
a_lower_limit_narrows_a_wide_window(void **state)
{
	struct pace	p = standard;
	struct window	w;

	(void)state;
	window_start(&w, &p);
	succeed(&w, &p, 100);
	assert_int_equal(w.size, 20);
	p.limit = 1;			/* as a rate delay sets it */
	window_fit(&w, &p);
	assert_int_equal(w.size, 1);
	p.limit = 0;
	window_fit(&w, &p);
	assert_int_equal(w.size, 1);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(a_window_grows_to_its_limit),
		cmocka_unit_test(a_window_without_a_limit_goes_on_growing),
		cmocka_unit_test(a_window_that_is_not_used_does_not_grow),
		cmocka_unit_test(
		    a_part_per_window_takes_a_window_of_deliveries),
		cmocka_unit_test(the_first_failure_narrows_it),
		cmocka_unit_test(a_cohort_of_failures_kills_the_site),
		cmocka_unit_test(a_success_starts_the_cohort_again),
		cmocka_unit_test(
		    a_site_with_one_place_dies_at_its_first_failure),
		cmocka_unit_test(with_no_cohort_limit_a_site_never_dies),
		cmocka_unit_test(
		    failures_of_those_under_way_do_not_prolong_death),
		cmocka_unit_test(feedback_is_read_strictly),
		cmocka_unit_test(a_lower_limit_narrows_a_wide_window),
	};

	return cmocka_run_group_tests_name("site", tests, NULL, NULL);
}
