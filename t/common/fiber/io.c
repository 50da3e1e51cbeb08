/*
 * io.c - lines from a socket, with every way a peer can be slow, rude or gone.
 */
#include "common/fiber/io.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fiber/loop.h"
#include "t/common/fiber/talk.h"

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

/* Send a line of 3 MiB without an end in sight. */
static void
send_endless(void *arg)
{
	static char	 block[1024];
	struct talk	*talk = arg;
	int		 i;

	memset(block, 'x', sizeof block);
	for (i = 0; i < 3072; i++) {
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

/* Wait for input, then for room, as a handshake does. */
static void
wait_for_both(void *arg)
{
	struct talk	*talk = arg;
	char		 byte;

	assert_int_equal(read(io_fd(talk->io), &byte, 1), -1);
	talk->result = io_wait(talk->io, EPOLLIN);
	talk->error = errno;
	if (talk->result == 0)
		talk->count = (size_t)read(io_fd(talk->io), &byte, 1);
	else
		io_patience(talk->io, 3600 * 1000);
	assert_int_equal(io_wait(talk->io, EPOLLOUT), 0);
}

static void
io_wait_waits_within_patience_and_the_io_lives_on(void **state)
{
	struct talk	talk;

	(void)state;
	open_talk(&talk, 100);
	talk.script[0] = "x";
	talk.is_held = true;
	fiber_start(wait_for_both, &talk);
	fiber_start(send_script, &talk);
	loop_run();
	assert_int_equal(talk.result, 0);
	assert_int_equal(talk.count, 1);
	close_talk(&talk);

	open_talk(&talk, 100);
	io_patience(talk.io, 20);
	fiber_start(wait_for_both, &talk);
	loop_run();
	assert_int_equal(talk.result, -1);
	assert_int_equal(talk.error, ETIMEDOUT);
	assert_false(io_is_over(talk.io));
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

/* Write to a peer that has said something and left, then hear that. */
static void
hear_last_words(void *arg)
{
	struct talk	*talk = arg;

	assert_false(io_is_over(talk->io));
	assert_int_equal(io_write(talk->io, "data", 4), 0);
	assert_int_equal(io_flush(talk->io), -1);
	talk->error = errno;
	assert_true(io_is_over(talk->io));
	assert_false(io_has_input(talk->io));
	io_hear_last_words(talk->io);
	talk->count = io_has_input(talk->io);
	hear_lines(talk);
	assert_true(io_is_over(talk->io));
}

static void
last_words_are_heard_by_who_asks_for_them(void **state)
{
	struct talk	talk;

	(void)state;
	open_talk(&talk, 100);
	assert_int_equal(write(talk.peer, "552 no\r\n", 8), 8);
	close(talk.peer);
	talk.peer = -1;
	fiber_start(hear_last_words, &talk);
	loop_run();
	assert_int_equal(talk.count, 1);
	assert_string_equal(talk.heard, "<552 no>");
	assert_int_equal(talk.result, 0);
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

/* Say to ourselves what the next call must see, without a turn of the loop
 * between the two. */
static bool
speak(struct talk *talk, const char *text)
{
	return write(talk->peer, text, strlen(text)) == (ssize_t)strlen(text);
}

/* Hear one more line. */
static bool
hear(struct talk *talk)
{
	char	*line;
	size_t	 len;

	talk->result = io_line(talk->io, &line, &len, 100, NULL);
	if (talk->result == 1)
		strlcat(talk->heard, line, sizeof talk->heard);
	return talk->result == 1;
}

static void
hear_what_comes_between_two_reads(void *arg)
{
	struct talk	*talk = arg;

	if (!speak(talk, "a\r\n") || !hear(talk) || !speak(talk, "b\r\n"))
		return;
	talk->count += io_has_input(talk->io);
	io_discard_input(talk->io);
	io_deadline(talk->io, clock_now() + 10000);
	if (!speak(talk, "c\r\n") || !hear(talk) || !speak(talk, "d\r\n"))
		return;
	close(talk->peer);
	talk->peer = -1;
	while (hear(talk))
		continue;
}

static void
what_comes_behind_a_short_read_is_heard(void **state)
{
	struct talk	talk;

	(void)state;
	open_talk(&talk, 100);
	fiber_start(hear_what_comes_between_two_reads, &talk);
	loop_run();
	assert_int_equal(talk.count, 1);
	assert_string_equal(talk.heard, "acd");
	assert_int_equal(talk.result, 0);
	close_talk(&talk);
}

/* Read what came with the end, wait a turn, and look for the end. */
static void
hear_the_end_late(void *arg)
{
	struct talk	*talk = arg;

	io_deadline(talk->io, clock_now() + 10000);
	if (!hear(talk))
		return;
	fiber_sleep(5);			/* more, and the end, are told now */
	if (hear(talk))
		hear(talk);
}

static void
send_two_lines_and_end(void *arg)
{
	struct talk	*talk = arg;

	fiber_sleep(1);
	talk->count += speak(talk, "one\r\n");
	fiber_sleep(1);
	talk->count += speak(talk, "two\r\n");
	close(talk->peer);
	talk->peer = -1;
}

static void
an_end_told_before_the_last_bytes_were_read_is_seen(void **state)
{
	struct talk	talk;

	(void)state;
	open_talk(&talk, 100);
	fiber_start(hear_the_end_late, &talk);
	fiber_start(send_two_lines_and_end, &talk);
	loop_run();
	assert_int_equal(talk.count, 2);
	assert_string_equal(talk.heard, "onetwo");
	assert_int_equal(talk.result, 0);
	close_talk(&talk);
}

/* Read what is there although no wait could tell of it. */
static void
hear_without_a_wait(void *arg)
{
	struct talk	*talk = arg;

	if (!speak(talk, "a\r\n") || !hear(talk) || !speak(talk, "b\r\n"))
		return;
	io_patience(talk->io, 0);
	hear(talk);
	io_patience(talk->io, 10000);
	if (!speak(talk, "c\r\n"))
		return;
	fiber_cancel(fiber_self());
	hear(talk);
}

static void
who_cannot_wait_still_hears_what_is_there(void **state)
{
	struct talk	talk;

	(void)state;
	open_talk(&talk, 100);
	fiber_start(hear_without_a_wait, &talk);
	loop_run();
	assert_string_equal(talk.heard, "abc");
	close_talk(&talk);
}

/* The same as open_talk(), by TCP. */
static void
open_tcp_talk(struct talk *talk, size_t limit)
{
	struct sockaddr_in	address = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t		size = sizeof address;
	int			listener = socket(AF_INET, SOCK_STREAM, 0);

	memset(talk, 0, sizeof *talk);
	talk->peer = socket(AF_INET, SOCK_STREAM, 0);
	talk->limit = limit;
	assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address,
	    &size), 0);
	assert_int_equal(connect(talk->peer, (struct sockaddr *)&address,
	    size), 0);
	talk->io = io_new(accept(listener, NULL, NULL));
	close(listener);
}

/* Let the listener wait, then send so that his read stops half-way. */
static void
send_with_urgent_data(void *arg)
{
	struct talk	*talk = arg;

	fiber_sleep(1);
	if (send(talk->peer, "one\r\ntw", 7, 0) != 7 ||
	    send(talk->peer, "!", 1, MSG_OOB) != 1 ||
	    send(talk->peer, "o\r\n", 3, 0) != 3)
		talk->count++;
}

static void
urgent_data_hides_nothing_that_follows(void **state)
{
	struct talk	talk;

	(void)state;
	open_tcp_talk(&talk, 100);
	io_patience(talk.io, 10000);
	fiber_start(hear_lines, &talk);
	fiber_start(send_with_urgent_data, &talk);
	loop_run();
	assert_int_equal(talk.count, 0);
	assert_string_equal(talk.heard, "<one><two>");
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
		cmocka_unit_test(
		    io_wait_waits_within_patience_and_the_io_lives_on),
		cmocka_unit_test(the_deadline_wins_over_patience),
		cmocka_unit_test(after_a_timeout_a_last_word_can_be_said),
		cmocka_unit_test(last_words_are_heard_by_who_asks_for_them),
		cmocka_unit_test(a_cancelled_reader_sees_ecanceled),
		cmocka_unit_test(what_comes_behind_a_short_read_is_heard),
		cmocka_unit_test(
		    an_end_told_before_the_last_bytes_were_read_is_seen),
		cmocka_unit_test(who_cannot_wait_still_hears_what_is_there),
		cmocka_unit_test(urgent_data_hides_nothing_that_follows),
		cmocka_unit_test(a_pipelining_peer_does_not_starve_others),
	};

	loop_open();
	return cmocka_run_group_tests_name("io", tests, NULL, NULL);
}
