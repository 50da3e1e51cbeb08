/*
 * ticket.c - claims about submissions that are repeated.
 *
 * needs: cleanup/ticket.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/fiber/loop.h"

#include "cleanup/ticket.h"

static void	(*body)(void);
static char	 heard[QUEUE_ID_MAX + 1];
static struct ticket	*other;

/* The fiber that a test runs on. */
static void
run(void *unused)
{
	(void)unused;
	body();
}

/* Run a claim on a fiber. */
static void
on_a_fiber(void (*claim)(void))
{
	body = claim;
	fiber_start(run, NULL);
	loop_run();
}

/* Submit the token "same" while another submission is under way. */
static void
second(void *unused)
{
	(void)unused;
	strlcpy(heard, "?", sizeof(heard));
	other = ticket_take(1, "same", heard, clock_now() + 10000);
}

static void
remember(void)
{
	char		 id[QUEUE_ID_MAX + 1];
	struct ticket	*t = ticket_take(1, "token", id, NEVER);

	assert_non_null(t);
	ticket_give(t, "ID1");
	assert_null(ticket_take(1, "token", id, NEVER));
	assert_string_equal(id, "ID1");
	t = ticket_take(2, "token", id, NEVER);
	assert_non_null(t);
	ticket_give(t, "");
	t = ticket_take(1, "other", id, NEVER);
	assert_non_null(t);
	ticket_give(t, "");
}

static void
a_token_is_remembered_for_its_user(void **state)
{
	(void)state;
	on_a_fiber(remember);
}

static void
fail_first(void)
{
	char		 id[QUEUE_ID_MAX + 1];
	struct ticket	*t = ticket_take(1, "failing", id, NEVER);

	ticket_give(t, "");
	t = ticket_take(1, "failing", id, NEVER);
	assert_non_null(t);
	ticket_give(t, "");
}

static void
a_failed_submission_may_be_repeated(void **state)
{
	(void)state;
	on_a_fiber(fail_first);
}

static void
overlap(void)
{
	char		 id[QUEUE_ID_MAX + 1];
	struct ticket	*t = ticket_take(1, "same", id, NEVER);

	fiber_start(second, NULL);
	fiber_sleep(20);
	assert_string_equal(heard, "");
	ticket_give(t, "ID2");
	fiber_sleep(20);
	assert_null(other);
	assert_string_equal(heard, "ID2");
}

static void
a_repetition_waits_for_the_first(void **state)
{
	(void)state;
	on_a_fiber(overlap);
}

static void
overlap_failing(void)
{
	char		 id[QUEUE_ID_MAX + 1];
	struct ticket	*t = ticket_take(3, "same", id, NEVER);

	ticket_give(t, "");
	t = ticket_take(1, "same2", id, NEVER);
	ticket_give(t, "");
	t = ticket_take(1, "same", id, NEVER);
	assert_null(t);
}

static void
users_do_not_share_tokens(void **state)
{
	(void)state;
	on_a_fiber(overlap_failing);
}

static void
without(void)
{
	char		 id[QUEUE_ID_MAX + 1];
	struct ticket	*a = ticket_take(1, "", id, NEVER);
	struct ticket	*b = ticket_take(1, "", id, NEVER);

	assert_non_null(a);
	assert_non_null(b);
	ticket_give(a, "ID3");
	ticket_give(b, "ID4");
}

static void
without_a_token_nothing_is_a_repetition(void **state)
{
	(void)state;
	on_a_fiber(without);
}

static void
many(void)
{
	char		 id[QUEUE_ID_MAX + 1], token[32];
	struct ticket	*t;
	int		 i;

	for (i = 0; i < 20000; i++) {
		snprintf(token, sizeof(token), "many%d", i);
		t = ticket_take(1, token, id, NEVER);
		ticket_give(t, "ID5");
	}
	t = ticket_take(1, "many0", id, NEVER);
	assert_non_null(t);
	ticket_give(t, "");
	assert_null(ticket_take(1, "many19999", id, NEVER));
}

static void
the_oldest_of_too_many_are_forgotten(void **state)
{
	(void)state;
	on_a_fiber(many);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(a_token_is_remembered_for_its_user),
		cmocka_unit_test(a_failed_submission_may_be_repeated),
		cmocka_unit_test(a_repetition_waits_for_the_first),
		cmocka_unit_test(users_do_not_share_tokens),
		cmocka_unit_test(without_a_token_nothing_is_a_repetition),
		cmocka_unit_test(the_oldest_of_too_many_are_forgotten),
	};

	loop_open();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
