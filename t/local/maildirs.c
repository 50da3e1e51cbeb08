/*
 * maildirs.c - many messages for a Maildir share its opening and its syncs;
 * local/maildirs.c.
 */
/* needs: local/maildirs.c local/storing.c */
#include "t/local/mailboxes.h"

#include "common/fiber/loop.h"
#include "common/fiber/offload.h"

#include "local/maildir.h"

enum { MESSAGES = 20, MANY = 40, STAY = 16 };

/* What stands for maildir.c. */
static int	 opened, put, undone, moved, error, opening, beside;

int
maildir_put(void *arg)
{
	struct storing	*s = arg;
	struct maildir	*m = s->maildir;

	if (m->new != -1 && moved > 0) {
		__atomic_sub_fetch(&moved, 1, __ATOMIC_RELAXED);
		return MAILDIR_MOVED;
	}
	if (__atomic_load_n(&opening, __ATOMIC_SEQ_CST) > 0)
		__atomic_add_fetch(&beside, 1, __ATOMIC_RELAXED);
	if (m->new == -1) {
		__atomic_add_fetch(&opening, 1, __ATOMIC_SEQ_CST);
		usleep(10 * 1000);
		__atomic_sub_fetch(&opening, 1, __ATOMIC_SEQ_CST);
		__atomic_add_fetch(&opened, 1, __ATOMIC_RELAXED);
		/* a device has no sync */
		m->new = open(error == 0 ? "." : "/dev/null", O_RDONLY);
	}
	__atomic_add_fetch(&put, 1, __ATOMIC_RELAXED);
	return 0;
}

int
maildir_undo(void *arg)
{
	(void)arg;
	__atomic_add_fetch(&undone, 1, __ATOMIC_RELAXED);
	return 0;
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

	opened = put = undone = 0;
	for (i = 0; i < count; i++) {
		all[i] = storing_of(path, "\r\n");
		all[i]->number = (unsigned)i;
		all[i]->outcome = OUTCOME_DEFERRED;
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
	assert_string_equal(all[0]->text, "delivered to maildir");
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

/* mailbox-4, P1 */
static void
after_a_failed_sync_nothing_is_sent(void **state)
{
	int	i;

	(void)state;
	error = EINVAL;
	store_many(MESSAGES, "bad/");
	for (i = 0; i < MESSAGES; i++) {
		assert_int_equal(all[i]->outcome, OUTCOME_DEFERRED);
		assert_non_null(strstr(all[i]->text, "sync the directory new"));
	}
	assert_int_equal(undone, MESSAGES);
	error = 0;
	store_many(1, "bad/");
	assert_int_equal(opened, 1);
	assert_int_equal(all[0]->outcome, OUTCOME_SENT);
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
		CLAIM_OF(after_a_failed_sync_nothing_is_sent)
	};

	loop_open();
	offload_threads(4);
	return cmocka_run_group_tests(claims, NULL, NULL);
}
