#ifndef T_BASE_DEATH_H
#define T_BASE_DEATH_H

#include <stddef.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Run act() in a child, and keep what it wrote to standard error. Returns
 * the child's wait status; one that comes back from act() exits with 99.
 */
static int
death_of(void (*act)(void), char *words, size_t size)
{
	int	ends[2], status = -1;
	pid_t	child;
	size_t	len = 0;
	ssize_t	n;

	if (pipe(ends) == -1)
		return -1;
	fflush(NULL);
	if ((child = fork()) == 0) {
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		act();
		_exit(99);
	}
	close(ends[1]);
	while ((n = read(ends[0], words + len, size - 1 - len)) > 0)
		len += (size_t)n;
	words[len] = '\0';
	close(ends[0]);
	waitpid(child, &status, 0);
	return status;
}

#endif
