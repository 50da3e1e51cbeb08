/*
 * dial.c - a call is answered, refused, given up in time, or cancelled.
 */
#include "common/net/dial.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fiber/loop.h"

/* A call to be made in a fiber, and how it ended. */
struct call {
	struct inetaddr		 to, source;
	bool			 has_source;
	int64_t			 patience;
	int			 fd, problem;
};

static void
make_call(void *arg)
{
	struct call	*c = arg;

	c->fd = dial(&c->to, c->has_source ? &c->source : NULL,
	    clock_now() + c->patience);
	c->problem = errno;
}

/* Who is at this end of the socket, or at the other? */
static struct inetaddr
name_of(int fd, int (*ask)(int, struct sockaddr *, socklen_t *))
{
	struct sockaddr_storage	sa;
	socklen_t		len = sizeof(sa);
	struct inetaddr		a;

	assert_int_equal(ask(fd, (struct sockaddr *)&sa, &len), 0);
	inetaddr_from_sockaddr(&a, (struct sockaddr *)&sa);
	return a;
}

/* A listener on loopback and a call to it. */
static int
prepare(struct call *c, const char *address, int backlog)
{
	int	fd;

	memset(c, 0, sizeof(*c));
	c->patience = 10000;
	assert_true(inetaddr_parse(&c->to, address));
	if ((fd = listen_inet(&c->to, backlog)) != -1)
		c->to = name_of(fd, getsockname);
	return fd;
}

