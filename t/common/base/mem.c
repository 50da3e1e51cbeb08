/*
 * mem.c - claims about pools.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "t/common/base/death.h"

static bool
is_filled(const unsigned char *data, unsigned char with, size_t len)
{
	for (; len > 0; len--)
		if (*data++ != with)
			return false;
	return true;
}

static void
memory_is_zero_and_aligned(void **state)
{
	struct pool	*p = pool_new("test", 0);
	size_t		 size;

	(void)state;
	for (size = 0; size < 20000; size += 1 + size / 7) {
		unsigned char	*data = pool_alloc(p, size);

		assert_non_null(data);
		assert_int_equal((uintptr_t)data % 16, 0);
		assert_true(is_filled(data, 0, size));
		memset(data, 0xee, size);
	}
	pool_free(p);
}

static void
memory_used_before_is_zero_again(void **state)
{
	int	round, i;

	(void)state;
	for (round = 0; round < 5; round++) {
		struct pool	*p = pool_new("test", 0);

		for (i = 0; i < 100; i++) {
			unsigned char	*data = pool_alloc(p, 300);

			assert_true(is_filled(data, 0, 300));
			memset(data, 0xee, 300);
		}
		pool_free(p);
	}
}

static void
allocations_do_not_overlap(void **state)
{
	enum { COUNT = 600 };
	struct pool	*p = pool_new("test", 0);
	unsigned char	**data = pool_array(p, COUNT, sizeof(*data));
	size_t		*size = pool_array(p, COUNT, sizeof(*size));
	int		 i;

	(void)state;
	for (i = 0; i < COUNT; i++) {
		size[i] = (size_t)(i * 37 % 401) + (i % 50 == 0 ? 30000 : 0);
		data[i] = pool_alloc(p, size[i]);
		memset(data[i], i % 251, size[i]);
	}
	for (i = 0; i < COUNT; i++)
		assert_true(is_filled(data[i], (unsigned char)(i % 251),
		    size[i]));
	pool_free(p);
}

static void
resizing_keeps_the_content_at_every_size(void **state)
{
	struct pool	*p = pool_new("test", 0);
	size_t		 size = 1;
	unsigned char	*data = pool_alloc(p, size);

	(void)state;
	*data = 'x';
	while (size < 300000) {
		size_t	 more = size + 1 + size / 3;

		data = pool_resize(p, data, size, more);
		assert_true(is_filled(data, 'x', size));
		memset(data, 'x', more);
		size = more;
		if (size % 3 == 0)
			memset(pool_alloc(p, 10), 'y', 10);
	}
	pool_free(p);
}

static void
resizing_to_less_changes_nothing(void **state)
{
	struct pool	*p = pool_new("test", 0);
	char		*data = pool_alloc(p, 100);

	(void)state;
	assert_ptr_equal(pool_resize(p, data, 100, 50), data);
	pool_free(p);
}

static char	 order[8];

static void
note(void *arg)
{
	strlcat(order, arg, sizeof(order));
}

static void
note_from_pool(void *arg)
{
	note(pool_strdup(arg, "p"));
	pool_on_free(arg, note, (void *)(uintptr_t)"q");
}

static void
a_growing_array_keeps_what_it_has(void **state)
{
	struct pool	*p = pool_new("test", 0);
	uint32_t	*numbers = NULL;
	size_t		 room = 0, i;

	(void)state;
	for (i = 0; i < 10000; i++) {
		numbers = pool_grow(p, numbers, &room, i + 1,
		    sizeof(*numbers));
		assert_true(room > i);
		numbers[i] = (uint32_t)i;
	}
	for (i = 0; i < 10000; i++)
		assert_int_equal(numbers[i], i);
	assert_ptr_equal(pool_grow(p, numbers, &room, 5, sizeof(*numbers)),
	    numbers);
	numbers = pool_grow(p, numbers, &room, 100000, sizeof(*numbers));
	assert_true(room >= 100000);
	assert_int_equal(numbers[9999], 9999);
	pool_free(p);
}

static void
a_growing_array_of_the_heap_does_too(void **state)
{
	uint32_t	*numbers = NULL;
	size_t		 room = 0, i;

	(void)state;
	for (i = 0; i < 10000; i++) {
		numbers = mem_grow(numbers, &room, i + 1, sizeof(*numbers));
		assert_true(room > i);
		numbers[i] = (uint32_t)i;
	}
	for (i = 0; i < 10000; i++)
		assert_int_equal(numbers[i], i);
	i = room;
	assert_ptr_equal(mem_grow(numbers, &room, 5, sizeof(*numbers)),
	    numbers);
	assert_int_equal(room, i);
	numbers = mem_grow(numbers, &room, 100000, sizeof(*numbers));
	assert_true(room >= 100000);
	assert_int_equal(numbers[9999], 9999);
	free(numbers);
}

static void
undo_runs_newest_first_and_may_use_the_pool(void **state)
{
	struct pool	*p = pool_new("test", 0);

	(void)state;
	order[0] = '\0';
	pool_on_free(p, note, (void *)(uintptr_t)"1");
	pool_on_free(p, note_from_pool, p);
	pool_on_free(p, note, (void *)(uintptr_t)"3");
	pool_free(p);
	assert_string_equal(order, "3pq1");
}

static void
owned_descriptor_is_closed_with_the_pool(void **state)
{
	struct pool	*p = pool_new("test", 0);
	int		 fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	pool_owns_fd(p, fd);
	pool_owns_fd(p, -1);
	assert_int_not_equal(fcntl(fd, F_GETFD), -1);
	pool_free(p);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

#ifndef SANITIZED		/* where what moves is freed */
static void
a_secret_leaves_nothing_where_it_was(void **state)
{
	static const char	nothing[64];
	struct pool		*p = pool_new("test", 0);
	char			*old, *now;

	(void)state;
	pool_make_secret(p);
	old = pool_alloc(p, sizeof(nothing));
	memset(old, 'x', sizeof(nothing));
	(void)pool_alloc(p, 1);		/* it has to move */
	now = pool_resize(p, old, sizeof(nothing), 2 * sizeof(nothing));
	assert_ptr_not_equal(now, old);
	assert_int_equal(now[sizeof(nothing) - 1], 'x');
	assert_memory_equal(old, nothing, sizeof(nothing));
	pool_free(p);
}
#endif

