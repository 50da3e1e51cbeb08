/*
 * child.h - do something irreversible in a child and tell how it went.
 */
#ifndef T_DAEMON_CHILD_H
#define T_DAEMON_CHILD_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/log.h"

/* Exit status of the story told in a child, or 1000 + the signal. */
static inline int
in_child(int (*story)(void))
{
	pid_t	child;
	int	status;

	fflush(NULL);
	if ((child = fork()) == 0) {
		log_to_nothing();
		_exit(story());
	}
	assert_true(child > 0);
	while (waitpid(child, &status, 0) == -1)
		assert_int_equal(errno, EINTR);
	return WIFEXITED(status) ? WEXITSTATUS(status) :
	    1000 + WTERMSIG(status);
}

#endif
