/*
 * loop.c - descriptors, signals and idle moments reach whom they concern.
 */
#include "common/fiber/loop.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct pair {
	int		 fd[2];
	struct loop_fd	 watch;		/* of fd[0] */
	int		 result;
	int		 error;
	int		 count;
};

/* Two connected non-blocking sockets, the first one watched. */
static void
open_pair(struct pair *pair)
{
	memset(pair, 0, sizeof *pair);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, pair->fd), 0);
	assert_int_equal(loop_add(&pair->watch, pair->fd[0]), 0);
}

static void
close_pair(struct pair *pair)
{
	loop_remove(&pair->watch);
	close(pair->fd[0]);
	close(pair->fd[1]);
}

/* Read one byte, politely. */
static int
read_byte(struct pair *pair, int64_t deadline)
{
	char	c;

	while (read(pair->fd[0], &c, 1) == -1) {
		if (errno != EAGAIN)
			return -1;
		if (loop_wait_readable(&pair->watch, deadline) == -1)
			return -1;
	}
	return c;
}

static void
read_abc(void *arg)
{
	struct pair	*pair = arg;

	while (pair->count < 3 && read_byte(pair, NEVER) != -1)
		pair->count++;
}

static void
write_abc(void *arg)
{
	struct pair	*pair = arg;

	if (write(pair->fd[1], "a", 1) == 1)
		fiber_sleep(2);
	if (write(pair->fd[1], "bc", 2) != 2)
		pair->error = errno;
}

static void
a_reader_waits_for_input(void **state)
{
	struct pair	pair;

	(void)state;
	open_pair(&pair);
	fiber_start(read_abc, &pair);
	fiber_start(write_abc, &pair);
	loop_run();
	assert_int_equal(pair.count, 3);
	close_pair(&pair);
}

/* Read too little, let an edge pass while doing something else, read on. */
static void
read_late(void *arg)
{
	struct pair	*pair = arg;

	if (read_byte(pair, NEVER) != 'a')
		return;
	fiber_sleep(10);	/* "bc" comes now */
	pair->result = read_byte(pair, NEVER);
	pair->count = read_byte(pair, NEVER);
	(void)read_byte(pair, clock_now() + 5);
	pair->error = errno;
}

static void
an_edge_that_nobody_waited_for_is_not_lost(void **state)
{
	struct pair	pair;

	(void)state;
	open_pair(&pair);
	fiber_start(read_late, &pair);
	fiber_start(write_abc, &pair);
	loop_run();
	assert_int_equal(pair.result, 'b');
	assert_int_equal(pair.count, 'c');
	assert_int_equal(pair.error, ETIMEDOUT);
	close_pair(&pair);
}

static void
send_and_be_read(void *arg)
{
	struct pair	*pair = arg;
	char		 c;

	if (write(pair->fd[0], "x", 1) == 1 && read(pair->fd[1], &c, 1) == 1)
		fiber_sleep(5);
	pair->result = (int)(pair->watch.ready & EPOLLOUT);
}

static void
room_that_nobody_waits_for_is_no_event(void **state)
{
	struct pair	pair;

	(void)state;
	open_pair(&pair);
	fiber_start(send_and_be_read, &pair);
	loop_run();
	assert_int_equal(pair.result, 0);
	close_pair(&pair);
}

/* Fill the socket, wait for room, be read once more, send again. */
static void
fill_then_send(void *arg)
{
	static char	 block[65536];
	struct pair	*pair = arg;
	int		 i;

	while (write(pair->fd[0], block, sizeof block) > 0)
		continue;
	while (read(pair->fd[1], block, sizeof block) > 0)
		continue;
	pair->result = loop_wait_writable(&pair->watch, NEVER);
	for (i = 0; i < 3; i++) {
		pair->watch.ready = 0;
		send_and_be_read(pair);
	}
	pair->count = (int)pair->watch.ready;
}

static void
room_is_asked_for_once_and_then_no_more(void **state)
{
	struct pair	pair;

	(void)state;
	open_pair(&pair);
	fiber_start(fill_then_send, &pair);
	loop_run();
	assert_int_equal(pair.result, 0);
	assert_int_equal(pair.count, 0);
	assert_false(pair.watch.asked & EPOLLOUT);
	close_pair(&pair);
}

