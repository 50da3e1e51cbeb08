/*
 * copy.c - claims about how a message becomes what a mailbox or a command
 * gets, wherever the input is cut.
 */
/* needs: local/copy.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "local/copy.h"

static char	got[200000];
static size_t	got_len;

/* Gather what is written. */
static int
gather(void *context, const char *data, size_t len)
{
	(void)context;
	assert_true(got_len + len < sizeof(got));
	memcpy(got + got_len, data, len);
	got_len += len;
	got[got_len] = '\0';
	return 0;
}

/* The message behind so many bytes of filling. */
static const char *
of(const char *head, const char *message, const char *eol, bool from,
    bool dot)
{
	static struct copy	c;
	int			fd = memfd_create("message", 0);

	assert_int_equal(write(fd, message, strlen(message)),
	    (ssize_t)strlen(message));
	copy_open(&c, fd, 0, (int64_t)strlen(message), -1);
	c.sink = gather;
	c.eol = eol;
	c.quotes_from = from;
	c.quotes_dot = dot;
	got_len = 0;
	got[0] = '\0';
	assert_int_equal(copy_lines(&c, head), 0);
	assert_int_equal(copy_message(&c), 0);
	assert_int_equal(copy_flush(&c), 0);
	close(fd);
	return got;
}

static void
line_ends_are_what_is_wanted(void **state)
{
	(void)state;
	assert_string_equal(of("", "a\r\n\r\nb\r\n", "\n", false, false),
	    "a\n\nb\n");
	assert_string_equal(of("H: x\n", "a\r\n\r\nb", "\r\n", false, false),
	    "H: x\r\na\r\n\r\nb\r\n");
	assert_string_equal(of("", "", "\n", true, true), "");
}

static void
dots_and_from_are_quoted_at_line_starts_only(void **state)
{
	(void)state;
	assert_string_equal(of("", ".\r\n..\r\na.\r\nFrom x\r\nFrom\r\n.", "\n",
	    true, true), "..\n...\na.\n>From x\nFrom\n..\n");
	assert_string_equal(of("", ".a\r\nFrom x\r\n", "\n", false, false),
	    ".a\nFrom x\n");
}

static void
nothing_changes_where_the_input_is_cut(void **state)
{
	static char	message[COPY_INPUT + 64], expected[COPY_INPUT + 64];
	size_t		n;

	(void)state;
	for (n = COPY_INPUT - 12; n < COPY_INPUT + 4; n++) {
		memset(message, 'x', n);
		memset(expected, 'x', n);
		strlcpy(message + n, "\r\n.From a\r\nFrom b\r\n.\r\n", 64);
		strlcpy(expected + n, "\n..From a\n>From b\n..\n", 64);
		assert_string_equal(of("", message, "\n", true, true),
		    expected);
	}
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(line_ends_are_what_is_wanted),
		cmocka_unit_test(dots_and_from_are_quoted_at_line_starts_only),
		cmocka_unit_test(nothing_changes_where_the_input_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
