/*
 * regexp.c - claims about POSIX regular expressions in tables.
 */
#include "t/common/map/table.h"

#include "common/fiber/fiber.h"
#include "common/fiber/loop.h"

static void
expressions_are_extended_unless_told(void **state)
{
	(void)state;
	write_file("t", "/^a+$/ plus\n/^b+$/x literal\n");
	assert_string_equal(answer(open_table("regexp:t"), "aaa"), "plus");
	assert_string_equal(answer(open_table("regexp:t"), "b+"), "literal");
	assert_string_equal(answer(open_table("regexp:t"), "bbb"), "(none)");
}

static void
the_flag_m_lets_lines_begin_inside(void **state)
{
	(void)state;
	write_file("t", "/^b$/m line\n/^c$/ whole\n");
	assert_string_equal(answer(open_table("regexp:t"), "a\nb"), "line");
	assert_string_equal(answer(open_table("regexp:t"), "a\nc"),
	    "(none)");
}

static struct map	*wild;

static void
ask_on_a_fiber(void *unused)
{
	char	*key = pool_alloc(pool, 1025);

	(void)unused;
	memset(key, 'a', 1000);
	assert_string_equal(answer(wild, key), "(none)");
	strlcpy(key + 1000, "@x.example", 20);
	assert_string_equal(answer(wild, key), "hit");
}

/* Matching needs the most stack of all that resolve does. */
static void
matching_fits_on_a_fiber(void **state)
{
	(void)state;
	setenv("POSTRIDER_PAINT_STACKS", "1", 1);
	loop_open();
	write_file("t", "/^([a-z._-]+)@([a-z]+)\\.(example|test)$/ hit\n");
	wild = open_table("regexp:t");
	fiber_start(ask_on_a_fiber, NULL);
	loop_run();
	print_message("# deepest stack: %zu\n", fiber_deepest());
	assert_true(fiber_deepest() < 32 * 1024);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(expressions_are_extended_unless_told),
		cmocka_unit_test(the_flag_m_lets_lines_begin_inside),
		cmocka_unit_test(matching_fits_on_a_fiber),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
