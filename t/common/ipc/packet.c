/*
 * packet.c - heads are checked, datagrams are whole, descriptors are counted.
 */
#include "common/ipc/packet.h"

#include "t/common/ipc/pair.h"

static struct pool	*pool;
static int		 ends[2];

static int
set_up(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	pair_open(ends);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	pool_free(pool);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

/* An encoded HELLO. */
static struct str
hello(void)
{
	struct hello	object = { "smtpd", IPC_VERSION };
	struct str	s;
	int		fds[PACKET_FDS];
	size_t		nfds;

	str_init(&s, pool, PACKET_MAX);
	assert_null(packet_encode(PACKET_HELLO, PACKET_IS_REPLY,
	    UINT64_C(0x0102030405060708), &object, &s, fds, &nfds));
	return s;
}

static void
the_head_is_as_the_format_says(void **state)
{
	struct str		 s = hello();
	const unsigned char	 head[PACKET_HEAD] = { PACKET_HELLO, 0, 2, 0,
				    0, 0, 1, 0, 8, 7, 6, 5, 4, 3, 2, 1 };
	struct packet		 p;

	(void)state;
	assert_memory_equal(s.data, head, sizeof(head));
	assert_null(packet_parse(&p, s.data, s.len));
	assert_int_equal(p.type, PACKET_HELLO);
	assert_int_equal(p.flags, PACKET_IS_REPLY);
	assert_int_equal(p.id, UINT64_C(0x0102030405060708));
}

static void
a_wrong_head_is_refused(void **state)
{
	static const struct { int at; unsigned char value; } wrong[] = {
		{ 0, 0 }, { 0, PACKET_TYPES }, { 1, 1 },	/* type */
		{ 2, 1 }, { 2, 3 }, { 3, 1 },			/* fields */
		{ 4, PACKET_FDS + 1 }, { 5, 1 },		/* fds */
		{ 6, 2 }, { 7, 0x80 }				/* flags */
	};
	struct str	 s = hello();
	struct packet	 p;
	size_t		 i;
	char		 before;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		before = s.data[wrong[i].at];
		s.data[wrong[i].at] = (char)wrong[i].value;
		assert_non_null(packet_parse(&p, s.data, s.len));
		s.data[wrong[i].at] = before;
	}
	assert_non_null(packet_parse(&p, s.data, PACKET_HEAD - 1));
	assert_null(packet_parse(&p, s.data, s.len));
}

static void
what_does_not_fit_is_not_encoded(void **state)
{
	static char	long_text[REPLY_MAX + 2];
	struct refused	refused = { long_text };
	struct str	s;
	int		fds[PACKET_FDS];
	size_t		nfds;

	(void)state;
	memset(long_text, 'x', sizeof(long_text) - 1);
	str_init(&s, pool, PACKET_MAX);
	assert_non_null(packet_encode(PACKET_REFUSED, 0, 1, &refused, &s, fds,
	    &nfds));
	refused.why = long_text + sizeof(long_text) - 100;
	str_init(&s, pool, 64);
	assert_non_null(packet_encode(PACKET_REFUSED, 0, 1, &refused, &s, fds,
	    &nfds));
}

static void
descriptors_travel_with_the_bytes(void **state)
{
	char	buffer[64], byte;
	int	pipe_ends[2], fds[PACKET_FDS];
	size_t	nfds;

	(void)state;
	assert_int_equal(pipe(pipe_ends), 0);
	assert_int_equal(packet_send(ends[0], "hi", 2, pipe_ends, 2), 0);
	assert_int_equal(packet_receive(ends[1], buffer, sizeof(buffer), fds,
	    &nfds), 2);
	assert_int_equal(nfds, 2);
	assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(pipe_ends[1], "x", 1), 1);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
	close(fds[0]);
	close(fds[1]);
}

