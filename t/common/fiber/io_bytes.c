/*
 * io_bytes.c - bytes, buffered writing, layers and the memory of io.c.
 */
#include "common/fiber/io.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fiber/loop.h"
#include "t/common/fiber/talk.h"

/* Write 300 KB of counted bytes in odd pieces. */
static void
write_much(void *arg)
{
	struct talk	*talk = arg;
	static char	 piece[30000];
	size_t		 i, at, len;

	for (at = 0; at < 300000; at += len) {
		len = 1 + at % 29989;
		if (len > 300000 - at)
			len = 300000 - at;
		for (i = 0; i < len; i++)
			piece[i] = (char)((at + i) % 251);
		if (io_write(talk->io, piece, len) == -1)
			break;
	}
	if (io_flush(talk->io) == -1)
		talk->error = errno;
	talk->count = io_pending(talk->io);
}

/* Read it on the other side and compare. */
static void
read_much(void *arg)
{
	struct talk	*talk = arg;
	struct io	*io = io_new(talk->peer);
	static char	 piece[20000];
	size_t		 i, at, len;

	talk->peer = -1;
	for (at = 0; at < 300000; at += len) {
		len = 1 + at % 19997;
		if (len > 300000 - at)
			len = 300000 - at;
		if (io_read(io, piece, len) == -1)
			break;
		for (i = 0; i < len; i++)
			if (piece[i] != (char)((at + i) % 251))
				talk->result++;
	}
	snprintf(talk->heard, sizeof talk->heard, "%zu", at);
	io_close(io);
}

static void
much_data_passes_unharmed(void **state)
{
	struct talk	talk;

	(void)state;
	open_talk(&talk, 0);
	fiber_start(write_much, &talk);
	fiber_start(read_much, &talk);
	loop_run();
	assert_string_equal(talk.heard, "300000");
	assert_int_equal(talk.result, 0);
	assert_int_equal(talk.error, 0);
	assert_int_equal(talk.count, 0);
	close_talk(&talk);
}

static void
read_ten(void *arg)
{
	struct talk	*talk = arg;

	talk->result = io_read(talk->io, talk->heard, 10);
	talk->error = errno;
}

static void
an_exact_read_cut_short_is_a_reset(void **state)
{
	struct talk	talk;

	(void)state;
	open_talk(&talk, 0);
	talk.script[0] = "12345";
	fiber_start(read_ten, &talk);
	fiber_start(send_script, &talk);
	loop_run();
	assert_int_equal(talk.result, -1);
	assert_int_equal(talk.error, ECONNRESET);
	close_talk(&talk);
}

/* Write to a peer who is gone, twice. */
static void
write_to_nobody(void *arg)
{
	struct talk	*talk = arg;

	if (io_printf(talk->io, "hello\r\n") == 0)
		talk->result = io_flush(talk->io);
	talk->error = errno;
	errno = 0;
	if (io_write(talk->io, "x", 1) == -1)
		talk->count = (size_t)errno;
}

static void
a_gone_peer_is_an_error_that_stays(void **state)
{
	struct talk	talk;

	(void)state;
	open_talk(&talk, 0);
	close(talk.peer);
	talk.peer = -1;
	fiber_start(write_to_nobody, &talk);
	loop_run();
	assert_int_equal(talk.result, -1);
	assert_int_equal(talk.error, EPIPE);
	assert_int_equal(talk.count, EPIPE);
	close_talk(&talk);
}

/* Write until the patience ends. */
static void
write_endlessly(void *arg)
{
	static const char	block[32768];
	struct talk		*talk = arg;

	while ((talk->result = io_write(talk->io, block, sizeof block)) == 0)
		talk->count += sizeof block;
	talk->error = errno;
}

static void
a_peer_that_does_not_read_is_not_waited_for(void **state)
{
	struct talk	talk;

	(void)state;
	open_talk(&talk, 0);
	io_patience(talk.io, 20);
	fiber_start(write_endlessly, &talk);
	loop_run();
	assert_int_equal(talk.error, ETIMEDOUT);
	assert_true(talk.count > 0);
	close_talk(&talk);
}

