/*
 * batch.c - who waits for a mailbox goes along with others; local/batch.c.
 */
/* needs: local/batch.c local/storing.c */
#include "t/local/mailboxes.h"

#include "common/fiber/loop.h"

enum { MESSAGES = 12, MOST = 5, LARGE = 200 * 1024, HUGE_ONE = 1 << 20 };

/* What became of the batches: "3 2" is one of three, then one of two. */
static char		 story[100];
static unsigned		 at_once, most;
static struct line	 line;
static struct storing	*all[MESSAGES];
static struct fiber	*fibers[MESSAGES];
static int		 left, mailbox;
static bool		 is_held;

static void
tell(unsigned number)
{
	size_t	len = strlen(story);

	snprintf(story + len, sizeof(story) - len, "%s%u",
	    len > 0 ? " " : "", number);
}

/* The work takes a while, and longer while it is held. */
WAITS static void
work(struct batch *b)
{
	struct storing	*s;

	assert_ptr_equal(b->mailbox, &mailbox);
	tell(b->count);
	if (++at_once > most)
		most = at_once;
	do
		(void)fiber_sleep(1);
	while (is_held);
	at_once--;
	TAILQ_FOREACH(s, &b->all, next)
		storing_is(s, OUTCOME_SENT, "2.0.0", "done");
}

/* One message's fiber. */
static void
pass(void *arg)
{
	line_pass(&line, arg, work, &mailbox);
	if (--left == 0)
		loop_stop();
}

/* So many messages of this length, each on a fiber. */
static void
begin(int from, int to, int64_t length)
{
	struct store	*what;
	int		 i;

	for (i = from; i < to; i++) {
		all[i] = storing_of("box", "\r\n");
		what = pool_alloc(pool, sizeof(*what));
		*what = *all[i]->what;
		what->content_length = length;
		all[i]->what = what;
		left++;
		fibers[i] = fiber_start(pass, all[i]);
	}
}

/* Until the first batch runs, which is held; and until those who have come
 * meanwhile stand in line, when it may go on. */
WAITS static void
wait_for_work(void)
{
	while (at_once == 0)
		(void)fiber_sleep(1);
}

WAITS static void
let_go(void)
{
	(void)fiber_sleep(1);
	is_held = false;
	left--;
}

/* Those come while the first batch runs. */
static void
come_later(void *arg)
{
	wait_for_work();
	begin(1, *(int *)arg, 100);
	let_go();
}

/* Do this beside a batch that is held. */
static void
meanwhile(void (*act)(void *), void *arg)
{
	is_held = true;
	left++;
	fiber_start(act, arg);
	loop_run();
}

/* A line in front of so many places, and a story to be told. */
static void
prepare(unsigned places)
{
	story[0] = '\0';
	most = 0;
	line_init(&line, places, MOST);
}

static void
those_who_come_at_once_go_together(void **state)
{
	(void)state;
	prepare(1);
	begin(0, 3, 100);
	loop_run();
	assert_string_equal(story, "3");
	assert_int_equal(all[2]->outcome, OUTCOME_SENT);
}

static void
who_comes_meanwhile_goes_with_the_next(void **state)
{
	int	to = 4;

	(void)state;
	prepare(1);
	begin(0, 1, 100);
	meanwhile(come_later, &to);
	assert_string_equal(story, "1 3");
	assert_int_equal(most, 1);
}

static void
no_batch_has_too_many(void **state)
{
	(void)state;
	prepare(1);
	begin(0, MESSAGES, 100);
	loop_run();
	assert_string_equal(story, "5 5 2");
}

static void
large_ones_go_alone(void **state)
{
	(void)state;
	prepare(1);
	begin(0, 3, LARGE);
	begin(3, 4, 100);
	begin(4, 5, HUGE_ONE);
	begin(5, 7, 100);
	loop_run();
	assert_string_equal(story, "1 1 2 1 2");
}

static void
batches_run_side_by_side_in_their_places(void **state)
{
	(void)state;
	prepare(2);
	begin(0, MESSAGES, 100);
	loop_run();
	assert_string_equal(story, "5 5 2");
	assert_int_equal(most, 2);
}

/* Who waits is told to go away. */
static void
cancel_the_second(void *arg)
{
	(void)arg;
	wait_for_work();
	begin(1, 3, 100);
	(void)fiber_sleep(1);
	fiber_cancel(fibers[1]);
	let_go();
}

/* B2 */
static void
who_gives_up_in_the_line_is_deferred(void **state)
{
	(void)state;
	prepare(1);
	begin(0, 1, 100);
	meanwhile(cancel_the_second, NULL);
	assert_string_equal(story, "1 1");
	assert_int_equal(all[1]->outcome, OUTCOME_DEFERRED);
	assert_non_null(strstr(all[1]->text, "cannot wait for box"));
	assert_int_equal(all[2]->outcome, OUTCOME_SENT);
}

/* One of a batch that runs is told to go away. */
static void
cancel_one(void *arg)
{
	(void)arg;
	wait_for_work();
	fiber_cancel(fibers[1]);
	let_go();
}

/* B1 */
static void
who_is_in_a_batch_stays_until_its_end(void **state)
{
	(void)state;
	prepare(1);
	begin(0, 3, 100);
	meanwhile(cancel_one, NULL);
	assert_string_equal(story, "3");
	assert_int_equal(all[1]->outcome, OUTCOME_SENT);
}

int
main(void)
{
#define CLAIM_OF(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest	claims[] = {
		CLAIM_OF(those_who_come_at_once_go_together),
		CLAIM_OF(who_comes_meanwhile_goes_with_the_next),
		CLAIM_OF(no_batch_has_too_many),
		CLAIM_OF(large_ones_go_alone),
		CLAIM_OF(batches_run_side_by_side_in_their_places),
		CLAIM_OF(who_gives_up_in_the_line_is_deferred),
		CLAIM_OF(who_is_in_a_batch_stays_until_its_end)
	};

	loop_open();
	return cmocka_run_group_tests(claims, NULL, NULL);
}
