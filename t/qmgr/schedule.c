/*
 * schedule.c - everybody has a turn: sites, and messages within a site.
 *
 * needs: qmgr/schedule.c qmgr/site.c
 */
#include "qmgr/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/clock.h"

enum { SITES = 4, JOBS = 8 };

static struct pool		*pool;
static struct schedule		 schedule;
static struct destination	 sites[SITES];
static struct job		 jobs[JOBS];
static struct pace		 pace;

/* A fresh schedule; window 1, no limits. */
static int
set_up(void **state)
{
	static char	names[SITES][2] = { "a", "b", "c", "d" };
	int		i;

	(void)state;
	pool = pool_new("test", 0);
	pace = (struct pace){ .initial = 1, .limit = 1,
	    .up = { 1, FEEDBACK_PER_DELIVERY },
	    .down = { 1, FEEDBACK_PER_DELIVERY }, .cohorts = 1,
	    .dead_time = 100 };
	schedule_init(&schedule, NULL);
	for (i = 0; i < SITES; i++)
		destination_init(&sites[i], &schedule, &pace, names[i]);
	memset(jobs, 0, sizeof(jobs));
	return 0;
}

static int
tear_down(void **state)
{
	int	i;

	(void)state;
	for (i = 0; i < JOBS; i++)
		schedule_withdraw(&jobs[i]);
	pool_free(pool);
	return 0;
}

/* A job with so many recipients, queued. */
static struct job *
queue(int number, int site, unsigned recipients)
{
	struct job	*job = &jobs[number];
	unsigned	 i;

	job->site = &sites[site];
	for (i = 0; i < recipients; i++)
		job_add(job, pool, i);
	schedule_queue(job);
	return job;
}

/* Whose turn is it? */
static struct job *
next(int64_t now)
{
	bool	is_dead;
	int64_t	when;

	return schedule_next(&schedule, now, &is_dead, &when);
}

static void
sites_take_turns(void **state)
{
	struct job	*a = queue(0, 0, 3), *b = queue(1, 1, 3);
	struct job	*expected[] = { a, b, a, b, a, b };
	int		 i;

	(void)state;
	for (i = 0; i < 6; i++) {
		assert_ptr_equal(next(0), expected[i]);
		schedule_take(expected[i], 1, true);
		schedule_ended(expected[i]->site, 0);
	}
	assert_null(next(0));
}

static void
a_single_recipient_overtakes_a_mailing(void **state)
{
	struct job	*mailing = queue(0, 0, 100000), *single;
	int		 i;

	(void)state;
	for (i = 0; i < 5; i++) {
		assert_ptr_equal(next(0), mailing);
		schedule_take(mailing, 50, true);
		schedule_ended(mailing->site, 0);
	}
	single = queue(1, 0, 1);
	assert_ptr_equal(next(0), mailing);
	schedule_take(mailing, 50, true);
	schedule_ended(mailing->site, 0);
	assert_ptr_equal(next(0), single);
	schedule_take(single, 1, true);
	schedule_ended(mailing->site, 0);
	assert_ptr_equal(next(0), mailing);
	assert_int_equal(job_count(mailing), 100000 - 300);
}

static void
a_full_window_gives_no_turn(void **state)
{
	struct job	*a = queue(0, 0, 10);

	(void)state;
	assert_ptr_equal(next(0), a);
	schedule_take(a, 1, true);
	assert_null(next(0));
	schedule_ended(&sites[0], 0);
	assert_ptr_equal(next(0), a);
}

static void
a_stuck_site_holds_up_nobody_else(void **state)
{
	struct job	*stuck = queue(0, 0, 50000), *b;
	int		 i;

	(void)state;
	schedule_take(stuck, 1, true);	/* and never comes back */
	for (i = 1; i < 7; i++) {
		b = queue(i, 1, 1);
		assert_ptr_equal(next(0), b);
		schedule_take(b, 1, true);
		schedule_ended(&sites[1], 0);
	}
	assert_null(next(0));
}

