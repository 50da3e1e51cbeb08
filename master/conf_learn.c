/*
 * conf_learn.c - the parameters of every program, asked from the programs.
 *
 * A row is declared beside its user and nowhere else, so postrider-conf runs
 * each program with --parameters. When root asks, only programs that nobody
 * but root can replace are run.
 */
#include "master/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>
#include <sys/wait.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/str.h"
#include "common/daemon/roles.h"
#include "common/param/manual.h"
#include "common/param/site.h"

enum { PATIENCE = 10000 };		/* milliseconds for one program */

extern char	**environ;

/* Order of two rows. */
static int
compare(const void *a, const void *b)
{
	return strcmp(((const struct param *)a)->name,
	    ((const struct param *)b)->name);
}

/* Order of a name and a row. */
static int
compare_name(const void *name, const void *row)
{
	return strcmp(name, ((const struct param *)row)->name);
}

/* Add a row; a second program with the same parameter adds nothing. */
static void
add(struct pool *pool, struct catalog *c, const struct param *row)
{
	size_t	i;

	for (i = 0; i < c->count; i++)
		if (strcmp(c->rows[i].name, row->name) == 0)
			return;
	c->rows = pool_grow(pool, c->rows, &c->room, c->count + 1,
	    sizeof(*row));
	c->rows[c->count++] = *row;
}

/* May we run it? Root runs nothing that others could have written. */
static bool
is_trusted(const char *path)
{
	struct stat	st;

	if (stat(path, &st) == -1)
		return false;
	return geteuid() != 0 ||
	    (st.st_uid == 0 && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0);
}

/* Start the program with its output in a pipe; returns the end to read. */
static int
start(const char *path, pid_t *pid)
{
	posix_spawn_file_actions_t	 actions;
	char				*argv[] = {
		(char *)(uintptr_t)path, (char *)(uintptr_t)"--parameters",
		NULL
	};
	int				 ends[2], error;

	if (pipe2(ends, O_CLOEXEC) == -1)
		return -1;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null",
	    O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	error = posix_spawn(pid, path, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	if (error == 0)
		return ends[0];
	close(ends[0]);
	errno = error;
	return -1;
}

/* Read to the end; -1 when that takes too long. */
static int
read_all(int fd, struct str *to)
{
	char		 piece[512];
	int64_t		 deadline = clock_now() + PATIENCE, left;
	struct pollfd	 p = { .fd = fd, .events = POLLIN };
	ssize_t		 n;

	for (;;) {
		if ((left = deadline - clock_now()) <= 0 ||
		    poll(&p, 1, (int)left) == 0) {
			errno = ETIMEDOUT;
			return -1;
		}
		if ((n = read(fd, piece, sizeof(piece))) > 0)
			str_add_mem(to, piece, (size_t)n);
		else if (n == 0)
			return 0;
		else if (errno != EINTR)
			return -1;
	}
}

/* The output of one program; -1 and a line in the log if it fails. */
static int
ask(const char *path, struct str *output)
{
	pid_t	pid;
	int	fd, status = 0, result;

	if ((fd = start(path, &pid)) == -1) {
		log_warning("%s: %s", path, strerror(errno));
		return -1;
	}
	if ((result = read_all(fd, output)) == -1) {
		log_warning("%s --parameters: %s", path, strerror(errno));
		kill(pid, SIGKILL);
	}
	close(fd);
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		continue;
	if (result == 0 && status != 0)
		log_warning("%s --parameters failed", path);
	return result == 0 && status == 0 ? 0 : -1;
}

/* All rows of one program. */
static void
learn_from(struct pool *pool, struct catalog *c, const char *path)
{
	struct str	 output;
	struct param	 row;
	char		*rest, *line;

	str_init(&output, pool, 0);
	if (ask(path, &output) == -1)
		return;
	rest = output.data;
	while ((line = strsep(&rest, "\n")) != NULL) {
		if (*line == '\0')
			continue;
		if (!param_read_row(line, &row)) {
			log_warning("%s --parameters: \"%s\" is no row", path,
			    line);
			return;
		}
		add(pool, c, &row);
	}
}

/* One program's rows, if it is there and can be trusted. */
static void
learn(struct pool *pool, struct catalog *c, const char *directory,
    const char *program)
{
	const char	*path = pool_printf(pool, "%s/%s", directory, program);

	if (strcmp(program, "mailbox") == 0 || access(path, X_OK) == -1)
		return;		/* mailbox: helper tells it all */
	if (is_trusted(directory) && is_trusted(path))
		learn_from(pool, c, path);
	else
		log_warning("%s is not run: others than root may write it",
		    path);
}

/* Our own rows, then every program's; smtp has others as lmtp. */
void
catalog_learn(struct pool *pool, struct catalog *c, const char *directory)
{
	const struct param	*row;
	const struct role	*role;

	for (row = site_params; row->name != NULL; row++)
		add(pool, c, row);
	for (role = role_all(); role->program != NULL; role++)
		learn(pool, c, directory, role->program);
	learn(pool, c, directory, "lmtp");
	qsort(c->rows, c->count, sizeof(*c->rows), compare);
}

/* The row of a name. */
const struct param *
catalog_find(const struct catalog *c, const char *name)
{
	return bsearch(name, c->rows, c->count, sizeof(*c->rows),
	    compare_name);
}
