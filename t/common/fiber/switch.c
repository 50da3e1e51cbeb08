/*
 * switch.c - what a stack keeps while another one runs.
 */
#include "common/fiber/fiber.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unwind.h>

#include <cmocka.h>

#include "common/fiber/loop.h"

enum { ROUNDS = 1000 };

struct note {
	int	 count;
	int	 rounding;
	char	 text[64];
	bool	 is_end;
};

/* Keep more values alive across a switch than registers hold. */
__attribute__((noinline)) static long
count_in_many_registers(long seed)
{
	long	a = seed, b = seed * 3, c = seed * 5, d = seed * 7,
		e = seed * 11, f = seed * 13, g = seed * 17;
	double	h = (double)seed / 4;
	int	i;

	for (i = 0; i < ROUNDS; i++) {
		fiber_yield();
		a += i;
		b += a & 1;
		c += b & 3;
		d += c & 5;
		e += d & 7;
		f += e & 9;
		g += f & 11;
		h += 0.25;
	}
	return a + b + c + d + e + f + g + (long)(h * 4);
}

/* The same without a switch. */
static long
expected(long seed)
{
	long	a = seed, b = seed * 3, c = seed * 5, d = seed * 7,
		e = seed * 11, f = seed * 13, g = seed * 17;
	int	i;

	for (i = 0; i < ROUNDS; i++) {
		a += i;
		b += a & 1;
		c += b & 3;
		d += c & 5;
		e += d & 7;
		f += e & 9;
		g += f & 11;
	}
	return a + b + c + d + e + f + g + seed + ROUNDS;
}

static void
count(void *arg)
{
	long	*number = arg;

	*number = count_in_many_registers(*number);
}

static void
registers_are_as_they_were(void **state)
{
	long	numbers[3] = { 100, 2000, 30000 };

	(void)state;
	fiber_start(count, &numbers[0]);
	fiber_start(count, &numbers[1]);
	fiber_start(count, &numbers[2]);
	loop_run();
	assert_true(numbers[0] == expected(100));
	assert_true(numbers[1] == expected(2000));
	assert_true(numbers[2] == expected(30000));
}

/* The word that says how numbers are rounded, and the bits for "up". */
#if defined(__x86_64__)
enum { ROUND_BITS = 3 << 13, ROUND_UP = 2 << 13 };

static int
read_rounding(void)
{
	unsigned	word;

	__asm__ volatile("stmxcsr %0" : "=m" (word));
	return (int)word & ROUND_BITS;
}

static void
write_rounding(int rounding)
{
	unsigned	word;

	__asm__ volatile("stmxcsr %0" : "=m" (word));
	word = (word & ~(unsigned)ROUND_BITS) | (unsigned)rounding;
	__asm__ volatile("ldmxcsr %0" : : "m" (word));
}
#elif defined(__aarch64__)
enum { ROUND_BITS = 3 << 22, ROUND_UP = 1 << 22 };

static int
read_rounding(void)
{
	uint64_t	word;

	__asm__ volatile("mrs %0, fpcr" : "=r" (word));
	return (int)word & ROUND_BITS;
}

static void
write_rounding(int rounding)
{
	uint64_t	word = (uint64_t)rounding;

	__asm__ volatile("msr fpcr, %0" : : "r" (word));
}
#else
enum { ROUND_UP = 0 };

static int
read_rounding(void)
{
	return 0;
}

static void
write_rounding(int rounding)
{
	(void)rounding;
}
#endif

static void
round_up(void *arg)
{
	struct note	*note = arg;

	write_rounding(ROUND_UP);
	fiber_yield();
	fiber_yield();
	note->rounding = read_rounding();
}

static void
look_at_rounding(void *arg)
{
	struct note	*note = arg;

	note->rounding = read_rounding();
	fiber_yield();
	note->count = read_rounding();
}

static void
how_numbers_are_rounded_belongs_to_the_stack(void **state)
{
	struct note	one = { .rounding = -1 };
	struct note	other = { .rounding = -1, .count = -1 };

	(void)state;
	fiber_start(round_up, &one);
	fiber_start(look_at_rounding, &other);
	loop_run();
	assert_int_equal(one.rounding, ROUND_UP);
	assert_int_equal(other.rounding, 0);
	assert_int_equal(other.count, 0);
	assert_int_equal(read_rounding(), 0);
}

/* Functions with vectors fault on a stack that is not aligned. */
static void
format_numbers(void *arg)
{
	struct note	*note = arg;
	_Alignas(16) volatile char	aligned[16];

	note->count = (int)((uintptr_t)&aligned[0] % 16);
	snprintf(note->text, sizeof note->text, "%.3f %Lg", 3.14159, 2.5L);
}

static void
a_new_stack_is_aligned(void **state)
{
	struct note	note = { .count = -1 };

	(void)state;
	fiber_start(format_numbers, &note);
	loop_run();
	assert_int_equal(note.count, 0);
	assert_string_equal(note.text, "3.142 2.5");
}

/* One frame of a backtrace. */
static _Unwind_Reason_Code
count_frame(struct _Unwind_Context *context, void *arg)
{
	struct note	*note = arg;

	(void)context;
	return ++note->count < 1000 ? _URC_NO_REASON : _URC_NORMAL_STOP;
}

static void
trace_back(void *arg)
{
	struct note	*note = arg;

	fiber_yield();
	note->is_end = _Unwind_Backtrace(count_frame, note) ==
	    _URC_END_OF_STACK;
}

/* S1 */
static void
a_backtrace_ends_where_the_fiber_began(void **state)
{
	struct note	note = { 0 };

	(void)state;
	fiber_start(trace_back, &note);
	loop_run();
	assert_true(note.is_end);
	assert_in_range(note.count, 2, 12);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(registers_are_as_they_were),
		cmocka_unit_test(how_numbers_are_rounded_belongs_to_the_stack),
		cmocka_unit_test(a_new_stack_is_aligned),
		cmocka_unit_test(a_backtrace_ends_where_the_fiber_began),
	};

	loop_open();
	return cmocka_run_group_tests_name("switch", tests, NULL, NULL);
}
