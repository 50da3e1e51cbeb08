/*
 * io.c - lines, bytes and buffered writing over a socket, with every way a
 * peer can be slow, rude or gone.
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

/* A conversation: the script is sent, the heard is what our side saw. */
struct talk {
	struct io	*io;		/* our side */
	int		 peer;
	const char	*script[8];	/* sent one by one, with yields between */
	bool		 is_held;	/* peer stays open after the script */
	size_t		 limit;
	char		 heard[512];
	int		 result;
	int		 error;
	size_t		 count;
	struct fiber	*listener;
};

static void
open_talk(struct talk *talk, size_t limit)
{
	int	fd[2];

	memset(talk, 0, sizeof *talk);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
	    fd), 0);
	talk->io = io_new(fd[0]);
	talk->peer = fd[1];
	talk->limit = limit;
}

static void
close_talk(struct talk *talk)
{
	io_close(talk->io);
	if (talk->peer != -1)
		close(talk->peer);
}

/* Send the script, piece by piece, then close unless held. */
static void
send_script(void *arg)
{
	struct talk	*talk = arg;
	size_t		 i;

	for (i = 0; talk->script[i] != NULL; i++) {
		if (write(talk->peer, talk->script[i],
		    strlen(talk->script[i])) == -1)
			talk->error = errno;
		fiber_sleep(1);
	}
	if (!talk->is_held) {
		close(talk->peer);
		talk->peer = -1;
	}
}

/* Hear lines until the end: "<text>" with CRLF, "<text!>" with a bare LF,
 * "<long>" for one that passed the limit. */
static void
hear_lines(void *arg)
{
	struct talk	*talk = arg;
	char		*line;
	size_t		 len;
	bool		 bare;

	for (;;) {
		talk->result = io_line(talk->io, &line, &len, talk->limit,
		    &bare);
		if (talk->result == -1 && errno == EMSGSIZE)
			strlcat(talk->heard, "<long>", sizeof talk->heard);
		else if (talk->result == 1 && strlen(line) == len) {
			strlcat(talk->heard, "<", sizeof talk->heard);
			strlcat(talk->heard, line, sizeof talk->heard);
			strlcat(talk->heard, bare ? "!>" : ">",
			    sizeof talk->heard);
		} else
			break;
	}
	talk->error = errno;
}

/* Hear the script with these limits and say what came of it. */
static void
converse(struct talk *talk)
{
	talk->listener = fiber_start(hear_lines, talk);
	fiber_start(send_script, talk);
	loop_run();
}

static void
lines_come_whole_however_they_are_cut(void **state)
{
	struct talk	talk;

	(void)state;
	open_talk(&talk, 100);
	talk.script[0] = "EH";
	talk.script[1] = "LO one\r\nMAIL\r\nRC";
	talk.script[2] = "PT\r";
	talk.script[3] = "\n\r\nbare\nx\ry\r";
	talk.script[4] = "\r\nQUIT\r\n";
	converse(&talk);
	assert_string_equal(talk.heard,
	    "<EHLO one><MAIL><RCPT><><bare!><x\ry\r><QUIT>");
	assert_int_equal(talk.result, 0);
	close_talk(&talk);
}

static void
the_limit_is_exact_and_the_next_line_is_heard(void **state)
{
	struct talk	talk;

	(void)state;
	open_talk(&talk, 5);
	talk.script[0] = "12345\r\n123456\r\nabc";
	talk.script[1] = "de\n";
	talk.script[2] = "1234567";
	talk.script[3] = "89 and more\r\nend\r\n";
	converse(&talk);
	assert_string_equal(talk.heard,
	    "<12345><long><abcde!><long><end>");
	assert_int_equal(talk.result, 0);
	close_talk(&talk);
}

static void
a_long_line_cut_between_cr_and_lf_is_still_one_line(void **state)
{
	struct talk	talk;

	(void)state;
	open_talk(&talk, 5);
	talk.script[0] = "12345\r";
	talk.script[1] = "\n123456\r";
	talk.script[2] = "\nend\r\n";
	converse(&talk);
	assert_string_equal(talk.heard, "<12345><long><end>");
	close_talk(&talk);
}

static void
an_end_inside_a_line_is_a_reset(void **state)
{
	struct talk	talk;

	(void)state;
	open_talk(&talk, 100);
	talk.script[0] = "whole\r\nhal";
	converse(&talk);
	assert_string_equal(talk.heard, "<whole>");
	assert_int_equal(talk.result, -1);
	assert_int_equal(talk.error, ECONNRESET);
	close_talk(&talk);
}

/* Send a line of 300 KiB without an end in sight. */
static void
send_endless(void *arg)
{
	static char	 block[1024];
	struct talk	*talk = arg;
	int		 i;

	memset(block, 'x', sizeof block);
	for (i = 0; i < 300; i++) {
		if (send(talk->peer, block, sizeof block,
		    MSG_DONTWAIT | MSG_NOSIGNAL) == -1 && errno != EAGAIN)
			break;
		fiber_yield();
	}
}

