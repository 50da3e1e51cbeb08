/*
 * log.c - claims about log lines.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/bug.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "t/common/base/death.h"

/* One packet as the log program sees it. */
struct seen {
	struct log_head	 head;
	char		 bytes[4096];
	const char	*syslog_name, *program, *text;
};

static struct seen	 seen;
static int		 ends[2] = { -1, -1 };

/* The next packet, or false if there is none. */
static bool
see(void)
{
	static char	packet[sizeof(seen.head) + sizeof(seen.bytes)];
	ssize_t		n = recv(ends[1], packet, sizeof(packet), MSG_DONTWAIT);

	if (n == -1)
		return false;
	assert_true((size_t)n > sizeof(seen.head) + 3);
	assert_int_equal(packet[n - 1], '\0');
	memcpy(&seen.head, packet, sizeof(seen.head));
	memcpy(seen.bytes, packet + sizeof(seen.head),
	    (size_t)n - sizeof(seen.head));
	seen.syslog_name = seen.bytes;
	seen.program = seen.syslog_name + strlen(seen.syslog_name) + 1;
	seen.text = seen.program + strlen(seen.program) + 1;
	assert_ptr_equal(seen.text + strlen(seen.text) + 1,
	    seen.bytes + n - sizeof(seen.head));
	return true;
}

static int
set_up(void **state)
{
	(void)state;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == -1)
		return -1;
	log_to_socket(ends[0]);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	log_to_stderr();
	close(ends[0]);
	close(ends[1]);
	return 0;
}

static void
line_arrives_with_its_names(void **state)
{
	int64_t	before = clock_wall_us();

	(void)state;
	log_number = 4711;
	log_warning("disk %d%% full", 95);
	assert_true(see());
	assert_string_equal(seen.syslog_name, "postrider");
	assert_string_equal(seen.program, "test");
	assert_string_equal(seen.text, "disk 95% full");
	assert_int_equal(seen.head.level, LOG_LEVEL_WARNING);
	assert_int_equal(seen.head.number, 4711);
	assert_int_equal(seen.head.lost, 0);
	assert_true(seen.head.wall_us >= before &&
	    seen.head.wall_us <= clock_wall_us());
}

static void
number_is_the_process_until_set(void **state)
{
	(void)state;
	log_number = 0;
	log_info("x");
	assert_true(see());
	assert_int_equal(seen.head.number, getpid());
}

static void
levels_are_told(void **state)
{
	(void)state;
	log_info("x");
	assert_true(see() && seen.head.level == LOG_LEVEL_INFO);
	log_error("x");
	assert_true(see() && seen.head.level == LOG_LEVEL_ERROR);
	assert_string_equal(log_level_prefix(LOG_LEVEL_INFO), "");
	assert_string_equal(log_level_prefix(LOG_LEVEL_PANIC), "panic: ");
}

static void
each_line_of_a_text_is_one(void **state)
{
	(void)state;
	log_lines(LOG_LEVEL_ERROR, "\none 5%s\n\ntwo");
	assert_true(see() && seen.head.level == LOG_LEVEL_ERROR);
	assert_string_equal(seen.text, "one 5%s");
	assert_true(see() && seen.head.level == LOG_LEVEL_ERROR);
	assert_string_equal(seen.text, "two");
	log_lines(LOG_LEVEL_INFO, "three\n");
	assert_true(see() && seen.head.level == LOG_LEVEL_INFO);
	assert_string_equal(seen.text, "three");
	log_lines(LOG_LEVEL_INFO, "");
	log_lines(LOG_LEVEL_INFO, "\n");
	assert_false(see());
}

static void
debug_lines_need_to_be_wanted(void **state)
{
	(void)state;
	assert_false(log_is_verbose());
	log_debug("x");
	assert_false(see());
	log_verbose(1);
	assert_true(log_is_verbose());
	log_debug("x");
	assert_true(see() && seen.head.level == LOG_LEVEL_DEBUG);
	log_verbose(0);
}

static void
full_socket_loses_lines_but_not_their_count(void **state)
{
	uint32_t	sent = 0, arrived = 0;

	(void)state;
	for (; sent < 5000; sent++)
		log_info("line %u", sent);
	while (see())
		arrived++;
	assert_true(arrived > 0 && arrived < sent);
	log_info("again");
	assert_true(see());
	assert_string_equal(seen.text, "again");
	assert_int_equal(seen.head.lost, sent - arrived);
	log_info("and again");
	assert_true(see());
	assert_int_equal(seen.head.lost, 0);
}

