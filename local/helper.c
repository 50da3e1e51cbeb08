/*
 * helper.c - who becomes the recipient: it stays root, starts the recipient's
 * own process and passes the channel to it on.
 *
 * Its only caller is local; its only verb is BECOME, with a user and nothing
 * else; it sees no message and parses none. The work is done by
 * a child (become.c), so that a slow user database stops nobody else.
 *
 * H1  A channel is passed on only after the child said that it is the user
 *     and its program has started.
 * H2  A child that says nothing for half a minute is ended.
 */
#include <sys/queue.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "common/fiber/io.h"
#include "common/fiber/loop.h"
#include "common/ipc/packets.h"

#include "local/become.h"
#include "local/spool.h"

enum {
	CHILDREN_MAX = 1000,
	BECOME_TIME = 30 * 1000
};

/* A process that we started and that has not ended. */
struct child {
	pid_t			 pid;
	char			 user[BECOME_NAME];
	LIST_ENTRY(child)	 next;
};

static LIST_HEAD(, child)	children = LIST_HEAD_INITIALIZER(children);
static unsigned			child_count;

/* --- children ------------------------------------------------------------ */

/* Remember a child. */
static void
add_child(pid_t pid, const char *user)
{
	struct child	*c = mem_alloc(sizeof(*c));

	c->pid = pid;
	strlcpy(c->user, user, sizeof(c->user));
	LIST_INSERT_HEAD(&children, c, next);
	child_count++;
}

/* The child with this number, if it lives. */
static struct child *
find_child(pid_t pid)
{
	struct child	*c;

	LIST_FOREACH(c, &children, next)
		if (c->pid == pid)
			return c;
	return NULL;
}

/* SIGCHLD: forget those who ended; a violent end is told. */
static void
on_child(int number)
{
	struct child	*c;
	pid_t		 pid;
	int		 status;

	(void)number;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if ((c = find_child(pid)) == NULL)
			continue;
		if (WIFSIGNALED(status))
			log_warning("the mailbox process of %s was killed by "
			    "signal %d", c->user, WTERMSIG(status));
		LIST_REMOVE(c, next);
		child_count--;
		free(c);
	}
}

/* --- one request --------------------------------------------------------- */

/* The ends of the channel and of the child's report. */
struct ends {
	int	channel[2];		/* ours to pass on, the child's */
	int	report[2];		/* ours to read, the child's */
};

/* Close what is open and forget it. */
static void
close_end(int *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

/* Make both pairs. */
static int
open_ends(struct ends *e)
{
	*e = (struct ends){ { -1, -1 }, { -1, -1 } };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    e->channel) == -1)
		return -1;
	return pipe2(e->report, O_CLOEXEC);
}

/* Close all that is left. */
static void
close_ends(struct ends *e)
{
	close_end(&e->channel[0]);
	close_end(&e->channel[1]);
	close_end(&e->report[0]);
	close_end(&e->report[1]);
}

/* Start the child: its number, or -1. */
static pid_t
start_child(struct ends *e, const struct become *who, const char *user)
{
	pid_t	pid = fork();

	if (pid == 0)
		become(who, e->channel[1], e->report[1]);
	if (pid == -1)
		return -1;
	add_child(pid, user);
	close_end(&e->channel[1]);
	close_end(&e->report[1]);
	return pid;
}

/* Hear the child's last report: the pipe ends when the program starts (H1).
 * 0, or -1 when there is none. */
WAITS static int
hear_report(struct ends *e, struct pool *pool, struct report *last)
{
	struct report	*next = pool_alloc(pool, sizeof(*next));
	struct io	*io = io_new(e->report[0]);
	int		 count = 0, error;

	e->report[0] = -1;		/* the io's */
	io_deadline(io, clock_now() + BECOME_TIME);
	while (io_read(io, next, sizeof(*next)) == 0 && count++ < 2)
		*last = *next;
	error = errno;
	io_close(io);
	errno = error;
	return count > 0 && error == ECONNRESET ? 0 : -1;
}

/* End a child that is of no use (H2). */
static void
end_child(pid_t pid)
{
	if (find_child(pid) != NULL)
		(void)kill(pid, SIGKILL);
}

/* Start a process as the user and describe it; the answer's channel is open
 * only when it is good. */
WAITS static void
start_for(const struct become *who, struct pool *pool, struct ends *e,
    struct became *answer)
{
	struct report	*report = pool_alloc(pool, sizeof(*report));
	const char	*user = who->user;
	pid_t		 pid;

	if (*user == '\0')
		user = who->kind == BECOME_DEFAULT ? "default_privs" :
		    pool_printf(pool, "%lld", (long long)who->uid);
	if (child_count >= CHILDREN_MAX) {
		answer->text = pool_strdup(pool, "too many recipients at once");
		return;
	}
	if (open_ends(e) == -1 || (pid = start_child(e, who, user)) == -1) {
		answer->text = pool_printf(pool, "cannot start a process: %s",
		    strerror(errno));
		return;
	}
	if (hear_report(e, pool, report) == -1) {
		answer->text = pool_printf(pool, "the process of user \"%s\" "
		    "did not start", user);
		end_child(pid);
		return;
	}
	answer->result = report->result;
	answer->text = pool_strdup(pool, report->text);
	answer->user = pool_strdup(pool, report->user);
	answer->home = pool_strdup(pool, report->home);
	answer->shell = pool_strdup(pool, report->shell);
	answer->uid = report->uid;
	answer->gid = report->gid;
	if (report->result == ROUTE_OK)
		answer->channel = e->channel[0];
}

/* BECOME: a channel to a process that runs as this user. */
WAITS static void
on_become(struct request *r)
{
	char			 nothing[] = "";
	struct ends		 ends = { { -1, -1 }, { -1, -1 } };
	struct became		 answer = {
		.result = ROUTE_TEMPORARY, .text = nothing, .home = nothing,
		.user = nothing, .shell = nothing, .uid = -1, .gid = -1,
		.channel = -1
	};

	start_for(r->object, r->pool, &ends, &answer);
	if (answer.result == ROUTE_TEMPORARY)
		log_warning("%s", answer.text);
	(void)channel_reply(r, PACKET_BECAME, &answer);
	close_ends(&ends);
}

/* --- main ---------------------------------------------------------------- */

static const struct param *const	params[] = {
	spool_params, become_params, NULL
};

static const struct peer	peers[] = {
	{ "local",	PACKET_BECOME,	on_become,	ON_A_FIBER },
	{ NULL,		PACKET_NONE,	NULL,		IN_ORDER }
};

/* Hear of children's ends. */
WAITS static void
start(void)
{
	loop_on_signal(SIGCHLD, on_child);
}

/* Be the helper. */
int
main(int argc, char **argv)
{
	static const struct daemon	helper = {
		.name = "helper",
		.params = params,
		.peers = peers,
		.before = become_prepare,
		.start = start
	};

	return daemon_run(argc, argv, &helper);
}
