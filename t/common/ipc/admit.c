/*
 * admit.c - no user takes all of a daemon.
 */
#include <sys/resource.h>

#include "common/ipc/channel.h"
#include "common/ipc/packet.h"
#include "t/common/ipc/pair.h"

enum { LIMIT = 100, TRIES = 130, REQUESTS = 40 };

static struct channel	*channels_of[2 * TRIES];
static int		 theirs[2 * TRIES];
static unsigned		 open_before, open_after, running, most, done;
static uid_t		 other_user;

/* A command that takes a while. */
static void
on_control(struct request *r)
{
	(void)r;
	if (++running > most)
		most = running;
	(void)fiber_sleep(2);
	running--;
	done++;
}

static const struct peer	public[] = {
	{ "*",		PACKET_CONTROL,		on_control,	ON_A_FIBER },
	{ NULL,		PACKET_NONE,		NULL,		IN_ORDER }
};

static const struct peer	private[] = {
	{ "one",	PACKET_CONTROL,		on_control,	ON_A_FIBER },
	{ NULL,		PACKET_NONE,		NULL,		IN_ORDER }
};

/* Send a packet by hand; a full socket is tried again. */
static void
say(int fd, unsigned type, const void *object)
{
	struct pool	*pool = pool_new("test", 0);
	struct str	 s;
	int		 fds[PACKET_FDS];
	size_t		 nfds;

	str_init(&s, pool, PACKET_MAX);
	if (packet_encode(type, 0, 7, object, &s, fds, &nfds) != NULL)
		abort();
	while (packet_send(fd, s.data, s.len, fds, nfds) == -1 &&
	    errno == EAGAIN)
		(void)fiber_sleep(1);
	pool_free(pool);
}

/* Connect as this user; 0 is whoever runs the test. */
static void
join(size_t i, uid_t user, const struct peer *table, const char *hello)
{
	struct hello	greeting = { (char *)(uintptr_t)hello, IPC_VERSION };
	int		ends[2];

	if (user != 0 && seteuid(user) == -1)
		abort();
	pair_open(ends);
	if (user != 0 && seteuid(0) == -1)
		abort();
	theirs[i] = ends[0];
	channels_of[i] = channel_new(ends[1], true, table, NULL, NULL);
	channel_hold(channels_of[i]);
	if (hello != NULL)
		say(theirs[i], PACKET_HELLO, &greeting);
}

/* How many of them are still there? */
static unsigned
count_open(size_t first, size_t end)
{
	unsigned	n = 0;
	size_t		i;

	(void)fiber_sleep(5);
	for (i = first; i < end; i++)
		n += channel_is_open(channels_of[i]);
	return n;
}

static void
leave(size_t n)
{
	while (n-- > 0) {
		channel_release(channels_of[n]);
		close(theirs[n]);
	}
}

static void
come_by_commands(void *unused)
{
	size_t	i;

	(void)unused;
	for (i = 0; i < TRIES; i++)
		join(i, 0, public, "mailq");
	open_before = count_open(0, TRIES);
	leave(TRIES);
}

static void
a_users_commands_have_so_many_connections(void **state)
{
	(void)state;
	run(come_by_commands);
	assert_int_equal(open_before, LIMIT);
}

static void
come_and_say_nothing(void *unused)
{
	size_t	i;

	(void)unused;
	for (i = 0; i < TRIES; i++)
		join(i, 4001, public, NULL);
	open_before = count_open(0, TRIES);
	for (; i < TRIES + 10; i++)
		join(i, other_user, other_user == 0 ? private : public,
		    other_user == 0 ? "one" : "mailq");
	open_after = count_open(TRIES, TRIES + 10);
	leave(TRIES + 10);
}

static void
silence_is_no_way_around_it(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	other_user = 4002;
	run(come_and_say_nothing);
	assert_int_equal(open_before, LIMIT);
	assert_int_equal(open_after, 10);
}

static void
our_own_programs_do_not_suffer_from_it(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	other_user = 0;
	run(come_and_say_nothing);
	assert_int_equal(open_before, LIMIT);
	assert_int_equal(open_after, 10);
}

static void
ask_for_much(void *unused)
{
	struct control	control = { (char *)(uintptr_t)"slow" };
	int		i;

	(void)unused;
	running = most = done = 0;
	join(0, 0, open_before == 0 ? public : private, "one");
	for (i = 0; i < REQUESTS; i++)
		say(theirs[0], PACKET_CONTROL, &control);
	while (done < REQUESTS)
		(void)fiber_sleep(1);
	leave(1);
}

static void
a_command_has_few_requests_at_once_and_all_of_them_in_the_end(void **state)
{
	(void)state;
	open_before = 0;
	run(ask_for_much);
	assert_int_equal(most, 4);
	assert_int_equal(done, REQUESTS);
}

static void
a_daemon_has_many(void **state)
{
	(void)state;
	open_before = 1;
	run(ask_for_much);
	assert_true(most > 4);
	assert_int_equal(done, REQUESTS);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(a_users_commands_have_so_many_connections),
		cmocka_unit_test(silence_is_no_way_around_it),
		cmocka_unit_test(our_own_programs_do_not_suffer_from_it),
		cmocka_unit_test(
		    a_command_has_few_requests_at_once_and_all_of_them_in_the_end),
		cmocka_unit_test(a_daemon_has_many),
	};
	struct rlimit		files = { 1024, 1024 };

	(void)setrlimit(RLIMIT_NOFILE, &files);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
