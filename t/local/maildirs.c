/*
 * maildirs.c - many messages for a Maildir share its opening and go in few
 * batches; local/maildirs.c.
 */
/* needs: local/maildirs.c local/batch.c local/storing.c */
#include "t/local/mailboxes.h"

#include "common/fiber/loop.h"
#include "common/fiber/offload.h"

#include "local/maildir.h"

enum { MESSAGES = 20, MANY = 40, STAY = 16 };

/* What stands for maildir.c, on threads. */
static int	 opened, put, batches, moved, failing, opening, beside, at_once,
		 most, slow, expected;

/* Add to one of them: the new value. */
static int
count(int *what, int change)
{
	return __atomic_add_fetch(what, change, __ATOMIC_SEQ_CST);
}

void
maildir_init(struct maildir *m, char *path, char *new_path)
{
	*m = (struct maildir){ .path = path, .new_path = new_path, .tmp = -1,
	    .new = -1 };
}

/* Open it, which takes a while. */
static void
open_it(struct maildir *m)
{
	count(&opening, 1);
	usleep(10 * 1000);
	count(&opening, -1);
	count(&opened, 1);
	m->new = open(".", O_RDONLY);
}

/* Until as many threads as are expected do this at once; none of them leaves
 * before it was seen. */
static void
meet(void)
{
	int	i, now;

	for (i = 0; i < 2000; i++) {
		if ((now = count(&at_once, 0)) > count(&most, 0))
			__atomic_store_n(&most, now, __ATOMIC_SEQ_CST);
		if (count(&most, 0) >= expected)
			return;
		usleep(1000);
	}
}

/* Write them all. */
static int
write_all(struct batch *b)
{
	struct storing	*s;

	meet();
	b->sync_time = slow;
	count(&batches, 1);
	TAILQ_FOREACH(s, &b->all, next) {
		count(&put, 1);
		storing_is(s, failing ? OUTCOME_DEFERRED : OUTCOME_SENT,
		    "2.0.0", "done");
	}
	return failing ? -1 : 0;
}

int
maildir_put(void *arg)
{
	struct batch	*b = arg;
	struct maildir	*m = b->mailbox;
	int		 result = -1;

	count(&at_once, 1);
	if (count(&opening, 0) > 0)
		count(&beside, 1);
	if (m->new != -1 && moved > 0) {
		count(&moved, -1);
	} else {
		if (m->new == -1)
			open_it(m);
		result = write_all(b);
	}
	count(&at_once, -1);
	return result;
}

void
maildir_close(struct maildir *m)
{
	close(m->new);
}

static struct storing	*all[MESSAGES];
static int		 left;

static void
store(void *arg)
{
	maildirs_store(arg);
	if (--left == 0)
		loop_stop();
}

/* So many messages at once. */
static void
store_many(int count, const char *path)
{
	int	i;

	opened = put = batches = most = 0;
	for (i = 0; i < count; i++) {
		all[i] = storing_of(path, "\r\n");
		all[i]->number = (unsigned)i;
		left++;
		fiber_start(store, all[i]);
	}
	loop_run();
}

static void
a_second_message_needs_no_opening(void **state)
{
	(void)state;
	store_many(1, "one/");
	assert_int_equal(opened, 1);
	assert_int_equal(all[0]->outcome, OUTCOME_SENT);
	store_many(MESSAGES, "one/");
	assert_int_equal(opened, 0);
	assert_int_equal(put, MESSAGES);
	assert_int_equal(all[MESSAGES - 1]->outcome, OUTCOME_SENT);
	store_many(1, "two/");
	assert_int_equal(opened, 1);
}

/* mailbox-7: what is being made is not synced yet. */
static void
all_wait_for_the_first_that_opens(void **state)
{
	(void)state;
	beside = 0;
	store_many(MESSAGES, "cold/");
	assert_int_equal(opened, 1);
	assert_int_equal(put, MESSAGES);
	assert_int_equal(beside, 0);
	assert_int_equal(all[MESSAGES - 1]->outcome, OUTCOME_SENT);
}

static void
one_that_was_moved_away_is_opened_anew(void **state)
{
	(void)state;
	store_many(1, "moving/");
	moved = 1;
	store_many(1, "moving/");
	assert_int_equal(opened, 1);
	assert_int_equal(put, 1);
	assert_int_equal(all[0]->outcome, OUTCOME_SENT);
}

static void
few_stay_open(void **state)
{
	char	path[20];
	int	i, before, after;

	(void)state;
	before = dup(0);
	for (i = 0; i < MANY; i++) {
		snprintf(path, sizeof(path), "many%d/", i);
		store_many(1, path);
	}
	after = dup(0);
	/* each message is open until the test ends */
	assert_in_range(after - before, MANY, MANY + STAY + 1);
	close(before);
	close(after);
	store_many(1, "many39/");
	assert_int_equal(opened, 0);
	store_many(1, "many0/");
	assert_int_equal(opened, 1);
}

/* P2 */
static void
what_failed_for_one_is_not_used_by_others(void **state)
{
	(void)state;
	store_many(1, "bad/");
	failing = 1;
	store_many(1, "bad/");
	assert_int_equal(opened, 0);
	assert_int_equal(all[0]->outcome, OUTCOME_DEFERRED);
	failing = 0;
	store_many(1, "bad/");
	assert_int_equal(opened, 1);
	assert_int_equal(all[0]->outcome, OUTCOME_SENT);
}

static void
many_go_in_few_batches_side_by_side(void **state)
{
	(void)state;
	store_many(1, "busy/");
	expected = 4;
	store_many(MESSAGES, "busy/");
	expected = 0;
	assert_int_equal(put, MESSAGES);
	assert_int_equal(batches, 4);
	assert_int_equal(most, 4);
}

static void
many_wait_for_a_slow_disk_at_once(void **state)
{
	(void)state;
	slow = 100;
	store_many(1, "slow/");
	store_many(MESSAGES, "slow/");
	assert_int_equal(put, MESSAGES);
	assert_int_equal(batches, 10);
	slow = 0;
	store_many(1, "slow/");
	store_many(MESSAGES, "slow/");
	assert_int_equal(batches, 4);
}

int
main(void)
{
#define CLAIM_OF(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest	claims[] = {
		CLAIM_OF(a_second_message_needs_no_opening),
		CLAIM_OF(all_wait_for_the_first_that_opens),
		CLAIM_OF(one_that_was_moved_away_is_opened_anew),
		CLAIM_OF(few_stay_open),
		CLAIM_OF(what_failed_for_one_is_not_used_by_others),
		CLAIM_OF(many_go_in_few_batches_side_by_side),
		CLAIM_OF(many_wait_for_a_slow_disk_at_once)
	};

	loop_open();
	offload_threads(4);
	return cmocka_run_group_tests(claims, NULL, NULL);
}