static void
an_endless_line_ends_the_reading(void **state)
{
	struct talk	talk;

	(void)state;
	open_talk(&talk, 512);
	fiber_start(hear_lines, &talk);
	fiber_start(send_endless, &talk);
	loop_run();
	assert_int_equal(talk.result, -1);
	assert_int_equal(talk.error, ECONNABORTED);
	close_talk(&talk);
}

static void
patience_ends_a_silent_wait(void **state)
{
	struct talk	talk;
	int64_t		start = clock_now();

	(void)state;
	open_talk(&talk, 100);
	talk.script[0] = "hello\r\n";
	talk.is_held = true;
	io_patience(talk.io, 30);
	converse(&talk);
	assert_string_equal(talk.heard, "<hello>");
	assert_int_equal(talk.error, ETIMEDOUT);
	assert_true(clock_now() - start >= 30);
	close_talk(&talk);
}

static void
the_deadline_wins_over_patience(void **state)
{
	struct talk	talk;
	int64_t		start = clock_now();

	(void)state;
	open_talk(&talk, 100);
	talk.is_held = true;
	io_patience(talk.io, 3600 * 1000);
	io_deadline(talk.io, start + 20);
	converse(&talk);
	assert_int_equal(talk.error, ETIMEDOUT);
	assert_in_range(clock_now() - start, 20, 60 * 1000);
	close_talk(&talk);
}

/* Time out, then say goodbye, then try to read again. */
static void
time_out_and_say_goodbye(void *arg)
{
	struct talk	*talk = arg;

	hear_lines(talk);
	talk->count = io_printf(talk->io, "%d %s\r\n", 421, "goodbye") == 0 &&
	    io_flush(talk->io) == 0;
	talk->error = 0;
	hear_lines(talk);
}

static void
after_a_timeout_a_last_word_can_be_said(void **state)
{
	struct talk	talk;
	char		word[32] = "";

	(void)state;
	open_talk(&talk, 100);
	io_patience(talk.io, 5);
	fiber_start(time_out_and_say_goodbye, &talk);
	loop_run();
	assert_int_equal(talk.count, 1);
	assert_int_equal(talk.error, ETIMEDOUT);
	assert_int_equal(read(talk.peer, word, sizeof word - 1), 13);
	assert_string_equal(word, "421 goodbye\r\n");
	close_talk(&talk);
}

static void
cancel_listener(void *arg)
{
	struct talk	*talk = arg;

	fiber_cancel(talk->listener);
}

static void
a_cancelled_reader_sees_ecanceled(void **state)
{
	struct talk	talk;

	(void)state;
	open_talk(&talk, 100);
	talk.listener = fiber_start(hear_lines, &talk);
	fiber_start(cancel_listener, &talk);
	loop_run();
	assert_int_equal(talk.result, -1);
	assert_int_equal(talk.error, ECANCELED);
	close_talk(&talk);
}

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

static void
take_turns(void *arg)
{
	struct talk	*talk = arg;

	if (talk->result == 1)		/* the greedy one is in the middle */
		talk->count = 1;
}

static void
a_pipelining_peer_does_not_starve_others(void **state)
{
	struct talk	talk;
	int		i;

	(void)state;
	open_talk(&talk, 100);
	for (i = 0; i < 200; i++)
		assert_int_equal(write(talk.peer, "x\n", 2), 2);
	close(talk.peer);
	talk.peer = -1;
	fiber_start(hear_lines, &talk);
	fiber_start(take_turns, &talk);
	loop_run();
	assert_int_equal(talk.count, 1);
	assert_int_equal(talk.result, 0);
	close_talk(&talk);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(lines_come_whole_however_they_are_cut),
		cmocka_unit_test(the_limit_is_exact_and_the_next_line_is_heard),
		cmocka_unit_test(
		    a_long_line_cut_between_cr_and_lf_is_still_one_line),
		cmocka_unit_test(an_end_inside_a_line_is_a_reset),
		cmocka_unit_test(an_endless_line_ends_the_reading),
		cmocka_unit_test(patience_ends_a_silent_wait),
		cmocka_unit_test(the_deadline_wins_over_patience),
		cmocka_unit_test(after_a_timeout_a_last_word_can_be_said),
		cmocka_unit_test(a_cancelled_reader_sees_ecanceled),
		cmocka_unit_test(much_data_passes_unharmed),
		cmocka_unit_test(an_exact_read_cut_short_is_a_reset),
		cmocka_unit_test(a_gone_peer_is_an_error_that_stays),
		cmocka_unit_test(a_peer_that_does_not_read_is_not_waited_for),
		cmocka_unit_test(the_buffer_can_be_filled_seen_and_emptied),
		cmocka_unit_test(input_in_the_kernel_is_seen_without_a_wait),
		cmocka_unit_test(a_long_text_is_printed_whole),
		cmocka_unit_test(a_layer_takes_over_reading_and_writing),
		cmocka_unit_test(a_silent_session_owns_no_buffer),
		cmocka_unit_test(a_pipelining_peer_does_not_starve_others),
	};

	loop_open();
	return cmocka_run_group_tests_name("io", tests, NULL, NULL);
}
