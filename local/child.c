/*
 * child.c - commands of the administrator's, from fork to their end.
 *
 * Used by spawn.c and token.c.
 *
 * K1  The command runs as its account and nobody else; the ids are read back,
 *     and taking root's again must fail.
 * K2  It inherits nothing: descriptors 0 to 2 are the ones given, the rest is
 *     closed; its environment is what is given; it has a session of its own,
 *     and signals as in a fresh login.
 * K3  At the end of its time all its process group is killed. It dies with
 *     this process, too, since nobody would watch its time any more.
 */
#include "local/child.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fresh.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/fiber/loop.h"

enum { STOPPING_TIME = 2000 };		/* from SIGTERM to SIGKILL */

static LIST_HEAD(, child)	children = LIST_HEAD_INITIALIZER(children);

/* --- the child ----------------------------------------------------------- */

/* Descriptors 0 to 2, and no other behind exec (K2). All of those given are
 * above 2, so that none is overwritten too early. */
static int
set_descriptors(const struct command *c)
{
	const int	given[3] = { c->input, c->output, c->errors };
	int		i;

	for (i = 0; i < 3; i++)
		if (fs_set_nonblocking(given[i], false) == -1 ||
		    dup2(given[i], i) == -1)
			return -1;
	return close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
}

/* Be the command (K1 to K3). What goes wrong goes to the log, whose socket
 * stays open until exec. */
_Noreturn static void
be(const struct command *c, pid_t parent)
{
	fresh_login();
	if (set_descriptors(c) == -1)
		log_warning("cannot hand a connection to %s: %s", c->argv[0],
		    strerror(errno));
	else if (account_become(c->account) == -1)
		log_warning("cannot become user %s: %s", c->account->name,
		    strerror(errno));
	else if (chdir("/") == -1 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || getppid() != parent)
		log_warning("cannot prepare %s", c->argv[0]);
	else {
		execvpe(c->argv[0], c->argv, c->envp);
		log_warning("cannot run %s: %s", c->argv[0], strerror(errno));
	}
	_exit(127);
}

/* --- this side ----------------------------------------------------------- */

/* SIGCHLD: wake those whose commands ended. */
static void
on_child(int number)
{
	struct child	*c;
	pid_t		 pid;
	int		 status;

	(void)number;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		LIST_FOREACH(c, &children, next)
			if (c->pid == pid && !c->has_ended) {
				c->has_ended = true;
				c->status = status;
				fiber_wake(c->fiber);
				break;
			}
}

/* Hear of it. */
void
children_start(void)
{
	loop_on_signal(SIGCHLD, on_child);
}

/* Send a signal to all of it; the child may not have its session yet. */
static void
signal_group(const struct child *c, int number)
{
	(void)kill(-c->pid, number);
	(void)kill(c->pid, number);
}

/* Those that do not end by themselves are killed by who waits for them. */
void
children_stop(void)
{
	struct child	*c;
	int64_t		 end = clock_now() + STOPPING_TIME;

	LIST_FOREACH(c, &children, next) {
		signal_group(c, SIGTERM);
		if (c->deadline > end)
			c->deadline = end;
		fiber_wake(c->fiber);
	}
}

/* Fork. */
int
child_start(struct child *c, const struct command *what, int64_t deadline)
{
	pid_t	self = getpid();

	memset(c, 0, sizeof(*c));
	c->name = what->argv[0];
	c->deadline = deadline;
	c->fiber = fiber_self();
	if ((c->pid = fork()) == 0)
		be(what, self);
	if (c->pid == -1)
		return -1;
	LIST_INSERT_HEAD(&children, c, next);
	return 0;
}

/* K3. */
void
child_wait(struct child *c)
{
	while (!c->has_ended && clock_now() < c->deadline)
		if (fiber_park(c->deadline) == -1 && errno == ECANCELED)
			break;
	if (!c->has_ended) {
		log_warning("command %s: process %d is killed: its time is "
		    "over", c->name, (int)c->pid);
		signal_group(c, SIGKILL);
	}
	while (!c->has_ended)
		if (fiber_park(NEVER) == -1 && errno == ECANCELED)
			break;
	LIST_REMOVE(c, next);
}

/* How did it end? */
bool
child_ended_well(const struct child *c)
{
	if (WIFSIGNALED(c->status))
		log_warning("command %s: process %d killed by signal %d",
		    c->name, (int)c->pid, WTERMSIG(c->status));
	else if (WEXITSTATUS(c->status) != 0)
		log_warning("command %s: process %d exit status %d",
		    c->name, (int)c->pid, WEXITSTATUS(c->status));
	return c->status == 0;
}
