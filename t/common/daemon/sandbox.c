/*
 * sandbox.c - both halves are entered, and a switch for valgrind exists.
 */
#include "t/common/daemon/child.h"

#include <sys/socket.h>

#include "common/daemon/inside.h"

static int
see_files(void)
{
	return open("/etc/passwd", O_RDONLY) != -1 ? 0 : 1;
}

static int
enter_as_smtpd(void)
{
	sandbox_enter(role_find("smtpd"));
	return see_files();
}

static void
smtpd_sees_no_file(void **state)
{
	(void)state;
#if defined(SANITIZED) || !defined(HAVE_SECCOMP)
	skip();
#endif
	assert_int_equal(in_child(enter_as_smtpd), 1);
}

static int
enter_with_switch(void)
{
	if (setenv("POSTRIDER_NO_SANDBOX", "1", 1) == -1)
		return 2;
	sandbox_enter(role_find("smtpd"));
	return see_files();
}

static void
the_switch_turns_it_off(void **state)
{
	(void)state;
	assert_int_equal(in_child(enter_with_switch), 0);
}

static int
enter_as_helper(void)
{
	sandbox_enter(role_find("helper"));
	if (see_files() != 0)
		return 1;
	execl("/bin/true", "true", (char *)NULL);
	return 2;
}

static void
helper_has_none_for_its_users_to_inherit(void **state)
{
	(void)state;
	assert_int_equal(in_child(enter_as_helper), 0);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(smtpd_sees_no_file),
		cmocka_unit_test(the_switch_turns_it_off),
		cmocka_unit_test(helper_has_none_for_its_users_to_inherit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