/* Fill, peek and consume in every state. */
static void
peek_about(void *arg)
{
	struct talk	*talk = arg;
	const char	*data;

	talk->result = io_has_input(talk->io) ? 0 : 1;
	talk->result += io_fill(talk->io, 8) == 1 ? 2 : 0;
	talk->count = io_peek(talk->io, &data);
	memcpy(talk->heard, data, talk->count);
	io_consume(talk->io, 3);
	talk->result += io_peek(talk->io, &data) == 3 &&
	    memcmp(data, "def", 3) == 0 ? 4 : 0;
	talk->result += io_fill(talk->io, 3) == -1 && errno == EMSGSIZE ?
	    8 : 0;
	talk->result += io_has_input(talk->io) ? 16 : 0;
	talk->result += io_discard_input(talk->io) == 3 ? 32 : 0;
	talk->result += io_fill(talk->io, 8) == 0 ? 64 : 0;
	talk->result += io_fill(talk->io, 8) == 0 ? 128 : 0;
	talk->result += io_has_input(talk->io) ? 0 : 256;
}

static void
the_buffer_can_be_filled_seen_and_emptied(void **state)
{
	struct talk	talk;

	(void)state;
	open_talk(&talk, 0);
	talk.script[0] = "abcdef";
	fiber_start(peek_about, &talk);
	fiber_start(send_script, &talk);
	loop_run();
	assert_string_equal(talk.heard, "abcdef");
	assert_int_equal(talk.result, 511);
	close_talk(&talk);
}

static void
input_in_the_kernel_is_seen_without_a_wait(void **state)
{
	struct talk	talk;

	(void)state;
	open_talk(&talk, 0);
	assert_false(io_has_input(talk.io));
	assert_int_equal(write(talk.peer, "early\r\n", 7), 7);
	assert_true(io_has_input(talk.io));
	assert_int_equal(io_discard_input(talk.io), 7);
	assert_false(io_has_input(talk.io));
	close_talk(&talk);
}

static void
print_long(void *arg)
{
	struct talk	*talk = arg;
	char		 text[801];

	memset(text, 'y', 800);
	text[800] = '\0';
	talk->result = io_printf(talk->io, "<%s>", text);
	talk->count = io_pending(talk->io);
	talk->error = io_flush(talk->io);
}

static void
a_long_text_is_printed_whole(void **state)
{
	struct talk	talk;
	char		got[1000];

	(void)state;
	open_talk(&talk, 0);
	fiber_start(print_long, &talk);
	loop_run();
	assert_int_equal(talk.result, 0);
	assert_int_equal(talk.count, 802);
	assert_int_equal(read(talk.peer, got, sizeof got), 802);
	assert_int_equal(got[0], '<');
	assert_int_equal(got[801], '>');
	close_talk(&talk);
}

/* A layer that turns letters by 32 and at first wants the other direction,
 * as a TLS handshake may. */
struct turner {
	int	fd;
	int	calls;
	bool	is_closed;
};

static ssize_t
turner_read(void *state, void *to, size_t size, unsigned *wants)
{
	struct turner	*turner = state;
	char		*text = to;
	ssize_t		 i, n;

	if (turner->calls++ == 0) {
		*wants = EPOLLOUT;
		errno = EAGAIN;
		return -1;
	}
	*wants = EPOLLIN;
	n = read(turner->fd, to, size > 3 ? 3 : size);
	for (i = 0; i < n; i++)
		if (text[i] >= 'A')
			text[i] ^= 32;
	return n;
}

static ssize_t
turner_write(void *state, const void *from, size_t size, unsigned *wants)
{
	struct turner	*turner = state;
	const char	*text = from;
	char		 one = size == 0 ? '\0' : text[0];

	*wants = EPOLLOUT;
	if (one >= 'A')
		one ^= 32;
	return write(turner->fd, &one, 1);
}

static void
turner_close(void *state)
{
	struct turner	*turner = state;

	turner->is_closed = true;
}

static void
hear_and_answer(void *arg)
{
	struct talk	*talk = arg;

	hear_lines(talk);
	talk->count = io_printf(talk->io, "Answer\r\n") == 0 &&
	    io_flush(talk->io) == 0;
}

