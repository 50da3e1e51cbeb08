/*
 * send.c - a full socket delays, keeps the order, and ends at a limit.
 */
#include "common/ipc/channel.h"

#include <sys/resource.h>

#include "common/ipc/packet.h"
#include "t/common/ipc/pair.h"

enum { PACKETS = 100, BIG = 50000 };

static struct channel	*sender;
static int		 reader;
static char		 big[BIG];
static unsigned		 kept, order_broken, received;
static int		 result, error;
static bool		 is_open;

/* A channel to a reader that does not read yet. */
static void
begin(void)
{
	int	ends[2];

	pair_open(ends);
	sender = channel_new(ends[0], false, NULL, NULL, NULL);
	channel_hold(sender);
	reader = ends[1];
	order_broken = received = 0;
}

static void
end(void)
{
	channel_close(sender);
	channel_release(sender);
	close(reader);
}

/* Read one packet; its id is expected to be the next. -1: nothing there. */
static int
read_one(int *fd)
{
	static char	buffer[PACKET_MAX];
	int		fds[PACKET_FDS];
	size_t		nfds;
	struct packet	p;
	ssize_t		n;

	n = packet_receive(reader, buffer, sizeof(buffer), fds, &nfds);
	if (n <= 0)
		return -1;
	if (packet_parse(&p, buffer, (size_t)n) != NULL ||
	    p.id != ++received)
		order_broken++;
	if (nfds > 0)
		*fd = fds[0];
	return 0;
}

/* Read until `count` packets came, letting the sender work. */
static void
read_all(unsigned count)
{
	int64_t	deadline = clock_now() + 10000;
	int	fd;

	while (received < count && clock_now() < deadline)
		if (read_one(&fd) == -1)
			fiber_sleep(1);
}

static void
post_more_than_fits(void *unused)
{
	struct content	content = { { big, BIG }, false, false };
	unsigned	i;

	(void)unused;
	begin();
	result = 0;
	for (i = 1; i <= PACKETS && result == 0; i++)
		result = channel_post(sender, PACKET_CONTENT, i, &content);
	kept = channel_unsent();
	read_all(PACKETS);
	end();
}

static void
posted_packets_are_kept_in_their_order(void **state)
{
	(void)state;
	run(post_more_than_fits);
	assert_int_equal(result, 0);
	assert_true(kept > 0);
	assert_int_equal(received, PACKETS);
	assert_int_equal(order_broken, 0);
	assert_int_equal(channel_unsent(), 0);
}

static void
post_without_end(void *unused)
{
	struct content	content = { { big, BIG }, false, false };
	unsigned	i;

	(void)unused;
	begin();
	result = 0;
	for (i = 1; i <= 1000 && result == 0; i++)
		result = channel_post(sender, PACKET_CONTENT, i, &content);
	error = errno;
	kept = channel_unsent();
	end();
}

static void
who_never_reads_is_closed_at_eight_mib(void **state)
{
	(void)state;
	run(post_without_end);
	assert_int_equal(result, -1);
	assert_int_equal(error, ECONNRESET);
	assert_int_equal(kept, 0);
}

static unsigned	sent, most_kept;

/* The reading side of the next test. */
static void
read_slowly(void *unused)
{
	(void)unused;
	read_all(PACKETS);
	end();
}

static void
send_with_patience(void *unused)
{
	struct content	content = { { big, BIG }, false, false };
	unsigned	i;

	(void)unused;
	begin();
	most_kept = sent = 0;
	fiber_start(read_slowly, NULL);
	for (i = 1; i <= PACKETS; i++) {
		if (channel_send(sender, PACKET_CONTENT, i, &content,
		    clock_now() + 10000) == -1)
			break;
		sent++;
		if (channel_unsent() > most_kept)
			most_kept = channel_unsent();
	}
}

static void
a_sender_with_patience_keeps_one_packet_at_most(void **state)
{
	(void)state;
	run(send_with_patience);
	assert_int_equal(sent, PACKETS);
	assert_true(most_kept <= 1);
	assert_int_equal(received, PACKETS);
	assert_int_equal(order_broken, 0);
}

static void
send_until_deadline(void *unused)
{
	struct content	content = { { big, BIG }, false, false };
	unsigned	i;

	(void)unused;
	begin();
	for (i = 1; i <= PACKETS; i++) {
		result = channel_send(sender, PACKET_CONTENT, i, &content,
		    clock_now() + 10);
		error = errno;
		if (result == -1)
			break;
	}
	end();
}

static void
a_deadline_ends_the_wait_for_room(void **state)
{
	(void)state;
	run(send_until_deadline);
	assert_int_equal(result, -1);
	assert_int_equal(error, ETIMEDOUT);
}

static char	from_descriptor[8];

static void
keep_a_descriptor(void *unused)
{
	struct content	content = { { big, BIG }, false, false };
	struct deliver	deliver = { .queue_id = "ID", .transport = "smtp",
			    .nexthop = "", .site = "", .sender = "",
			    .envelope_id = "", .return_what = "",
			    .client_name = "", .client_address = "",
			    .helo = "", .protocol = "", .login = "",
			    .ident = "" };
	FILE		*file = tmpfile();
	unsigned	 i;
	int		 fd = -1;

	(void)unused;
	begin();
	if (file == NULL || fputs("mail", file) == EOF || fflush(file) == EOF)
		abort();
	deliver.message = fileno(file);
	for (i = 1; channel_unsent() == 0; i++)
		(void)channel_post(sender, PACKET_CONTENT, i, &content);
	result = channel_post(sender, PACKET_DELIVER, i, &deliver);
	fclose(file);			/* ours may go: a duplicate was kept */
	while (fd == -1)
		if (read_one(&fd) == -1)
			fiber_sleep(1);
	if (pread(fd, from_descriptor, 4, 0) != 4)
		from_descriptor[0] = '\0';
	close(fd);
	end();
}

