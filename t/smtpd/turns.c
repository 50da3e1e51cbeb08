/*
 * turns.c - claims about who is asked to leave, where moments meet.
 *
 * needs: smtpd/turns.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fiber/loop.h"

#include "smtpd/crowd.h"
#include "smtpd/limits.h"
#include "smtpd/settings.h"
#include "smtpd/turns.h"

struct settings		 set;
static int64_t		 patience = 60 * 1000;
static struct session	 s;
static int		 ends[2], result, error;

int64_t
crowd_patience(void)
{
	return patience;
}

bool
limits_is_friend(const struct session *unused)
{
	(void)unused;
	return false;
}

/* A session tells something to a client that does not read. */
WAITS static void
talk(void *unused)
{
	(void)unused;
	s.fiber = fiber_self();
	(void)io_write(s.io, "250 Ok\r\n", 8);
	result = turn_flush(&s, true);
	error = errno;
	loop_stop();
}

/* The client reads, so that the session is to run on; before it does, its time
 * is over. */
WAITS static void
listen_at_last(void *unused)
{
	static char	sink[65536];
	ssize_t		n;

	(void)unused;
	while (!s.turn.is_on)
		fiber_yield();
	(void)fiber_sleep(20);
	while ((n = recv(ends[1], sink, sizeof(sink), MSG_DONTWAIT)) > 0)
		;
	fiber_yield();		/* the loop sees that there is room */
	assert_true(s.turn.is_on);
	patience = -1;
	turn_dismiss_slow();
}

static void
who_is_dismissed_begins_nothing(void **state)
{
	static char	words[4096];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    ends), 0);
	while (write(ends[0], words, sizeof(words)) > 0)
		;
	loop_open();
	s.io = io_new(ends[0]);
	fiber_start(talk, NULL);
	fiber_start(listen_at_last, NULL);
	loop_run();
	assert_int_equal(s.dismissal, DISMISSED_AS_SLOW);
	assert_int_equal(result, -1);
	assert_int_equal(error, ECANCELED);
	io_close(s.io);
	close(ends[1]);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(who_is_dismissed_begins_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
