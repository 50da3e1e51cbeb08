/*
 * bug.c - claims about how a process ends itself.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <string.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "t/common/base/death.h"

static char	words[2000];

static void
make_a_bug(void)
{
	bug("two and two is %d", 5);
}

static void
die_of_something(void)
{
	die("no user \"%s\"", "rider");
}

static void
claim_what_is_true(void)
{
	CLAIM(2 + 2 == 4);
}

static void
claim_what_is_untrue(void)
{
	CLAIM(getpid() == 0);
}

static void
bug_says_panic_and_aborts(void **state)
{
	int	status = death_of(make_a_bug, words, sizeof(words));

	(void)state;
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_string_equal(words, "test: panic: two and two is 5\n");
}

static void
die_says_fatal_and_exits_with_1(void **state)
{
	int	status = death_of(die_of_something, words, sizeof(words));

	(void)state;
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	assert_string_equal(words, "test: fatal: no user \"rider\"\n");
}

static void
true_claim_is_silent(void **state)
{
	int	status = death_of(claim_what_is_true, words, sizeof(words));

	(void)state;
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 99);
	assert_string_equal(words, "");
}

static void
untrue_claim_is_a_bug_that_names_its_place(void **state)
{
	int	status = death_of(claim_what_is_untrue, words, sizeof(words));

	(void)state;
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_non_null(strstr(words, "bug.c:"));
	assert_non_null(strstr(words, "untrue: getpid() == 0\n"));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(bug_says_panic_and_aborts),
		cmocka_unit_test(die_says_fatal_and_exits_with_1),
		cmocka_unit_test(true_claim_is_silent),
		cmocka_unit_test(untrue_claim_is_a_bug_that_names_its_place),
	};

	log_name("postrider", "test");
	return cmocka_run_group_tests_name("bug", tests, NULL, NULL);
}