/* Hear one byte, look away while two come, hear them, wait for the last. */
static void
read_calmly(void *arg)
{
	struct pair	*pair = arg;

	pair->result = read_byte(pair, NEVER) == 'a';
	fiber_sleep(20);
	pair->error = (int)pair->watch.ready;
	pair->count += read_byte(pair, NEVER) == 'b';
	pair->count += read_byte(pair, NEVER) == 'c';
	pair->count += read_byte(pair, NEVER) == 'd';
}

static void
write_four_bytes(void *arg)
{
	const struct pair	*pair = arg;
	const char		*c;

	for (c = "abcd"; *c != '\0'; c++) {
		if (write(pair->fd[1], c, 1) != 1)
			break;
		fiber_sleep(*c == 'c' ? 40 : 5);
	}
}

static void
a_calm_descriptor_tells_only_who_waits(void **state)
{
	struct pair	pair;

	(void)state;
	open_pair(&pair);
	loop_remove(&pair.watch);
	assert_int_equal(loop_add_calm(&pair.watch, pair.fd[0]), 0);
	fiber_start(read_calmly, &pair);
	fiber_start(write_four_bytes, &pair);
	loop_run();
	assert_true(pair.result);
	assert_int_equal(pair.error, 0);
	assert_int_equal(pair.count, 3);
	close_pair(&pair);
}

static void
fill_socket(void *arg)
{
	static char	block[65536];
	struct pair	*pair = arg;
	ssize_t		n;

	while (pair->count < 4 * 1024 * 1024) {
		n = write(pair->fd[0], block, sizeof block);
		if (n > 0)
			pair->count += (int)n;
		else if (loop_wait_writable(&pair->watch, NEVER) == -1)
			break;
	}
	shutdown(pair->fd[0], SHUT_WR);
}

static void
drain_socket(void *arg)
{
	static char	 block[65536];
	struct pair	*pair = arg;
	ssize_t		 n;

	while ((n = read(pair->fd[1], block, sizeof block)) != 0) {
		if (n > 0)
			pair->result += (int)n;
		fiber_yield();
	}
}

static void
a_writer_waits_for_room(void **state)
{
	struct pair	pair;

	(void)state;
	open_pair(&pair);
	fiber_start(fill_socket, &pair);
	fiber_start(drain_socket, &pair);
	loop_run();
	assert_true(pair.count >= 4 * 1024 * 1024);
	assert_int_equal(pair.result, pair.count);
	close_pair(&pair);
}

static void
read_until_error(void *arg)
{
	struct pair	*pair = arg;

	pair->result = read_byte(pair, NEVER);
	pair->error = errno;
}

static void
remove_watch(void *arg)
{
	struct pair	*pair = arg;

	loop_remove(&pair->watch);
	memset(&pair->watch, 0xa5, sizeof pair->watch);
}

static void
a_waiter_of_a_removed_descriptor_sees_ecanceled(void **state)
{
	struct pair	pair;

	(void)state;
	open_pair(&pair);
	fiber_start(read_until_error, &pair);
	fiber_start(remove_watch, &pair);
	loop_run();
	assert_int_equal(pair.result, -1);
	assert_int_equal(pair.error, ECANCELED);
	assert_int_equal((unsigned char)*(char *)&pair.watch, 0xa5);
	pair.watch.fd = -1;
	assert_int_equal(loop_wait_writable(&pair.watch, NEVER), -1);
	assert_int_equal(errno, ECANCELED);
	close(pair.fd[0]);
	close(pair.fd[1]);
}

static void
a_file_cannot_be_watched(void **state)
{
	struct loop_fd	watch;
	int		fd = open("/proc/self/exe", O_RDONLY);

	(void)state;
	assert_true(fd != -1);
	assert_int_equal(loop_add(&watch, fd), -1);
	assert_int_equal(errno, EPERM);
	close(fd);
}

static int		 heard_number, idle_count;
static struct fiber	*waiting_for_signal;

static void
hear(int number)
{
	heard_number = number;
	if (fiber_self() == NULL)
		fiber_wake(waiting_for_signal);
}

static void
raise_and_wait(void *arg)
{
	kill(getpid(), SIGUSR1);
	*(int *)arg = fiber_park(clock_now() + 10000);
}