static void
a_kept_packet_keeps_its_descriptor(void **state)
{
	int	before;

	(void)state;
	loop_open();
	before = open_descriptors();
	run(keep_a_descriptor);
	assert_int_equal(result, 0);
	assert_string_equal(from_descriptor, "mail");
	assert_int_equal(open_descriptors(), before);
}

static void
send_to_nobody(void *unused)
{
	struct control	control = { "verb" };

	(void)unused;
	begin();
	close(reader);
	reader = -1;
	result = channel_post(sender, PACKET_CONTROL, 1, &control);
	error = errno;
	end();
}

static void
a_lost_reader_is_econnreset(void **state)
{
	(void)state;
	run(send_to_nobody);
	assert_int_equal(result, -1);
	assert_int_equal(error, ECONNRESET);
}

/* A reply with a descriptor, to be kept by a process that has no other left. */
static void
reply_without_descriptors(void *unused)
{
	struct content	content = { { big, BIG }, false, false };
	struct deliver	deliver = { .queue_id = "ID", .transport = "smtp",
			    .nexthop = "", .site = "", .sender = "",
			    .envelope_id = "", .return_what = "",
			    .client_name = "", .client_address = "",
			    .helo = "", .protocol = "", .login = "",
			    .ident = "" };
	struct rlimit	usual, none;
	unsigned	i;

	(void)unused;
	begin();
	for (i = 1; channel_unsent() == 0; i++)
		(void)channel_post(sender, PACKET_CONTENT, i, &content);
	if (getrlimit(RLIMIT_NOFILE, &usual) == -1)
		abort();
	none = (struct rlimit){ 1, usual.rlim_max };
	if (setrlimit(RLIMIT_NOFILE, &none) == -1)
		abort();
	deliver.message = reader;
	result = channel_reply_to(sender, i, PACKET_DELIVER, &deliver);
	error = errno;
	is_open = channel_is_open(sender);
	if (setrlimit(RLIMIT_NOFILE, &usual) == -1)
		abort();
	end();
}

static void
who_waits_for_what_cannot_be_sent_sees_the_end(void **state)
{
	(void)state;
	run(reply_without_descriptors);
	assert_int_equal(result, -1);
	assert_int_equal(error, EMFILE);
	assert_false(is_open);
}

static void
send_out_of_bounds(void *unused)
{
	struct control	control = { "" };

	(void)unused;
	begin();
	result = channel_post(sender, PACKET_CONTROL, 1, &control);
	error = errno;
	end();
}

static void
what_breaks_its_bounds_is_not_sent(void **state)
{
	(void)state;
	run(send_out_of_bounds);
	assert_int_equal(result, -1);
	assert_int_equal(error, EMSGSIZE);
}

/* Posts of one turn are there when the next one begins, and not before; then
 * one that waits for nothing. */
static void
post_and_look(void *unused)
{
	struct content	content = { { "x", 1 }, false, false };
	int		fd;

	(void)unused;
	begin();
	channel_gather();
	for (kept = 0; kept < 20; kept++)
		channel_post(sender, PACKET_CONTENT, kept + 1, &content);
	result = read_one(&fd);
	kept = channel_unsent();
	fiber_yield();
	read_all(20);
	is_open = channel_unsent() == 0;
	result += channel_send(sender, PACKET_CONTENT, 21, &content, NEVER);
	result += read_one(&fd);
	end();
}

static void
what_is_gathered_leaves_in_order_when_the_turn_ends(void **state)
{
	(void)state;
	run(post_and_look);
	assert_int_equal(result, -1);		/* of the first look alone */
	assert_int_equal(kept, 20);
	assert_true(is_open);
	assert_int_equal(received, 21);
	assert_int_equal(order_broken, 0);
}

/* Nobody is there to take what was gathered. */
static void
post_to_nobody(void *unused)
{
	struct content	content = { { "x", 1 }, false, false };

	(void)unused;
	begin();
	close(reader);
	result = channel_post(sender, PACKET_CONTENT, 1, &content);
	fiber_yield();
	fiber_yield();
	kept = channel_unsent();
	is_open = channel_is_open(sender);
	channel_close(sender);
	channel_release(sender);
}

static void
what_was_gathered_for_nobody_is_dropped_with_the_channel(void **state)
{
	(void)state;
	run(post_to_nobody);
	assert_int_equal(result, 0);
	assert_int_equal(kept, 0);
	assert_false(is_open);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(posted_packets_are_kept_in_their_order),
		cmocka_unit_test(who_never_reads_is_closed_at_eight_mib),
		cmocka_unit_test(
		    a_sender_with_patience_keeps_one_packet_at_most),
		cmocka_unit_test(a_deadline_ends_the_wait_for_room),
		cmocka_unit_test(a_kept_packet_keeps_its_descriptor),
		cmocka_unit_test(a_lost_reader_is_econnreset),
		cmocka_unit_test(
		    who_waits_for_what_cannot_be_sent_sees_the_end),
		cmocka_unit_test(what_breaks_its_bounds_is_not_sent),
		cmocka_unit_test(
		    what_is_gathered_leaves_in_order_when_the_turn_ends),
		cmocka_unit_test(
		    what_was_gathered_for_nobody_is_dropped_with_the_channel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