static void
a_dead_site_has_its_turns_but_no_deliveries(void **state)
{
	struct job	*a = queue(0, 0, 2);
	bool		 is_dead;
	int64_t		 when;

	(void)state;
	schedule_take(a, 1, true);
	assert_true(window_failed(&sites[0].window, &pace, 0));
	schedule_ended(&sites[0], 0);
	assert_ptr_equal(schedule_next(&schedule, 50, &is_dead, &when), a);
	assert_true(is_dead);
	assert_ptr_equal(schedule_next(&schedule, 100, &is_dead, &when), a);
	assert_false(is_dead);
}

static void
a_rate_delay_tells_when(void **state)
{
	struct job	*a = queue(0, 0, 2);
	bool		 is_dead;
	int64_t		 when;

	(void)state;
	pace.rate_delay = 30;
	schedule_take(a, 1, true);
	assert_null(schedule_next(&schedule, 5, &is_dead, &when));
	assert_true(when == NEVER);
	schedule_ended(&sites[0], 10);	/* the pause begins */
	assert_false(schedule_is_empty(&schedule));
	assert_null(schedule_next(&schedule, 20, &is_dead, &when));
	assert_int_equal(when, 40);
	assert_ptr_equal(schedule_next(&schedule, 40, &is_dead, &when), a);
}

static void
many_pauses_end_in_their_order(void **state)
{
	bool	is_dead;
	int64_t	when;
	int	i;

	(void)state;
	for (i = 0; i < SITES; i++) {
		pace.rate_delay = 100 - 10 * i;
		queue(i, i, 2);
		schedule_take(&jobs[i], 1, true);
		schedule_ended(&sites[i], 0);
	}
	for (i = SITES - 1; i >= 0; i--) {
		assert_null(schedule_next(&schedule, 0, &is_dead, &when));
		assert_int_equal(when, 100 - 10 * i);
		assert_ptr_equal(schedule_next(&schedule, when, &is_dead,
		    &when), &jobs[i]);
		schedule_take(&jobs[i], 1, true);
	}
	assert_true(schedule_is_empty(&schedule));
}

static void
a_dead_site_need_not_wait_for_its_pause(void **state)
{
	bool	is_dead;
	int64_t	when;

	(void)state;
	pace.rate_delay = 1000;
	queue(0, 0, 2);
	schedule_take(&jobs[0], 1, true);
	assert_true(window_failed(&sites[0].window, &pace, 0));
	schedule_ended(&sites[0], 0);
	assert_ptr_equal(schedule_next(&schedule, 50, &is_dead, &when),
	    &jobs[0]);
	assert_true(is_dead);
	/* alive again, it has to */
	assert_null(schedule_next(&schedule, 100, &is_dead, &when));
	assert_int_equal(when, 1000);
}

/* A job of a message that has had so many deliveries. */
static struct job *
queue_shared(int number, int site, struct share *share)
{
	jobs[number].share = share;
	return queue(number, site, 10);
}

static void
a_mailing_to_many_sites_lets_a_single_message_pass(void **state)
{
	struct share	 mailing = { 0 }, single = { 0 };
	struct job	*job;
	int		 i, turns = 0;

	(void)state;
	for (i = 0; i < 3; i++)
		(void)queue_shared(i, i, &mailing);
	for (i = 0; i < 9; i++) {
		job = next(0);
		schedule_take(job, 1, true);
		schedule_ended(job->site, 0);
	}
	assert_int_equal(mailing.turns, 9);
	(void)queue_shared(3, 3, &single);
	for (; (job = next(0)) != &jobs[3]; turns++) {
		schedule_take(job, 1, true);
		schedule_ended(job->site, 0);
	}
	assert_in_range(turns, 0, 1);

	/* and one to a site where the mailing waits */
	schedule_take(job, 10, true);
	schedule_ended(job->site, 0);
	single.turns = 0;
	(void)queue_shared(4, 0, &single);
	for (turns = 0; (job = next(0)) != &jobs[4]; turns++) {
		schedule_take(job, 1, true);
		schedule_ended(job->site, 0);
	}
	assert_in_range(turns, 0, 3);	/* the site and the schedule alternate */
	/* nor is the mailing held up by many who come */
	schedule_take(job, 1, true);
	schedule_ended(job->site, 0);
	assert_true(next(0)->share == &mailing);
}