static void
a_layer_takes_over_reading_and_writing(void **state)
{
	struct turner	turner = { 0 };
	struct talk	talk;
	char		word[32] = "";

	(void)state;
	open_talk(&talk, 100);
	talk.script[0] = "hello ";
	talk.script[1] = "World\r\nnext\r\n";
	talk.is_held = true;
	turner.fd = io_fd(talk.io);
	io_set_layer(talk.io, &(struct io_layer){ turner_read, turner_write,
	    turner_close, &turner });
	io_patience(talk.io, 50);
	fiber_start(hear_and_answer, &talk);
	fiber_start(send_script, &talk);
	loop_run();
	assert_string_equal(talk.heard, "<HELLO wORLD><NEXT>");
	assert_int_equal(talk.count, 1);
	assert_int_equal(read(talk.peer, word, sizeof word - 1), 8);
	assert_string_equal(word, "aNSWER\r\n");
	close_talk(&talk);
	assert_true(turner.is_closed);
}

/* A layer that has heard something and nothing for us. */
static ssize_t
mute_read(void *state, void *to, size_t size, unsigned *wants)
{
	char	c;

	(void)to, (void)size;
	*wants = EPOLLIN;
	if (read(*(int *)state, &c, 1) == 1)
		errno = EAGAIN;
	return -1;
}

static void
mute_close(void *state)
{
	(void)state;
}

static void
hear_for_a_while(void *arg)
{
	struct talk	*talk = arg;
	int64_t		 start = clock_now();
	static char	 data[8000];

	talk->result = talk->limit == 0 ? io_fill(talk->io, 100) :
	    io_read(talk->io, data, talk->limit);
	talk->error = errno;
	talk->count = (size_t)(clock_now() - start);
	talk->is_held = false;
}

static void
drip(void *arg)
{
	struct talk	*talk = arg;

	while (talk->is_held && write(talk->peer, "x", 1) == 1)
		fiber_sleep(10);
}

static void
bytes_that_are_no_data_do_not_lengthen_a_wait(void **state)
{
	static const size_t	lengths[] = { 0, 8000 };
	struct talk		talk;
	size_t			i;
	int			fd;

	(void)state;
	for (i = 0; i < 2; i++) {
		open_talk(&talk, lengths[i]);
		talk.is_held = true;
		fd = io_fd(talk.io);
		io_set_layer(talk.io, &(struct io_layer){ mute_read,
		    turner_write, mute_close, &fd });
		io_patience(talk.io, 60);
		io_deadline(talk.io, clock_now() + 1000);
		fiber_start(hear_for_a_while, &talk);
		fiber_start(drip, &talk);
		loop_run();
		assert_int_equal(talk.result, -1);
		assert_int_equal(talk.error, ETIMEDOUT);
		assert_in_range(talk.count, 50, 700);
		close_talk(&talk);
	}
}

/* Listen as a session would, and wait for more. */
static void
measure_memory(void *arg)
{
	struct talk	*talk = arg;

	while (talk->result != 1)
		fiber_sleep(1);
	fiber_sleep(1);
	talk->count = mallinfo2().uordblks;
	fiber_cancel(talk->listener);
}

/* An upper bound without meaning where a tool replaces malloc(3). */
static void
a_silent_session_owns_no_buffer(void **state)
{
	struct talk	talk;
	size_t		before;

	(void)state;
	open_talk(&talk, 100);
	assert_int_equal(write(talk.peer, "hello\r\n", 7), 7);
	talk.listener = fiber_start(hear_lines, &talk);
	fiber_start(measure_memory, &talk);
	before = mallinfo2().uordblks;
	loop_run();
	assert_string_equal(talk.heard, "<hello>");
	assert_true(talk.count < before + 1024);
	close_talk(&talk);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(much_data_passes_unharmed),
		cmocka_unit_test(an_exact_read_cut_short_is_a_reset),
		cmocka_unit_test(a_gone_peer_is_an_error_that_stays),
		cmocka_unit_test(a_peer_that_does_not_read_is_not_waited_for),
		cmocka_unit_test(the_buffer_can_be_filled_seen_and_emptied),
		cmocka_unit_test(input_in_the_kernel_is_seen_without_a_wait),
		cmocka_unit_test(a_long_text_is_printed_whole),
		cmocka_unit_test(
		    bytes_that_are_no_data_do_not_lengthen_a_wait),
		cmocka_unit_test(a_layer_takes_over_reading_and_writing),
		cmocka_unit_test(a_silent_session_owns_no_buffer),
	};

	loop_open();
	return cmocka_run_group_tests_name("io_bytes", tests, NULL, NULL);
}