static void
an_empty_socket_is_eagain_and_a_closed_one_the_end(void **state)
{
	char	buffer[64];
	int	fds[PACKET_FDS];
	size_t	nfds;

	(void)state;
	assert_int_equal(packet_receive(ends[1], buffer, sizeof(buffer), fds,
	    &nfds), -1);
	assert_int_equal(errno, EAGAIN);
	shutdown(ends[0], SHUT_WR);
	assert_int_equal(packet_receive(ends[1], buffer, sizeof(buffer), fds,
	    &nfds), 0);
	assert_int_equal(packet_send(ends[0], "x", 1, NULL, 0), -1);
	assert_int_equal(errno, EPIPE);
}

static void
a_cut_datagram_is_refused_and_its_descriptors_closed(void **state)
{
	char	buffer[4];
	int	fds[PACKET_FDS], before, null_fd = open("/dev/null", O_RDONLY);
	size_t	nfds;

	(void)state;
	assert_int_equal(packet_send(ends[0], "too long", 8, &null_fd, 1), 0);
	before = open_descriptors();
	assert_int_equal(packet_receive(ends[1], buffer, sizeof(buffer), fds,
	    &nfds), -1);
	assert_int_equal(errno, EPROTO);
	assert_int_equal(nfds, 0);
	assert_int_equal(open_descriptors(), before);
	close(null_fd);
}

/* Send `count` descriptors in one datagram, more than packet_send() would. */
static void
send_many(int fd, int what, size_t count)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(64 * sizeof(int))];
	struct iovec	 part = { "x", 1 };
	struct msghdr	 message = { .msg_iov = &part, .msg_iovlen = 1,
			    .msg_control = control };
	struct cmsghdr	*c;
	size_t		 i;

	memset(control, 0, sizeof(control));
	message.msg_controllen = CMSG_SPACE(count * sizeof(int));
	c = CMSG_FIRSTHDR(&message);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(count * sizeof(int));
	for (i = 0; i < count; i++)
		memcpy(CMSG_DATA(c) + i * sizeof(int), &what, sizeof(what));
	assert_int_equal(sendmsg(fd, &message, 0), 1);
}

static void
too_many_descriptors_are_refused_and_closed(void **state)
{
	char	buffer[64];
	int	fds[PACKET_FDS], before, null_fd = open("/dev/null", O_RDONLY);
	size_t	nfds, count;

	(void)state;
	for (count = PACKET_FDS + 1; count <= 64; count += 7) {
		send_many(ends[0], null_fd, count);
		before = open_descriptors();
		assert_int_equal(packet_receive(ends[1], buffer,
		    sizeof(buffer), fds, &nfds), -1);
		assert_int_equal(errno, EPROTO);
		assert_int_equal(open_descriptors(), before);
	}
	close(null_fd);
}

static void
descriptors_that_are_not_wanted_never_arrive(void **state)
{
	char	buffer[64];
	int	before, null_fd = open("/dev/null", O_RDONLY);
	size_t	nfds = 7;

	(void)state;
	assert_int_equal(packet_send(ends[0], "one", 4, &null_fd, 1), 0);
	assert_int_equal(packet_send(ends[0], "none", 5, NULL, 0), 0);
	before = open_descriptors();
	assert_int_equal(packet_receive(ends[1], buffer, sizeof(buffer), NULL,
	    &nfds), -1);
	assert_int_equal(errno, EPROTO);
	assert_int_equal(nfds, 0);
	assert_int_equal(open_descriptors(), before);
	assert_int_equal(packet_receive(ends[1], buffer, sizeof(buffer), NULL,
	    &nfds), 5);
	close(null_fd);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(the_head_is_as_the_format_says),
		TEST(a_wrong_head_is_refused),
		TEST(what_does_not_fit_is_not_encoded),
		TEST(descriptors_travel_with_the_bytes),
		TEST(an_empty_socket_is_eagain_and_a_closed_one_the_end),
		TEST(a_cut_datagram_is_refused_and_its_descriptors_closed),
		TEST(too_many_descriptors_are_refused_and_closed),
		TEST(descriptors_that_are_not_wanted_never_arrive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
