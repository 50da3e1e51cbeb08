/*
 * crc.c - claims about checksums: the known ones, by the processor and by the
 * table.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/queue/queue.h"

enum { VECTOR = 32, LONGEST = 200, SHIFTS = 9, TRIES = 2000 };

/* Both ways say the same. */
static void
assert_crc(const void *data, size_t len, uint32_t expected)
{
	assert_int_equal(queue_crc(0, data, len), expected);
	assert_int_equal(queue_crc_by_table(0, data, len), expected);
}

/* RFC 3720, B.4; the last one is everybody's "check". */
static void
known_checksums(void **state)
{
	static const unsigned char	command[48] = {
		0x01, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0x14, 0, 0, 0, 0, 0, 0x04, 0, 0, 0, 0, 0x14, 0, 0, 0, 0x18,
		0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0, 0
	};
	unsigned char			bytes[VECTOR];
	int				i;

	(void)state;
	memset(bytes, 0, sizeof(bytes));
	assert_crc(bytes, sizeof(bytes), 0x8a9136aa);
	memset(bytes, 0xff, sizeof(bytes));
	assert_crc(bytes, sizeof(bytes), 0x62a8ab43);
	for (i = 0; i < VECTOR; i++)
		bytes[i] = (unsigned char)i;
	assert_crc(bytes, sizeof(bytes), 0x46dd794e);
	for (i = 0; i < VECTOR; i++)
		bytes[i] = (unsigned char)(VECTOR - 1 - i);
	assert_crc(bytes, sizeof(bytes), 0x113fdb5c);
	assert_crc(command, sizeof(command), 0xd9963a56);
	assert_crc("123456789", 9, 0xe3069283);
	assert_crc("", 0, 0);
}

/* Words and what is left of them, wherever they begin. */
static void
both_ways_agree_at_every_length_and_place(void **state)
{
	unsigned char	*bytes;
	size_t		 len, shift, i;

	(void)state;
	for (len = 0; len < LONGEST; len++)
		for (shift = 0; shift < SHIFTS; shift++) {
			bytes = mem_alloc(shift + len + 1);
			for (i = 0; i < shift + len; i++)
				bytes[i] = (unsigned char)(i * 37 + len);
			assert_int_equal(queue_crc(7, bytes + shift, len),
			    queue_crc_by_table(7, bytes + shift, len));
			free(bytes);
		}
}

static void
in_pieces_it_is_the_same(void **state)
{
	static const char	text[] = "The quick brown fox jumps over it";
	size_t			len = sizeof(text) - 1, cut;
	uint32_t		whole = queue_crc(0, text, len);

	(void)state;
	for (cut = 0; cut <= len; cut++) {
		assert_int_equal(queue_crc(queue_crc(0, text, cut),
		    text + cut, len - cut), whole);
		assert_int_equal(queue_crc_by_table(queue_crc(0, text, cut),
		    text + cut, len - cut), whole);
	}
}

/* One of those who begin at the same time. */
static void *
say_whether_it_is_right(void *start)
{
	pthread_barrier_wait(start);
	return (void *)(uintptr_t)(queue_crc_by_table(0, "123456789", 9) ==
	    0xe3069283);
}

/* The first two threads of a process that ask, at once. */
static bool
are_both_right(void)
{
	pthread_barrier_t	start;
	pthread_t		threads[2];
	void			*is_right;
	bool			 all = true;
	int			 i;

	pthread_barrier_init(&start, NULL, 2);
	for (i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, say_whether_it_is_right,
		    &start) != 0)
			return false;
	for (i = 0; i < 2; i++)
		all = pthread_join(threads[i], &is_right) == 0 &&
		    is_right != NULL && all;
	return all;
}

/* The table is made when it is first used. One try in six hundred found it half
 * made. */
static void
threads_may_begin_together(void **state)
{
	int	tries, status;
	pid_t	pid;

	(void)state;
	for (tries = 0; tries < TRIES; tries++) {
		if ((pid = fork()) == 0)
			_exit(are_both_right() ? 0 : 1);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(threads_may_begin_together),	/* first */
		cmocka_unit_test(known_checksums),
		cmocka_unit_test(both_ways_agree_at_every_length_and_place),
		cmocka_unit_test(in_pieces_it_is_the_same)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