static void
assert_answered(struct call *c, int listener)
{
	int	fd;

	fiber_start(make_call, c);
	loop_run();
	assert_true(c->fd >= 0);
	assert_true(fcntl(c->fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(c->fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(c->fd, "x", 1), 1);
	assert_true((fd = accept(listener, NULL, NULL)) >= 0);
	if (c->has_source) {
		struct inetaddr	peer = name_of(fd, getpeername);

		assert_true(inetaddr_equal(&peer, &c->source));
	}
	close(fd);
	close(c->fd);
	close(listener);
}

static void
a_call_is_answered(void **state)
{
	struct call	c;
	int		listener;

	(void)state;
	assert_true((listener = prepare(&c, "127.0.0.1", 5)) >= 0);
	assert_answered(&c, listener);
	if ((listener = prepare(&c, "::1", 5)) == -1) {
		assert_true(errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT);
		return;			/* a host without IPv6 */
	}
	assert_answered(&c, listener);
}

static void
a_call_comes_from_the_source_told(void **state)
{
	struct call	c;
	int		listener;

	(void)state;
	assert_true((listener = prepare(&c, "127.0.0.1", 5)) >= 0);
	assert_true(inetaddr_parse(&c.source, "127.0.0.3"));
	c.has_source = true;
	assert_answered(&c, listener);
}

static void
a_source_that_is_not_ours_is_an_error(void **state)
{
	struct call	c;
	int		listener;

	(void)state;
	assert_true((listener = prepare(&c, "127.0.0.1", 5)) >= 0);
	assert_true(inetaddr_parse(&c.source, "192.0.2.1"));
	c.has_source = true;
	fiber_start(make_call, &c);
	loop_run();
	assert_int_equal(c.fd, -1);
	assert_int_equal(c.problem, EADDRNOTAVAIL);
	close(listener);
}

static void
a_closed_port_refuses(void **state)
{
	struct call	c;

	(void)state;
	close(prepare(&c, "127.0.0.1", 5));
	fiber_start(make_call, &c);
	loop_run();
	assert_int_equal(c.fd, -1);
	assert_int_equal(c.problem, ECONNREFUSED);
}

/* Fill a listener's queue, so that the next call is not even refused. */
static int
occupy(const struct inetaddr *to, int *fds, int room)
{
	struct sockaddr_storage	sa;
	socklen_t		len = inetaddr_to_sockaddr(to, &sa);
	int			n;

	for (n = 0; n < room; n++) {
		fds[n] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		assert_true(fds[n] >= 0);
		(void)connect(fds[n], (struct sockaddr *)&sa, len);
	}
	return n;
}

static void
a_call_that_nobody_answers_ends_at_the_deadline(void **state)
{
	struct call	c;
	int		listener, others[8], n;
	int64_t		before = clock_now();

	(void)state;
	assert_true((listener = prepare(&c, "127.0.0.1", 0)) >= 0);
	n = occupy(&c.to, others, 8);
	c.patience = 100;
	fiber_start(make_call, &c);
	loop_run();
	assert_int_equal(c.fd, -1);
	assert_int_equal(c.problem, ETIMEDOUT);
	assert_true(clock_now() - before >= 100);
	while (n > 0)
		close(others[--n]);
	close(listener);
}

/* Cancel a fiber. */
static void
cancel(void *arg)
{
	fiber_cancel(arg);
}

static void
a_cancelled_call_ends_at_once(void **state)
{
	struct call	c;
	int		listener, others[8], n;

	(void)state;
	assert_true((listener = prepare(&c, "127.0.0.1", 0)) >= 0);
	n = occupy(&c.to, others, 8);
	c.patience = 3600 * 1000;
	fiber_start(cancel, fiber_start(make_call, &c));
	loop_run();
	assert_int_equal(c.fd, -1);
	assert_int_equal(c.problem, ECANCELED);
	while (n > 0)
		close(others[--n]);
	close(listener);
}

static void
a_source_can_be_checked_beforehand(void **state)
{
	struct inetaddr	source;

	(void)state;
	assert_true(inetaddr_parse(&source, "127.0.0.9"));
	assert_int_equal(dial_check_source(&source), 0);
	assert_true(inetaddr_parse(&source, "192.0.2.1"));
	assert_int_equal(dial_check_source(&source), -1);
	assert_int_equal(errno, EADDRNOTAVAIL);
	memset(&source, 0, sizeof(source));
	assert_int_equal(dial_check_source(&source), -1);
}

static void
what_we_are_short_of_is_told_apart_from_a_dead_host(void **state)
{
	(void)state;
	assert_true(dial_error_is_ours(EADDRNOTAVAIL));
	assert_true(dial_error_is_ours(EMFILE));
	assert_false(dial_error_is_ours(ECONNREFUSED));
	assert_false(dial_error_is_ours(ETIMEDOUT));
	assert_false(dial_error_is_ours(ENETUNREACH));
}

/* What the kernel says of a new socket's buffers, the window given. */
static int
window_of(int option)
{
	int		size = 0, fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t	len = sizeof(size);

	dial_use_window(fd);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, option, &size, &len), 0);
	close(fd);
	return size;
}

static void
a_window_is_given_to_sockets_until_it_is_taken_back(void **state)
{
	int	before = window_of(SO_RCVBUF);

	(void)state;
	dial_set_window(16384);
	/* socket(7): the kernel doubles it. */
	assert_int_equal(window_of(SO_RCVBUF), 2 * 16384);
	assert_int_equal(window_of(SO_SNDBUF), 2 * 16384);
	dial_set_window(0);
	assert_int_equal(window_of(SO_RCVBUF), before);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(
		    a_window_is_given_to_sockets_until_it_is_taken_back),
		cmocka_unit_test(a_call_is_answered),
		cmocka_unit_test(a_call_comes_from_the_source_told),
		cmocka_unit_test(a_source_that_is_not_ours_is_an_error),
		cmocka_unit_test(a_closed_port_refuses),
		cmocka_unit_test(
		    a_call_that_nobody_answers_ends_at_the_deadline),
		cmocka_unit_test(a_cancelled_call_ends_at_once),
		cmocka_unit_test(a_source_can_be_checked_beforehand),
		cmocka_unit_test(
		    what_we_are_short_of_is_told_apart_from_a_dead_host),
	};

	loop_open();
	return cmocka_run_group_tests_name("dial", tests, NULL, NULL);
}
