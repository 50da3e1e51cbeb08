/*
 * receive.c - several datagrams at once are heard as if each came alone.
 */
#include "common/ipc/channel.h"

#include "t/common/ipc/pair.h"

enum { BURST = 50 };

static char	heard[8 * BURST];
static int	null_fd;

static void
on_control(struct request *r)
{
	strlcat(heard, ((struct control *)r->object)->verb, sizeof(heard));
	strlcat(heard, " ", sizeof(heard));
}

static const struct peer	peers[] = {
	{ "one",	PACKET_CONTROL,	on_control,	IN_ORDER },
	{ NULL,		PACKET_NONE,	NULL,		IN_ORDER }
};

/* Say HELLO, and serve the other end. */
static int
begin(void)
{
	struct pool	*pool = pool_new("test", 0);
	struct hello	 hello = { (char *)"one", IPC_VERSION };
	struct str	 s;
	int		 ends[2], fds[PACKET_FDS];
	size_t		 nfds;

	heard[0] = '\0';
	pair_open(ends);
	str_init(&s, pool, PACKET_MAX);
	if (packet_encode(PACKET_HELLO, 0, 0, &hello, &s, fds, &nfds) !=
	    NULL || packet_send(ends[0], s.data, s.len, NULL, 0) == -1)
		abort();
	pool_free(pool);
	(void)channel_new(ends[1], true, peers, NULL, NULL);
	return ends[0];
}

/* Send a verb; with a descriptor it is no good packet. */
static void
say(int fd, const char *verb, size_t nfds)
{
	struct pool	*pool = pool_new("test", 0);
	struct control	 control = { (char *)(uintptr_t)verb };
	struct str	 s;
	int		 fds[PACKET_FDS];
	size_t		 none;

	str_init(&s, pool, PACKET_MAX);
	if (packet_encode(PACKET_CONTROL, 0, 1, &control, &s, fds, &none) !=
	    NULL || packet_send(fd, s.data, s.len, &null_fd, nfds) == -1)
		abort();
	pool_free(pool);
}

static void
say_much(void *unused)
{
	char	verb[8];
	int	fd = begin(), i;

	(void)unused;
	for (i = 0; i < BURST; i++) {
		snprintf(verb, sizeof(verb), "%d", i);
		say(fd, verb, 0);
	}
	close(fd);
}

static void
a_burst_is_heard_whole_and_in_order(void **state)
{
	char	expected[sizeof(heard)] = "", verb[8];
	int	i;

	(void)state;
	run(say_much);
	for (i = 0; i < BURST; i++) {
		snprintf(verb, sizeof(verb), "%d ", i);
		strlcat(expected, verb, sizeof(expected));
	}
	assert_string_equal(heard, expected);
}

static void
say_bad_among_good(void *unused)
{
	int	fd = begin(), i;

	(void)unused;
	say(fd, "good", 0);
	(void)fiber_sleep(20);		/* he is known, and takes many */
	say(fd, "good", 0);
	say(fd, "bad", 1);
	for (i = 0; i < 5; i++)
		say(fd, "late", 1);
	(void)fiber_sleep(20);
	close(fd);
}

static void
what_comes_with_a_bad_one_is_closed(void **state)
{
	uint64_t	malformed = channel_malformed();
	int		before;

	(void)state;
	null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	before = open_descriptors();
	run(say_bad_among_good);
	assert_string_equal(heard, "good good ");
	assert_int_equal(channel_malformed(), malformed + 1);
	assert_int_equal(open_descriptors(), before);
	close(null_fd);
}

static void
say_and_go(void *unused)
{
	int	fd = begin();

	(void)unused;
	say(fd, "last", 0);
	close(fd);
}

static void
what_was_said_before_the_end_is_heard(void **state)
{
	(void)state;
	run(say_and_go);
	assert_string_equal(heard, "last ");
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(a_burst_is_heard_whole_and_in_order),
		cmocka_unit_test(what_comes_with_a_bad_one_is_closed),
		cmocka_unit_test(what_was_said_before_the_end_is_heard),
	};

	loop_open();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