static void
closed_socket_does_not_kill(void **state)
{
	(void)state;
	shutdown(ends[1], SHUT_RDWR);
	log_info("nobody hears");
}

static void
errno_can_be_shown_and_survives(void **state)
{
	(void)state;
	errno = ENOENT;
	log_info("open: %m");
	assert_int_equal(errno, ENOENT);
	assert_true(see());
	assert_string_equal(seen.text, "open: No such file or directory");
	shutdown(ends[1], SHUT_RDWR);
	errno = EBUSY;
	log_info("x");
	assert_int_equal(errno, EBUSY);
}

static void
text_of_strangers_is_escaped(void **state)
{
	(void)state;
	log_info("helo=<%s>", "a\r\nNov 21 forged\033[2J");
	assert_true(see());
	assert_string_equal(seen.text,
	    "helo=<a\\015\\012Nov 21 forged\\033[2J>");
}

static void
long_line_is_cut_at_2000_bytes(void **state)
{
	char	name[64], program[64];

	(void)state;
	memset(name, 'n', sizeof(name));
	memset(program, 'p', sizeof(program));
	name[63] = program[63] = '\0';
	log_name(name, program);
	log_number = UINT64_MAX;
	log_warning("%5000d", 1);
	assert_true(see());
	assert_true(strlen(seen.text) > 1700);
	assert_true(63 + 1 + 63 + strlen("[18446744073709551615]: warning: ") +
	    strlen(seen.text) <= 2000);
	assert_string_equal(seen.text + strlen(seen.text) - 3, "...");
	log_warning("%900s%s", "", "\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1");
	assert_true(see());
	assert_string_equal(seen.text + strlen(seen.text) - 4, "\\001");
	log_name("postrider", "test");
}

static const char *
escaped(const char *from, size_t len)
{
	static char	to[200];
	size_t		n = log_escape(to, sizeof(to), from, len);

	assert_int_equal(n, strlen(to));
	return to;
}

static void
utf8_passes_and_its_forgeries_do_not(void **state)
{
	static const struct {
		const char	*from, *to;
	} cases[] = {
		{ "plain \\ text~", "plain \\ text~" },
		{ "\303\251\342\202\254\360\237\220\216",
		    "\303\251\342\202\254\360\237\220\216" },
		{ "\t\177", "\\011\\177" },
		{ "\303", "\\303" },			/* ends early */
		{ "\342\202x", "\\342\\202x" },
		{ "\300\257", "\\300\\257" },		/* overlong "/" */
		{ "\340\200\257", "\\340\\200\\257" },
		{ "\355\240\200", "\\355\\240\\200" },	/* surrogate */
		{ "\364\220\200\200", "\\364\\220\\200\\200" },
		{ "\302\233", "\\302\\233" },		/* C1: CSI */
		{ "\342\200\256", "\\342\\200\\256" },	/* right to left */
		{ "\377\200", "\\377\\200" },
	};
	size_t	i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_string_equal(escaped(cases[i].from,
		    strlen(cases[i].from)), cases[i].to);
	assert_string_equal(escaped("a\0b", 3), "a\\000b");
}

static void
escaping_never_cuts_a_character_in_half(void **state)
{
	char	to[6];

	(void)state;
	assert_int_equal(log_escape(to, 6, "abc\303\251", 5), 5);
	assert_int_equal(log_escape(to, 5, "abc\303\251", 5), 3);
	assert_string_equal(to, "abc");
	assert_int_equal(log_escape(to, 6, "ab\n", 3), 2);
	assert_string_equal(to, "ab");
	assert_int_equal(log_escape(to, 1, "a", 1), 0);
	assert_string_equal(to, "");
	assert_int_equal(log_escape(to, 0, "a", 1), 0);
}

static void
speak_to_stderr(void)
{
	log_to_stderr();
	log_info("one");
	log_warning("two\n");
}

static void
stderr_lines_name_the_program(void **state)
{
	char	words[1000];

	(void)state;
	death_of(speak_to_stderr, words, sizeof(words));
	assert_string_equal(words, "test: one\ntest: warning: two\\012\n");
}

