/*
 * listen.c - connections wait while nobody may take them, and are not lost.
 */
#include <poll.h>
#include <sys/resource.h>

#include "common/fiber/loop.h"
#include "t/common/daemon/instance.h"

static struct instance	instance;

/* Do what one byte says, and answer with it. */
static void
obey(char order)
{
	static rlim_t	before;
	struct rlimit	limit;

	(void)getrlimit(RLIMIT_NOFILE, &limit);
	switch (order) {
	case 'p':
		daemon_pause_listening();
		break;
	case 'r':
		daemon_resume_listening();
		break;
	case 'f':			/* no descriptor is free from now on */
		before = limit.rlim_cur;
		limit.rlim_cur = 3;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
		break;
	case 'u':
		limit.rlim_cur = before;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
		break;
	}
}

/* Greet, then obey until the client closes. */
static void
session(int fd)
{
	struct loop_fd	*watch = mem_alloc(sizeof(*watch));
	char		 order;
	ssize_t		 n = -1;

	if (loop_add(watch, fd) == -1 || send(fd, "+", 1, 0) != 1)
		abort();
	while (n != 0) {
		n = recv(fd, &order, 1, 0);
		if (n == 1) {
			obey(order);
			(void)send(fd, &order, 1, MSG_NOSIGNAL);
		} else if (n == -1 && (errno != EAGAIN ||
		    loop_wait_readable(watch, NEVER) == -1))
			break;
	}
	loop_remove(watch);
	free(watch);
	close(fd);
}

static const struct daemon	tester = {
	.name = "smtpd", .session = session
};

static int
set_up(void **state)
{
	(void)state;
	instance_make(&instance, "");
	instance_start(&instance, &tester, false, NULL);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	instance_end(&instance);
	return 0;
}

/* Send an order and hear that it is done. */
static void
order(int fd, char what)
{
	char	answer;

	assert_int_equal(send(fd, &what, 1, 0), 1);
	assert_int_equal(recv(fd, &answer, 1, 0), 1);
	assert_int_equal(answer, what);
}

/* Wait for the greeting. */
static void
expect_greeting(int fd)
{
	char	greeting;

	assert_int_equal(recv(fd, &greeting, 1, 0), 1);
	assert_int_equal(greeting, '+');
}

/* Nothing comes for as long as a turn of the loop takes many times. */
static void
expect_silence(int fd)
{
	struct pollfd	p = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, 50), 0);
}

/* Stop accepting by one order, begin again by another. */
static void
stop_and_go(char stop, char go)
{
	int	first = connect_inet(&instance), second;

	expect_greeting(first);
	order(first, stop);
	second = connect_inet(&instance);
	expect_silence(second);
	order(first, go);
	expect_greeting(second);
	close(first);
	close(second);
	assert_int_equal(kill(instance.pid, SIGTERM), 0);
	assert_int_equal(instance_status(&instance), 0);
}

static void
a_pause_leaves_connections_to_the_kernel(void **state)
{
	(void)state;
	stop_and_go('p', 'r');
}

static void
running_out_of_descriptors_is_survived(void **state)
{
	(void)state;
	stop_and_go('f', 'u');
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(a_pause_leaves_connections_to_the_kernel),
		TEST(running_out_of_descriptors_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