static void
a_signal_is_heard_on_the_loop(void **state)
{
	int	result = -2;

	(void)state;
	loop_on_signal(SIGUSR1, hear);
	loop_on_signal(SIGUSR2, hear);
	waiting_for_signal = fiber_start(raise_and_wait, &result);
	loop_run();
	assert_int_equal(result, 0);
	assert_int_equal(heard_number, SIGUSR1);
}

static void
be_idle(void)
{
	idle_count++;
}

static void
yield_then_sleep(void *unused)
{
	int	i;

	(void)unused;
	for (i = 0; i < 50; i++)
		fiber_yield();
	fiber_sleep(2);
}

static void
the_idle_hook_runs_before_sleeping_only(void **state)
{
	(void)state;
	loop_on_idle(be_idle);
	fiber_start(yield_then_sleep, NULL);
	loop_run();
	assert_in_range(idle_count, 1, 10);
}

static unsigned	 turns, steps, steps_seen;

/* The loop ends a turn; the last time nobody made a step in it. */
static void
end_turn(void)
{
	turns++;
	if (steps > 0)
		steps_seen = steps;
	steps = 0;
}

static void
step_and_yield(void *unused)
{
	int	i;

	(void)unused;
	for (i = 0; i < 10; i++) {
		steps++;
		fiber_yield();
	}
}

static void
a_turn_ends_when_all_that_were_ready_have_run(void **state)
{
	(void)state;
	loop_on_turn(end_turn);
	fiber_start(step_and_yield, NULL);
	fiber_start(step_and_yield, NULL);
	fiber_start(step_and_yield, NULL);
	loop_run();
	assert_int_equal(steps_seen, 3);
	assert_in_range(turns, 10, 11);
}

static void
stop_and_park(void *unused)
{
	(void)unused;
	loop_stop();
	(void)fiber_park(NEVER);
}

static void
stop_ends_the_run_and_leaves_fibers_alone(void **state)
{
	struct fiber	*fiber;

	(void)state;
	fiber = fiber_start(stop_and_park, NULL);
	loop_run();
	assert_int_equal(fiber_count(), 1);
	fiber_wake(fiber);
	loop_run();
	assert_int_equal(fiber_count(), 0);
}

static int	ended_children;

static void
count_child(int number)
{
	assert_int_equal(number, SIGCHLD);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		ended_children++;
}

static void
ask_for_children(void *arg)
{
	(void)arg;
	loop_on_signal(SIGCHLD, count_child);
}

static void
wait_for_child(void *arg)
{
	int	i;

	(void)arg;
	if (fork() == 0)
		_exit(0);
	for (i = 0; i < 500 && ended_children == 0; i++)
		if (fiber_sleep(10) == -1)
			break;
	loop_stop();
}

/* Each stack has a mask of its own; the one of the loop counts while it
 * sleeps, and that is when most children end. */
static void
the_end_of_a_child_is_heard_by_whom_a_fiber_named(void **state)
{
	(void)state;
	fiber_start(ask_for_children, NULL);
	fiber_start(wait_for_child, NULL);
	loop_run();
	assert_int_equal(ended_children, 1);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(a_reader_waits_for_input),
		cmocka_unit_test(an_edge_that_nobody_waited_for_is_not_lost),
		cmocka_unit_test(a_writer_waits_for_room),
		cmocka_unit_test(room_that_nobody_waits_for_is_no_event),
		cmocka_unit_test(room_is_asked_for_once_and_then_no_more),
		cmocka_unit_test(a_calm_descriptor_tells_only_who_waits),
		cmocka_unit_test(
		    a_waiter_of_a_removed_descriptor_sees_ecanceled),
		cmocka_unit_test(a_file_cannot_be_watched),
		cmocka_unit_test(a_signal_is_heard_on_the_loop),
		cmocka_unit_test(
		    the_end_of_a_child_is_heard_by_whom_a_fiber_named),
		cmocka_unit_test(the_idle_hook_runs_before_sleeping_only),
		cmocka_unit_test(a_turn_ends_when_all_that_were_ready_have_run),
		cmocka_unit_test(stop_ends_the_run_and_leaves_fibers_alone),
	};

	loop_open();
	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