static void
die_with_nobody_listening(void)
{
	shutdown(ends[1], SHUT_RDWR);
	log_info("not heard");
	die("the end");
}

static void
last_words_are_heard_without_a_log_program(void **state)
{
	char	words[1000];

	(void)state;
	death_of(die_with_nobody_listening, words, sizeof(words));
	assert_string_equal(words, "test: fatal: the end\n");
}

/* The texts of the lines in the next datagram, each behind a "|", and what it
 * says was lost before; false if there is none. */
static bool
see_several(char *texts, size_t size, uint32_t *lost)
{
	static char	 packet[LOG_DATAGRAM_MAX + 1];
	const char	*at = packet;
	struct log_head	 head;
	ssize_t		 n = recv(ends[1], packet, sizeof(packet),
			    MSG_DONTWAIT);

	texts[0] = '\0';
	if (n == -1)
		return false;
	assert_true(n <= LOG_DATAGRAM_MAX);
	for (*lost = 0; at < packet + n; at += strlen(at) + 1) {
		memcpy(&head, at, sizeof(head));
		assert_true(at == packet || head.lost == 0);
		*lost += head.lost;
		at += sizeof(head);
		assert_string_equal(at, "postrider");
		at += strlen(at) + 1;
		assert_string_equal(at, "test");
		at += strlen(at) + 1;
		assert_true(strlcat(texts, "|", size) < size);
		assert_true(strlcat(texts, at, size) < size);
	}
	assert_ptr_equal(at, packet + n);
	return true;
}

static void
gathered_lines_travel_together_in_their_order(void **state)
{
	char		texts[200];
	uint32_t	lost;

	(void)state;
	log_gather(true);
	log_info("one");
	log_warning("two");
	assert_false(see_several(texts, sizeof(texts), &lost));
	log_flush();
	assert_true(see_several(texts, sizeof(texts), &lost));
	assert_string_equal(texts, "|one|two");
	log_info("three");
	log_gather(false);
	assert_true(see_several(texts, sizeof(texts), &lost));
	assert_string_equal(texts, "|three");
	log_info("four");
	assert_true(see_several(texts, sizeof(texts), &lost));
	assert_string_equal(texts, "|four");
}

static void
what_does_not_fit_a_datagram_does_not_wait(void **state)
{
	static char	texts[LOG_DATAGRAM_MAX];
	uint32_t	lost;

	(void)state;
	log_gather(true);
	log_info("%1500d", 1);
	log_info("%1500d", 2);
	log_info("%1500d", 3);
	log_info("%1500d", 4);
	log_info("%1500d", 5);
	assert_false(see_several(texts, sizeof(texts), &lost));
	log_info("%1500d", 6);
	assert_true(see_several(texts, sizeof(texts), &lost));
	assert_non_null(strstr(texts, " 5"));
	assert_null(strstr(texts, " 6"));
	log_gather(false);
	assert_true(see_several(texts, sizeof(texts), &lost));
	assert_string_equal(texts + strlen(texts) - 2, " 6");
}

static void
gathered_lines_that_are_lost_are_counted(void **state)
{
	static char	texts[LOG_DATAGRAM_MAX];
	uint32_t	lost, told = 0, sent = 0, arrived = 0;
	const char	*at;

	(void)state;
	log_gather(true);
	for (; sent < 20000; sent++)
		log_info("line");
	log_gather(false);
	while (see_several(texts, sizeof(texts), &lost)) {
		told += lost;
		for (at = texts; (at = strchr(at, '|')) != NULL; at++)
			arrived++;
	}
	assert_true(arrived > 0 && arrived < sent);
	log_info("again");
	assert_true(see_several(texts, sizeof(texts), &lost));
	assert_int_equal(told + lost, sent - arrived);
}

static void
gather_and_die(void)
{
	log_gather(true);
	log_info("before");
	die("the end");
}

static bool	has_last_word;

/* As somebody's handler might who came before the loop. */
static void
say_a_last_word(void)
{
	if (has_last_word)
		log_info("last");
}

static void
gather_and_exit(void)
{
	has_last_word = true;
	log_gather(true);
	log_info("before");
	exit(0);
}

