/*
 * unix.c - claims about the system's users and groups as tables.
 */
#include "t/common/map/table.h"

#include "common/fiber/fiber.h"
#include "common/fiber/loop.h"
#include "common/fiber/offload.h"

static void
users_are_found_without_passwords(void **state)
{
	struct map	*m = open_table("unix:passwd.byname");
	const char	*root = answer(m, "ROOT");

	(void)state;
	assert_int_equal(strncmp(root, "root:x:0:0:", 11), 0);
	assert_string_equal(answer(m, "no-such-user"), "(none)");
	assert_string_equal(answer(m, "root@example.test"), "(none)");
	assert_string_equal(answer(m, "root:x"), "(none)");
}

static void
groups_are_found(void **state)
{
	struct map	*m = open_table("unix:group.byname");

	(void)state;
	assert_int_equal(strncmp(answer(m, "root"), "root:x:0:", 9), 0);
	assert_string_equal(answer(m, "no-such-group"), "(none)");
	assert_non_null(strstr(refusal("unix:shadow.byname"),
	    "expected passwd.byname"));
}

static void
ask_on_a_fiber(void *arg)
{
	const char	**said = arg;

	*said = answer(open_table("unix:passwd.byname"), "root");
}

static void
a_fiber_has_a_thread_ask(void **state)
{
	const char	*said = NULL;

	(void)state;
	loop_open();
	fiber_start(ask_on_a_fiber, &said);
	loop_run();
	offload_finish();
	assert_int_equal(strncmp(said, "root:x:0:0:", 11), 0);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(users_are_found_without_passwords),
		cmocka_unit_test(groups_are_found),
		cmocka_unit_test(a_fiber_has_a_thread_ask),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
