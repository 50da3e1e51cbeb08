/*
 * again.c - each recipient by its transport: when it is tried again, when it
 * is too old, and what its message waits for.
 *
 * needs: qmgr/again.c qmgr/retry.c qmgr/waiting.c qmgr/marks.c
 */
#include "qmgr/again.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "qmgr/retry.h"
#include "qmgr/transport.h"

#define LONG_AGO	INT64_C(1740000000000000)	/* February 2025 */

static struct transport		transports[2];
static struct destination	site;
static struct job		job;
static bool			has_job;

/* Instead of transport.c and message.c. */
struct transport *
transport_at(unsigned index)
{
	return index == 0 || index > 2 ? NULL : &transports[index - 1];
}

struct job *
message_next_job(struct message *m, struct job *before)
{
	(void)m;
	return before == NULL && has_job ? &job : NULL;
}

static struct envelope_recipient	recipients[5];
static struct work			work[5];
static struct message			m;

/* A message for some recipients; one transport is quick, one is slow. */
static int
set_up(void **state)
{
	static char	addresses[][16] = { "a@one.test", "b@Two.test",
			    "c@three.test", "d@four.test", "e@five.test" };
	static char	sender[] = "al@local.test", nexthop[] = "[mx.test]:25",
			label[] = "mx.test, my.test";
	int		i;

	(void)state;
	retry = (struct retry_settings){ .minimal = 1000, .maximal = 8000,
	    .lifetime = 100000, .bounce_lifetime = 50000 };
	transports[0].tuning.retry = (struct retry_settings){ .minimal = 10,
	    .maximal = 20, .lifetime = 5000, .bounce_lifetime = 0 };
	transports[1].tuning.retry = (struct retry_settings){
	    .minimal = 90000, .maximal = 90000, .lifetime = 1000000,
	    .bounce_lifetime = 1000000 };
	memset(work, 0, sizeof(work));
	m = (struct message){ .envelope = { .recipients = recipients,
	    .count = 2 }, .work = work };
	m.envelope.mail.sender = sender;
	m.envelope.mail.arrival_us = clock_wall_us() - 6000 * 1000;
	for (i = 0; i < 5; i++) {
		recipients[i].row.address = addresses[i];
		work[i].state = WORK_DEFERRED;
	}
	site = (struct destination){ .load = { .mark = 77 }, .label = label };
	job = (struct job){ .site = &site, .nexthop = nexthop };
	has_job = false;
	return 0;
}

static void
the_quickest_transport_sets_the_time(void **state)
{
	(void)state;
	assert_in_range(again_pause(&m), 750, 1250);
	work[0].transport = 2;
	assert_in_range(again_pause(&m), 750, 1250);
	work[1].transport = 1;
	assert_in_range(again_pause(&m), 7, 13);
	work[1].state = WORK_SENT;	/* it waits no more */
	assert_in_range(again_pause(&m), 67500, 112500);
}

static void
each_recipient_has_a_lifetime_of_its_own(void **state)
{
	static char	null[1];

	(void)state;
	work[0].transport = 1;
	work[1].transport = 2;
	work[0].was_tried = work[1].was_tried = true;
	assert_true(again_is_too_old(&m, 0));
	assert_false(again_is_too_old(&m, 1));
	m.envelope.mail.arrival_us = clock_wall_us();
	assert_false(again_is_too_old(&m, 0));
	m.envelope.mail.sender = null;	/* 0: one try only */
	assert_true(again_is_too_old(&m, 0));
}

static void
nobody_is_too_old_without_an_attempt(void **state)
{
	(void)state;
	work[0].transport = 1;
	assert_false(again_is_too_old(&m, 0));
	m.envelope.mail.arrival_us = LONG_AGO;
	assert_false(again_is_too_old(&m, 0));
	work[0].was_tried = true;
	assert_true(again_is_too_old(&m, 0));
}

static void
mail_of_a_wrong_clock_ages_by_its_attempts(void **state)
{
	(void)state;
	work[0].transport = 1;
	work[0].was_tried = true;
	m.envelope.mail.arrival_us = 0;
	m.attempt = 1;
	assert_false(again_is_too_old(&m, 0));
	m.attempt = 1000;
	assert_true(again_is_too_old(&m, 0));
}

static void
a_message_is_known_by_its_domains_next_hops_and_sites(void **state)
{
	uint32_t	two = marks_hash("two.test", 8),
			mx = again_hash("mx.test"), my = again_hash("my.test");
	unsigned	flags;
	struct marks	marks;

	(void)state;
	has_job = true;
	marks = again_marks(&m, &flags);
	assert_int_equal(marks.count, 3);	/* the site is the next hop */
	assert_true(marks_have(&marks, &two, 1));
	assert_true(marks_have(&marks, &mx, 1));
	assert_false(marks_have(&marks, &my, 1));
	assert_int_equal(marks.site, 77);
	assert_int_equal(flags, 0);
	site.died = 5;
	work[1].state = WORK_SENT;
	marks = again_marks(&m, &flags);
	assert_int_equal(flags, WAITING_DEAD);
	assert_false(marks_have(&marks, &two, 1));
	m.envelope.count = 5;
	assert_int_equal(again_marks(&m, &flags).count, MARKS_MANY);
}

static void
next_hops_are_known_without_brackets_and_ports(void **state)
{
	uint32_t	h = again_hash("relay.test");

	(void)state;
	assert_int_equal(again_hash("[relay.test]:587"), h);
	assert_int_equal(again_hash("[Relay.Test]"), h);
	assert_int_equal(again_hash("relay.test:25"), h);
	assert_int_equal(again_hash("relay.test, other.test"), h);
	assert_int_equal(again_hash("[::1]:25"), again_hash("[::1]"));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
#define TEST(f)	cmocka_unit_test_setup(f, set_up)
		TEST(the_quickest_transport_sets_the_time),
		TEST(each_recipient_has_a_lifetime_of_its_own),
		TEST(nobody_is_too_old_without_an_attempt),
		TEST(mail_of_a_wrong_clock_ages_by_its_attempts),
		TEST(a_message_is_known_by_its_domains_next_hops_and_sites),
		TEST(next_hops_are_known_without_brackets_and_ports),
	};

	return cmocka_run_group_tests_name("again", tests, NULL, NULL);
}