static void
a_secret_can_grow_alone(void **state)
{
	struct pool	*p = pool_new("test", 0);
	char		*data;

	(void)state;
	pool_make_secret(p);
	data = pool_alloc(p, 10000);
	memset(data, 'x', 10000);
	data = pool_resize(p, data, 10000, 50000);
	assert_int_equal(data[9999], 'x');
	pool_free(p);
}

static void
freeing_no_pool_is_fine(void **state)
{
	(void)state;
	pool_free(NULL);
}

static void
copies_are_ended_by_nul(void **state)
{
	struct pool	*p = pool_new("test", 0);
	char		*copy;

	(void)state;
	assert_null(pool_strdup(p, NULL));
	assert_string_equal(pool_strdup(p, ""), "");
	assert_string_equal(pool_strdup(p, "rider"), "rider");
	assert_string_equal(pool_strndup(p, "rider", 4), "ride");
	assert_string_equal(pool_strndup(p, NULL, 0), "");
	copy = pool_strndup(p, "a\0b", 3);
	assert_memory_equal(copy, "a\0b", 4);
	pool_free(p);
}

static void
printf_takes_any_length(void **state)
{
	struct pool	*p = pool_new("test", 0);
	int		 len;

	(void)state;
	assert_string_equal(pool_printf(p, "%d %s", 7, "x"), "7 x");
	for (len = 250; len < 260; len++)
		assert_int_equal(strlen(pool_printf(p, "%*d", len, 1)), len);
	assert_int_equal(strlen(pool_printf(p, "%*d", 50000, 1)), 50000);
	pool_free(p);
}

static void
ceiling_is_soft(void **state)
{
	struct pool	*p = pool_new("test", 1000);

	(void)state;
	pool_alloc(p, 900);
	assert_false(pool_is_over(p));
	assert_non_null(pool_alloc(p, 200));
	assert_true(pool_is_over(p));
	assert_true(pool_size(p) >= 1100 && pool_size(p) < 1200);
	assert_non_null(pool_alloc(p, 200));
	pool_free(p);
}

static void
resizing_counts_against_the_ceiling(void **state)
{
	struct pool	*p = pool_new("test", 50000);
	char		*data = pool_alloc(p, 20000);

	(void)state;
	data = pool_resize(p, data, 20000, 40000);
	assert_false(pool_is_over(p));
	pool_resize(p, data, 40000, 60000);
	assert_true(pool_is_over(p));
	pool_free(p);
}

