/*
 * mboxes.c - who waits for a locked mbox goes along, or is told at the same
 * time; local/mboxes.c.
 */
/* needs: local/mboxes.c local/batch.c local/storing.c */
#include "t/local/mailboxes.h"

#include "common/fiber/loop.h"
#include "common/fiber/offload.h"

#include "local/mbox.h"

enum { MESSAGES = 20 };

/* What stands for mbox.c: it is locked so often; how often it was looked at,
 * and by how many messages when it was not locked. */
static int		 locked, tries, looks, appended, mailboxes;
static unsigned		 count;
static struct mbox	*last;

int
mbox_lock_tries(const struct store *what, int *pause)
{
	(void)what;
	*pause = tries > 100 ? 100 : 5;
	return tries;
}

int
mbox_put(void *arg)
{
	static char	 obstacle[] = "it is locked";
	struct batch	*b = arg;
	struct mbox	*m = b->mailbox;
	struct storing	*s;

	if (m != last)
		mailboxes++;
	last = m;
	count = b->count;
	if (looks++ < locked) {
		m->obstacle = obstacle;
		return MBOX_IS_LOCKED;
	}
	TAILQ_FOREACH(s, &b->all, next) {
		appended++;
		storing_is(s, OUTCOME_SENT, "2.0.0", "done");
	}
	return 0;
}

static struct storing	*all[MESSAGES];
static int64_t		 ended[MESSAGES];
static int		 left;

static void
store(void *arg)
{
	int	i = (int)(intptr_t)arg;

	mboxes_store(all[i]);
	ended[i] = clock_now();
	if (--left == 0)
		loop_stop();
}

/* Messages from one number to another, with these flags. */
static void
begin(int from, int to, int64_t flags)
{
	struct store	*what;
	int		 i;

	for (i = from; i < to; i++) {
		all[i] = storing_of("box", "\r\n");
		what = pool_alloc(pool, sizeof(*what));
		*what = *all[i]->what;
		what->flags = flags;
		all[i]->what = what;
		left++;
		fiber_start(store, (void *)(intptr_t)i);
	}
}

/* It is locked so often, and looked at no more than that. */
static void
prepare(int times, int at_most)
{
	locked = times;
	tries = at_most;
	looks = appended = mailboxes = 0;
	last = NULL;
}

static void
those_who_wait_share_the_lock(void **state)
{
	(void)state;
	prepare(0, 10);
	begin(0, MESSAGES, 0);
	loop_run();
	assert_int_equal(looks, 1);
	assert_int_equal(appended, MESSAGES);
}

/* The second one comes when it has been looked at. */
static void
come_later(void *arg)
{
	(void)arg;
	while (looks == 0)
		(void)fiber_sleep(1);
	begin(1, 2, 0);
	left--;
}

static void
who_comes_while_it_is_locked_comes_along(void **state)
{
	(void)state;
	prepare(50, 100);
	begin(0, 1, 0);
	left++;
	fiber_start(come_later, NULL);
	loop_run();
	assert_int_equal(looks, 51);
	assert_int_equal(count, 2);
	assert_int_equal(all[1]->outcome, OUTCOME_SENT);
}

/* P1 */
static void
when_patience_ends_all_are_told(void **state)
{
	int	i;

	(void)state;
	prepare(1000, 3);
	begin(0, MESSAGES, 0);
	loop_run();
	assert_int_equal(looks, 3);
	for (i = 0; i < MESSAGES; i++) {
		assert_int_equal(all[i]->outcome, OUTCOME_DEFERRED);
		assert_string_equal(all[i]->text,
		    "cannot lock mailbox box: it is locked");
	}
}

/* P2 */
static void
a_mailbox_that_stays_locked_keeps_two(void **state)
{
	int64_t	began = clock_now();
	int	i;

	(void)state;
	prepare(60, 200);
	begin(0, MESSAGES, 0);
	loop_run();
	assert_int_equal(appended, 2);
	for (i = 0; i < MESSAGES; i++)
		assert_int_equal(all[i]->outcome,
		    i < 2 ? OUTCOME_SENT : OUTCOME_DEFERRED);
	assert_true(ended[MESSAGES - 1] - began >= 5000);
	assert_true(ended[MESSAGES - 1] < ended[0]);
}

static void
a_file_that_is_looked_at_otherwise_is_another(void **state)
{
	(void)state;
	prepare(0, 10);
	begin(0, 2, 0);
	begin(2, 4, STORE_TO_FILE);
	begin(4, 5, STORE_NOTIFIES);
	loop_run();
	assert_int_equal(appended, 5);
	assert_int_equal(mailboxes, 2);
}

int
main(void)
{
#define CLAIM_OF(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest	claims[] = {
		CLAIM_OF(those_who_wait_share_the_lock),
		CLAIM_OF(who_comes_while_it_is_locked_comes_along),
		CLAIM_OF(when_patience_ends_all_are_told),
		CLAIM_OF(a_mailbox_that_stays_locked_keeps_two),
		CLAIM_OF(a_file_that_is_looked_at_otherwise_is_another)
	};

	loop_open();
	offload_threads(1);
	return cmocka_run_group_tests(claims, NULL, NULL);
}
