/*
 * fresh.c - a child as a fresh login would have it.
 *
 * What a daemon ignores and blocks is inherited by exec, and programs that
 * expect SIGPIPE or SIGTERM to end them would not end.
 */
#include "common/base/fresh.h"

#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>
#include <unistd.h>

enum { FILES = 1024 };			/* open files of a fresh login */

/* All of it. */
void
fresh_login(void)
{
	struct rlimit	files;
	sigset_t	none;
	int		i;

	for (i = 1; i < NSIG; i++)
		(void)signal(i, SIG_DFL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > FILES) {
		files.rlim_cur = FILES;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	(void)setsid();
}