static void
pool_without_ceiling_is_never_over(void **state)
{
	struct pool	*p = pool_new("test", 0);

	(void)state;
	pool_alloc(p, 1 << 20);
	assert_false(pool_is_over(p));
	pool_free(p);
}

static void
ask_for_too_many(void)
{
	volatile size_t	half = SIZE_MAX / 2;

	pool_array(pool_new("test", 0), half, 3);
}

static void
ask_for_too_much(void)
{
	volatile size_t	most = SIZE_MAX - 5;

	pool_alloc(pool_new("test", 0), most);
}

static void
absurd_sizes_are_bugs(void **state)
{
	char	words[2000];
	int	status;

	(void)state;
	status = death_of(ask_for_too_many, words, sizeof(words));
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_non_null(strstr(words, "panic: array of "));
	status = death_of(ask_for_too_much, words, sizeof(words));
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_non_null(strstr(words, "panic: allocation of "));
}

#ifdef SANITIZED
static void
write_past_the_end(void)
{
	struct pool	*p = pool_new("test", 0);
	volatile size_t	 size = 10;	/* unknown to the compiler's checks */
	volatile char	*data = pool_alloc(p, size);

	pool_alloc(p, 10);
	data[10] = 'x';
}

static void
sanitizer_sees_an_overflow_between_neighbours(void **state)
{
	static char	words[8000];

	(void)state;
	death_of(write_past_the_end, words, sizeof(words));
	assert_non_null(strstr(words, "heap-buffer-overflow"));
}
#else
static void
ask_for_more_than_there_is(void)
{
	struct rlimit	few = { 1 << 28, 1 << 28 };

	setrlimit(RLIMIT_AS, &few);
	mem_alloc((size_t)1 << 30);
}

static void
process_dies_when_memory_is_out(void **state)
{
	char	words[2000];
	int	status;

	(void)state;
	status = death_of(ask_for_more_than_there_is, words, sizeof(words));
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == EX_TEMPFAIL);
	assert_non_null(strstr(words, "fatal: out of memory"));
}
#endif

static void
heap_memory_can_be_resized_and_freed(void **state)
{
	char	*data = mem_strdup("rider");

	(void)state;
	data = mem_resize(data, 100);
	assert_string_equal(data, "rider");
	free(data);
	data = mem_alloc(0);
	assert_non_null(data);
	free(data);
}

#ifndef SANITIZED
/* The heap's end stays where a message of some buffers needed it. */
static void
what_was_given_back_stays_with_the_process(void **state)
{
	struct pool	*p = pool_new("test", 0);
	void		*end;
	int		 i;

	(void)state;
	mem_keep();
	for (i = 0; i < 4; i++)
		assert_non_null(pool_room(p, 60000));
	end = sbrk(0);
	pool_free(p);
	assert_ptr_equal(sbrk(0), end);
}
#endif

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(memory_is_zero_and_aligned),
		cmocka_unit_test(memory_used_before_is_zero_again),
		cmocka_unit_test(allocations_do_not_overlap),
		cmocka_unit_test(resizing_keeps_the_content_at_every_size),
		cmocka_unit_test(resizing_to_less_changes_nothing),
		cmocka_unit_test(a_growing_array_keeps_what_it_has),
		cmocka_unit_test(a_growing_array_of_the_heap_does_too),
		cmocka_unit_test(undo_runs_newest_first_and_may_use_the_pool),
		cmocka_unit_test(owned_descriptor_is_closed_with_the_pool),
#ifndef SANITIZED
		cmocka_unit_test(a_secret_leaves_nothing_where_it_was),
#endif
		cmocka_unit_test(a_secret_can_grow_alone),
		cmocka_unit_test(freeing_no_pool_is_fine),
		cmocka_unit_test(copies_are_ended_by_nul),
		cmocka_unit_test(printf_takes_any_length),
		cmocka_unit_test(ceiling_is_soft),
		cmocka_unit_test(resizing_counts_against_the_ceiling),
		cmocka_unit_test(pool_without_ceiling_is_never_over),
		cmocka_unit_test(absurd_sizes_are_bugs),
#ifdef SANITIZED
		cmocka_unit_test(sanitizer_sees_an_overflow_between_neighbours),
#else
		cmocka_unit_test(process_dies_when_memory_is_out),
#endif
		cmocka_unit_test(heap_memory_can_be_resized_and_freed),
#ifndef SANITIZED
		cmocka_unit_test(what_was_given_back_stays_with_the_process),
#endif
	};

	return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
