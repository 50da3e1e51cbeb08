/*
 * fresh.c - claims about children that become other programs.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/fresh.h"

static void
caught(int number)
{
	(void)number;
}

/* In a child: what is not as it should be, as bits. */
static int
look(void)
{
	struct sigaction	now;
	struct rlimit		files;
	sigset_t		blocked;
	int			wrong = 0;

	(void)sigprocmask(SIG_SETMASK, NULL, &blocked);
	wrong |= sigismember(&blocked, SIGCHLD) ||
	    sigismember(&blocked, SIGTERM) ? 1 : 0;
	(void)sigaction(SIGPIPE, NULL, &now);
	wrong |= now.sa_handler != SIG_DFL ? 2 : 0;
	(void)sigaction(SIGTERM, NULL, &now);
	wrong |= now.sa_handler != SIG_DFL ? 4 : 0;
	wrong |= getsid(0) != getpid() ? 8 : 0;
	(void)getrlimit(RLIMIT_NOFILE, &files);
	wrong |= files.rlim_cur > 1024 ? 16 : 0;
	return wrong;
}

/* What a child sees that was prepared as a daemon is; fresh or not. */
static int
child_sees(bool is_fresh)
{
	struct rlimit	files;
	sigset_t	some;
	pid_t		pid = fork();
	int		status = 0;

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		(void)signal(SIGPIPE, SIG_IGN);
		(void)signal(SIGTERM, caught);
		sigemptyset(&some);
		sigaddset(&some, SIGCHLD);
		(void)sigprocmask(SIG_BLOCK, &some, NULL);
		if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
			files.rlim_cur = files.rlim_max;
			(void)setrlimit(RLIMIT_NOFILE, &files);
		}
		if (is_fresh)
			fresh_login();
		_exit(look());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
a_daemon_s_child_has_what_it_inherits(void **state)
{
	(void)state;
	assert_int_equal(child_sees(false) & 15, 15);
}

static void
a_fresh_one_has_nothing_of_it(void **state)
{
	(void)state;
	assert_int_equal(child_sees(true), 0);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(a_daemon_s_child_has_what_it_inherits),
		cmocka_unit_test(a_fresh_one_has_nothing_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