static void
senders_take_turns_at_a_site(void **state)
{
	struct share	 much = { .who = 1 }, little = { .who = 2 };
	struct job	*job;
	int		 i;

	(void)state;
	for (i = 0; i < 5; i++) {
		jobs[i].share = &much;
		(void)queue(i, 0, 1);
	}
	for (; i < 7; i++) {
		jobs[i].share = &little;
		(void)queue(i, 0, 1);
	}
	for (i = 0; i < 4; i++) {
		job = next(0);
		assert_ptr_equal(job->share, i % 2 == 0 ? &much : &little);
		schedule_take(job, 1, true);
		schedule_ended(job->site, 0);
	}
	for (i = 2; i < 5; i++) {	/* in the order in which they came */
		assert_ptr_equal(next(0), &jobs[i]);
		schedule_withdraw(&jobs[i]);
	}
	assert_null(next(0));
	assert_true(TAILQ_EMPTY(&sites[0].parties[LINE_FEW]));
	assert_true(RB_EMPTY(&sites[0].by_who[LINE_FEW]));
}

static void
a_withdrawn_job_has_no_turn(void **state)
{
	struct job	*a = queue(0, 0, 2), *b = queue(1, 0, 2);

	(void)state;
	schedule_withdraw(a);
	schedule_withdraw(a);
	assert_ptr_equal(next(0), b);
	schedule_withdraw(b);
	assert_null(next(0));
	assert_int_equal(sites[0].waiting, 0);
	assert_true(destination_is_idle(&sites[0], 0));
}

static void
recipients_may_join_a_queued_job(void **state)
{
	struct job	*a = queue(0, 0, 1);

	(void)state;
	job_add(a, pool, 7);
	assert_int_equal(sites[0].waiting, 2);
	schedule_take(a, 2, true);
	schedule_ended(&sites[0], 0);
	assert_false(a->is_queued);
	assert_null(next(0));
	job_add(a, pool, 8);
	schedule_queue(a);
	assert_ptr_equal(next(0), a);
	assert_int_equal(a->numbers[a->first], 8);
}

static void
a_job_that_grows_waits_until_it_is_worth_a_turn(void **state)
{
	struct job	*a = &jobs[0];
	unsigned	 i;

	(void)state;
	a->site = &sites[0];
	a->least = 50;
	for (i = 0; i < 53; i++) {
		job_add(a, pool, i);
		schedule_queue(a);
		assert_int_equal(a->is_queued, i >= 49);
	}
	assert_int_equal(sites[0].waiting, 53);
	schedule_take(a, 50, true);
	schedule_ended(&sites[0], 0);
	assert_null(next(0));
	assert_int_equal(sites[0].waiting, 0);
	a->least = 0;
	schedule_queue(a);
	assert_int_equal(sites[0].waiting, 3);
	assert_ptr_equal(next(0), a);
}

static void
a_message_that_becomes_a_mailing_while_it_waits_has_its_turn(void **state)
{
	struct share	share = { .turns = 0 };
	struct job	*job[3];
	int		 i;

	(void)state;
	for (i = 0; i < 3; i++) {
		jobs[i].share = &share;
		job[i] = queue(i, i, 1);
	}
	share.turns = 100;		/* it had them at other sites */
	schedule.turn = LINE_MANY;	/* and mailings are next */
	for (i = 0; i < 3; i++) {
		assert_ptr_equal(next(0), job[i]);
		schedule_take(job[i], 1, true);
	}
	assert_null(next(0));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
#define TEST(f)	cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		TEST(sites_take_turns),
		TEST(a_single_recipient_overtakes_a_mailing),
		TEST(a_full_window_gives_no_turn),
		TEST(a_stuck_site_holds_up_nobody_else),
		TEST(a_dead_site_has_its_turns_but_no_deliveries),
		TEST(a_rate_delay_tells_when),
		TEST(many_pauses_end_in_their_order),
		TEST(a_dead_site_need_not_wait_for_its_pause),
		TEST(a_mailing_to_many_sites_lets_a_single_message_pass),
		TEST(senders_take_turns_at_a_site),
		TEST(a_withdrawn_job_has_no_turn),
		TEST(recipients_may_join_a_queued_job),
		TEST(a_job_that_grows_waits_until_it_is_worth_a_turn),
		TEST(
		    a_message_that_becomes_a_mailing_while_it_waits_has_its_turn),
	};

	return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
