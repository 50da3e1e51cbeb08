/*
 * queue.c - places are handed over in the order of asking, and never lost.
 */
#include "common/fiber/queue.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

#include "common/fiber/loop.h"

static struct semaphore		semaphore;
static struct fiber_queue	queue;
static char			story[32];
static int			inside, most_inside;

static void
tell(char letter)
{
	size_t	len = strlen(story);

	if (len + 1 < sizeof story) {
		story[len] = letter;
		story[len + 1] = '\0';
	}
}

/* Take a place, stay a while, give it back. */
static void
visit(void *arg)
{
	if (semaphore_take(&semaphore, NEVER) == -1)
		return;
	tell(*(char *)arg);
	if (++inside > most_inside)
		most_inside = inside;
	fiber_sleep(2);
	inside--;
	semaphore_give(&semaphore);
}

static void
places_are_taken_in_order_and_never_too_many(void **state)
{
	char	letters[] = "abcdefg";
	size_t	i;

	(void)state;
	story[0] = '\0';
	most_inside = 0;
	semaphore_init(&semaphore, 2);
	for (i = 0; letters[i] != '\0'; i++)
		fiber_start(visit, &letters[i]);
	loop_run();
	assert_string_equal(story, "abcdefg");
	assert_int_equal(most_inside, 2);
	assert_int_equal(semaphore.free, 2);
}

/* Ask for a place for a very short time. */
static void
ask_briefly(void *arg)
{
	if (semaphore_take(&semaphore, clock_now() + 5) == -1)
		*(int *)arg = errno;
}

/* Hold the only place until others have given up. */
static void
hold(void *unused)
{
	(void)unused;
	if (semaphore_take(&semaphore, NEVER) == 0) {
		fiber_sleep(30);
		semaphore_give(&semaphore);
	}
}

static void
who_gives_up_leaves_the_line(void **state)
{
	char	letter = 'z';
	int	error = 0;

	(void)state;
	story[0] = '\0';
	semaphore_init(&semaphore, 1);
	fiber_start(hold, NULL);
	fiber_start(ask_briefly, &error);
	fiber_start(visit, &letter);
	loop_run();
	assert_int_equal(error, ETIMEDOUT);
	assert_string_equal(story, "z");
	assert_int_equal(semaphore.free, 1);
}

/* Give a place and cancel the one who just got it. */
static void
give_and_cancel(void *other)
{
	semaphore_give(&semaphore);
	fiber_cancel(other);
}

static void
a_place_handed_to_a_cancelled_fiber_is_not_lost(void **state)
{
	struct fiber	*visitor;
	char		 letter = 'v';

	(void)state;
	story[0] = '\0';
	semaphore_init(&semaphore, 0);
	visitor = fiber_start(visit, &letter);
	fiber_start(give_and_cancel, visitor);
	loop_run();
	assert_string_equal(story, "v");
	assert_int_equal(semaphore.free, 1);
}

static void
cancel(void *other)
{
	fiber_cancel(other);
}

static void
a_cancelled_waiter_takes_no_place(void **state)
{
	struct fiber	*visitor;
	char		 letter = 'v';

	(void)state;
	story[0] = '\0';
	semaphore_init(&semaphore, 0);
	visitor = fiber_start(visit, &letter);
	fiber_start(cancel, visitor);
	loop_run();
	semaphore_give(&semaphore);
	assert_string_equal(story, "");
	assert_int_equal(semaphore.free, 1);
}

static void
listen_for_news(void *arg)
{
	if (fiber_queue_wait(&queue, NEVER) == 0)
		tell(*(char *)arg);
}

/* Wake one, see him run, then wake the rest. */
static void
announce(void *unused)
{
	(void)unused;
	fiber_queue_wake_one(&queue);
	fiber_yield();
	tell('|');
	fiber_queue_wake_all(&queue);
}

static void
news_reach_one_or_all(void **state)
{
	char	letters[] = "abc";
	size_t	i;

	(void)state;
	story[0] = '\0';
	fiber_queue_init(&queue);
	fiber_queue_wake_one(&queue);		/* nobody there: no effect */
	for (i = 0; letters[i] != '\0'; i++)
		fiber_start(listen_for_news, &letters[i]);
	fiber_start(announce, NULL);
	loop_run();
	assert_string_equal(story, "a|bc");
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(places_are_taken_in_order_and_never_too_many),
		cmocka_unit_test(who_gives_up_leaves_the_line),
		cmocka_unit_test(
		    a_place_handed_to_a_cancelled_fiber_is_not_lost),
		cmocka_unit_test(a_cancelled_waiter_takes_no_place),
		cmocka_unit_test(news_reach_one_or_all),
	};

	loop_open();
	return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
