/*
 * offload.c - threads work side by side and carry results home.
 */
#include "common/fiber/offload.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fiber/loop.h"

enum { MEETING = 4 };

static pthread_mutex_t	lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t	changed = PTHREAD_COND_INITIALIZER;
static int		present;
static bool		is_released;

struct note {
	struct fiber	*other;
	int		 result;
	int		 error;
	int		 count;
};

/* Return when four threads are here at the same time. */
static int
meet(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&lock);
	present++;
	pthread_cond_broadcast(&changed);
	while (present < MEETING)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	return 7;
}

static void
go_to_meeting(void *arg)
{
	struct note	*note = arg;

	errno = EXDEV;
	if (offload(meet, NULL) == 7 && errno == EXDEV)
		note->count++;
}

static void
jobs_run_at_the_same_time(void **state)
{
	struct note	note = { 0 };
	int		i;

	(void)state;
	present = 0;
	for (i = 0; i < MEETING; i++)
		fiber_start(go_to_meeting, &note);
	loop_run();
	assert_int_equal(note.count, MEETING);
}

static int
go_wrong(void *unused)
{
	(void)unused;
	errno = EXFULL;
	return -1;
}

static void
offload_failure(void *arg)
{
	struct note	*note = arg;

	note->result = offload(go_wrong, NULL);
	note->error = errno;
}

static void
errno_comes_back_from_the_thread(void **state)
{
	struct note	note = { 0 };

	(void)state;
	fiber_start(offload_failure, &note);
	loop_run();
	assert_int_equal(note.result, -1);
	assert_int_equal(note.error, EXFULL);
}

/* Work until released. */
static int
wait_for_release(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&lock);
	while (!is_released)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	return 5;
}

static void
offload_long(void *arg)
{
	struct note	*note = arg;

	note->result = offload(wait_for_release, NULL);
	if (fiber_park(NEVER) == -1)
		note->error = errno;
}

/* Cancel and wake who waits for a thread; then let the thread go. */
static void
disturb(void *arg)
{
	struct note	*note = arg;

	fiber_cancel(note->other);
	fiber_wake(note->other);
	fiber_sleep(5);
	note->count = note->result;
	pthread_mutex_lock(&lock);
	is_released = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static void
a_wait_for_a_thread_ignores_cancel_and_wake(void **state)
{
	struct note	note = { .result = -2 };

	(void)state;
	is_released = false;
	note.other = fiber_start(offload_long, &note);
	fiber_start(disturb, &note);
	loop_run();
	assert_int_equal(note.count, -2);
	assert_int_equal(note.result, 5);
	assert_int_equal(note.error, ECANCELED);
}

static int
count_one(void *arg)
{
	pthread_mutex_lock(&lock);
	++*(int *)arg;
	pthread_mutex_unlock(&lock);
	return 0;
}

static void
offload_counting(void *arg)
{
	int	i;

	for (i = 0; i < 10; i++)
		offload(count_one, arg);
}

static void
more_jobs_than_threads_all_get_done(void **state)
{
	int	count = 0, i;

	(void)state;
	for (i = 0; i < 100; i++)
		fiber_start(offload_counting, &count);
	loop_run();
	assert_int_equal(count, 1000);
}

/* Which signals does a thread hear? */
static int
ask_signals(void *arg)
{
	return pthread_sigmask(SIG_SETMASK, NULL, arg);
}

static void
offload_ask_signals(void *arg)
{
	offload(ask_signals, arg);
}

static void
threads_hear_no_signals(void **state)
{
	sigset_t	mask;

	(void)state;
	sigemptyset(&mask);
	fiber_start(offload_ask_signals, &mask);
	loop_run();
	assert_int_equal(sigismember(&mask, SIGTERM), 1);
	assert_int_equal(sigismember(&mask, SIGCHLD), 1);
	sigprocmask(SIG_SETMASK, NULL, &mask);
	assert_int_equal(sigismember(&mask, SIGTERM), 0);
}

static void
sync_badly(void *arg)
{
	struct note	*note = arg;

	note->result = offload_sync(-1);
	note->error = errno;
}

static void
a_failed_sync_is_told(void **state)
{
	struct note	note = { 0 };

	(void)state;
	fiber_start(sync_badly, &note);
	loop_run();
	assert_int_equal(note.result, -1);
	assert_int_equal(note.error, EBADF);
}

/* Hang until somebody says that it is enough. */
static int
hang(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&lock);
	while (!is_released)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	return 3;
}

static int	released;

static void
count_release(void *arg)
{
	(void)arg;
	released++;
}

static void
leave_it(void *arg)
{
	struct note	*note = arg;

	is_released = false;
	note->result = offload_until(hang, NULL, count_release,
	    clock_now() + 20);
	note->error = errno;
	note->count = released;
	pthread_mutex_lock(&lock);
	is_released = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	while (released == 0)
		(void)fiber_sleep(1);
}

static void
a_job_that_hangs_is_left_and_released_later(void **state)
{
	struct note	note = { 0 };

	(void)state;
	released = 0;
	fiber_start(leave_it, &note);
	loop_run();
	assert_int_equal(note.result, OFFLOAD_LEFT);
	assert_int_equal(note.error, ETIMEDOUT);
	assert_int_equal(note.count, 0);
	assert_int_equal(released, 1);
}

static void
wait_for_it(void *arg)
{
	struct note	*note = arg;

	is_released = true;
	note->result = offload_until(hang, NULL, count_release,
	    clock_now() + 10000);
	note->count = released;
	(void)offload_until(hang, NULL, count_release, 0);
	while (released == 0)
		(void)fiber_sleep(1);
}

static void
one_that_comes_back_in_time_belongs_to_its_caller(void **state)
{
	struct note	note = { 0 };

	(void)state;
	released = 0;
	fiber_start(wait_for_it, &note);
	loop_run();
	assert_int_equal(note.result, 3);
	assert_int_equal(note.count, 0);
	assert_int_equal(released, 1);
}

static int
end_threads(void **state)
{
	(void)state;
	offload_finish();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(jobs_run_at_the_same_time),
		cmocka_unit_test(errno_comes_back_from_the_thread),
		cmocka_unit_test(a_wait_for_a_thread_ignores_cancel_and_wake),
		cmocka_unit_test(more_jobs_than_threads_all_get_done),
		cmocka_unit_test(threads_hear_no_signals),
		cmocka_unit_test(a_failed_sync_is_told),
		cmocka_unit_test(a_job_that_hangs_is_left_and_released_later),
		cmocka_unit_test(
		    one_that_comes_back_in_time_belongs_to_its_caller),
	};

	loop_open();
	offload_threads(4);
	return cmocka_run_group_tests_name("offload", tests, NULL,
	    end_threads);
}
