/*
 * spool.c - claims about the sendmail command's input.
 *
 * needs: cleanup/spool.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/fs.h"

#include "cleanup/post.h"

static char	result[1024];

/* What is kept of the input. */
static const char *
spooled(const char *input, int how)
{
	struct spooled	s;
	int		in = memfd_create("in", 0), out;
	ssize_t		n;

	assert_int_equal(fs_write(in, input, strlen(input)), 0);
	lseek(in, 0, SEEK_SET);
	assert_int_not_equal(out = spool_input(in, how, 0, &s), -1);
	n = fs_pread(out, result, sizeof(result) - 1, 0);
	assert_int_equal(n, s.length);
	result[n] = '\0';
	close(in);
	close(out);
	return result;
}

static void
a_lone_dot_ends_the_input(void **state)
{
	(void)state;
	assert_string_equal(spooled("a\n.\nb\n", SPOOL_DOT_ENDS), "a\n");
	assert_string_equal(spooled("a\r\n.\r\nb\r\n", SPOOL_DOT_ENDS),
	    "a\r\n");
	assert_string_equal(spooled("a\n.", SPOOL_DOT_ENDS), "a\n");
	assert_string_equal(spooled(".\n", SPOOL_DOT_ENDS), "");
}

static void
other_dots_stay(void **state)
{
	(void)state;
	assert_string_equal(spooled("..\n.a\n.\rb\n. \n", SPOOL_DOT_ENDS),
	    "..\n.a\n.\rb\n. \n");
}

static void
with_i_no_dot_ends_the_input(void **state)
{
	(void)state;
	assert_string_equal(spooled("a\n.\nb\n", 0), "a\n.\nb\n");
}

static void
mailbox_lines_in_front_are_left_out(void **state)
{
	(void)state;
	assert_string_equal(spooled("From a Sat\nTo: b\n\nFrom c\n", 0),
	    "To: b\n\nFrom c\n");
	assert_string_equal(spooled("From a\n>From b\nTo: c\n", 0),
	    "To: c\n");
	assert_string_equal(spooled("From: a\n", 0), "From: a\n");
	assert_string_equal(spooled("Fr", 0), "Fr");
	assert_string_equal(spooled("", 0), "");
	assert_string_equal(spooled("\n", 0), "\n");
}

static void
the_limit_holds(void **state)
{
	struct spooled	s;
	int		in = memfd_create("in", 0), out;

	(void)state;
	assert_int_equal(fs_write(in, "0123456789", 10), 0);
	lseek(in, 0, SEEK_SET);
	assert_int_not_equal(out = spool_input(in, 0, 10, &s), -1);
	close(out);
	lseek(in, 0, SEEK_SET);
	assert_int_equal(spool_input(in, 0, 9, &s), -1);
	assert_int_equal(errno, EFBIG);
	close(in);
}

static void
eight_bit_input_is_noticed(void **state)
{
	struct spooled	s;
	int		in = memfd_create("in", 0), out;

	(void)state;
	assert_int_equal(fs_write(in, "\xc3\xa4\n", 3), 0);
	lseek(in, 0, SEEK_SET);
	assert_int_not_equal(out = spool_input(in, 0, 0, &s), -1);
	assert_true(s.is_8bit);
	close(in);
	close(out);
}

/* Input of so many bytes, all different from their neighbours: what it was
 * spooled into. */
static int
spool_bytes(size_t len)
{
	static char	text[100000];
	struct spooled	s;
	int		in = memfd_create("in", 0), out;
	size_t		i;

	for (i = 0; i < len; i++)
		text[i] = (char)('a' + i % 23);
	assert_int_equal(fs_write(in, text, len), 0);
	lseek(in, 0, SEEK_SET);
	assert_int_not_equal(out = spool_input(in, 0, 0, &s), -1);
	assert_int_equal(s.length, len);
	assert_int_equal(lseek(out, 0, SEEK_END), len);
	memset(text, 0, len);
	assert_int_equal(fs_pread(out, text, len, 0), len);
	for (i = 0; i < len; i++)
		assert_int_equal(text[i], 'a' + i % 23);
	close(in);
	return out;
}

static void
short_input_is_in_memory_that_nobody_changes(void **state)
{
	int	fd = spool_bytes(32 * 1024);

	(void)state;
	assert_int_equal(fcntl(fd, F_GET_SEALS) & (F_SEAL_SHRINK |
	    F_SEAL_GROW | F_SEAL_WRITE), F_SEAL_SHRINK | F_SEAL_GROW |
	    F_SEAL_WRITE);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	close(fd);
}

static void
long_input_is_in_a_file(void **state)
{
	int	fd = spool_bytes(32 * 1024 + 1);

	(void)state;
	assert_int_equal(pwrite(fd, "x", 1, 0), 1);
	close(fd);
	close(spool_bytes(100000));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(a_lone_dot_ends_the_input),
		cmocka_unit_test(other_dots_stay),
		cmocka_unit_test(with_i_no_dot_ends_the_input),
		cmocka_unit_test(mailbox_lines_in_front_are_left_out),
		cmocka_unit_test(the_limit_holds),
		cmocka_unit_test(eight_bit_input_is_noticed),
		cmocka_unit_test(short_input_is_in_memory_that_nobody_changes),
		cmocka_unit_test(long_input_is_in_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