/* G2 */
static void
who_ends_himself_loses_no_line(void **state)
{
	char		words[1000], texts[200];
	uint32_t	lost;

	(void)state;
	death_of(gather_and_die, words, sizeof(words));
	assert_true(see_several(texts, sizeof(texts), &lost));
	assert_string_equal(texts, "|before|the end");
	death_of(gather_and_exit, words, sizeof(words));
	assert_true(see_several(texts, sizeof(texts), &lost));
	assert_string_equal(texts, "|before");
	assert_true(see_several(texts, sizeof(texts), &lost));
	assert_string_equal(texts, "|last");
	assert_false(see_several(texts, sizeof(texts), &lost));
}

static void
speak_as_a_child(void)
{
	log_info("child");
}

/* G1 */
static void
a_child_speaks_behind_its_parent_and_at_once(void **state)
{
	char		words[1000], texts[200];
	uint32_t	lost;

	(void)state;
	log_gather(true);
	log_info("parent");
	death_of(speak_as_a_child, words, sizeof(words));
	assert_true(see_several(texts, sizeof(texts), &lost));
	assert_string_equal(texts, "|parent");
	assert_true(see_several(texts, sizeof(texts), &lost));
	assert_string_equal(texts, "|child");
	log_gather(false);
	assert_false(see_several(texts, sizeof(texts), &lost));
}

static void *
speak_on_a_thread(void *unused)
{
	int	i;

	for (i = 0; i < 1000; i++)
		log_info("%s", "thread");
	return unused;
}

static void
threads_do_not_spoil_each_others_lines(void **state)
{
	static char	texts[LOG_DATAGRAM_MAX];
	uint32_t	lost, told = 0, whole = 0;
	pthread_t	thread;
	const char	*at;
	int		i;

	(void)state;
	log_gather(true);
	assert_int_equal(pthread_create(&thread, NULL, speak_on_a_thread,
	    NULL), 0);
	for (i = 0; i < 1000; i++)
		log_info("%s", "loop..");
	pthread_join(thread, NULL);
	log_gather(false);
	while (see_several(texts, sizeof(texts), &lost)) {
		told += lost;
		for (at = texts; *at != '\0'; at += 7, whole++)
			assert_true(strncmp(at, "|thread", 7) == 0 ||
			    strncmp(at, "|loop..", 7) == 0);
	}
	log_info("again");
	assert_true(see_several(texts, sizeof(texts), &lost));
	assert_int_equal(whole + told + lost, 2000);
}

static void
speak_to_nothing(void)
{
	log_to_nothing();
	log_error("x");
}

static void
nothing_is_silent(void **state)
{
	char	words[1000];

	(void)state;
	death_of(speak_to_nothing, words, sizeof(words));
	assert_string_equal(words, "");
	assert_false(see());
}

#define CLAIM_THAT(name) \
	cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		CLAIM_THAT(line_arrives_with_its_names),
		CLAIM_THAT(number_is_the_process_until_set),
		CLAIM_THAT(levels_are_told),
		CLAIM_THAT(each_line_of_a_text_is_one),
		CLAIM_THAT(debug_lines_need_to_be_wanted),
		CLAIM_THAT(full_socket_loses_lines_but_not_their_count),
		CLAIM_THAT(text_of_strangers_is_escaped),
		CLAIM_THAT(long_line_is_cut_at_2000_bytes),
		CLAIM_THAT(utf8_passes_and_its_forgeries_do_not),
		CLAIM_THAT(escaping_never_cuts_a_character_in_half),
		CLAIM_THAT(stderr_lines_name_the_program),
		CLAIM_THAT(last_words_are_heard_without_a_log_program),
		CLAIM_THAT(nothing_is_silent),
		CLAIM_THAT(gathered_lines_travel_together_in_their_order),
		CLAIM_THAT(what_does_not_fit_a_datagram_does_not_wait),
		CLAIM_THAT(gathered_lines_that_are_lost_are_counted),
		CLAIM_THAT(who_ends_himself_loses_no_line),
		CLAIM_THAT(a_child_speaks_behind_its_parent_and_at_once),
		CLAIM_THAT(threads_do_not_spoil_each_others_lines),
		CLAIM_THAT(errno_can_be_shown_and_survives),
		CLAIM_THAT(closed_socket_does_not_kill),
	};

	log_name("postrider", "test");
	if (atexit(say_a_last_word) != 0)
		return 1;
	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
