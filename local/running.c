/*
 * running.c - a command of the recipient's, with the message on its standard
 * input.
 *
 * Called by mailbox.c on a thread, so that it may block; the process has been
 * the recipient all the time, so the command can be nobody else.
 *
 * U1  The command inherits nothing: descriptors 0 to 2 are the message and a
 *     pipe for what it says, the rest is closed; its environment is what was
 *     asked for; no signal is ignored or blocked; it has a session of its
 *     own. The group of the spool, or the capability of chroot(2), which this
 *     process has in reserve, is given back for good before.
 * U2  At the end of its time all its process group is killed.
 * U3  What it says is read to the end and kept to a limit. A command need not
 *     read the message.
 * U4  RUN_FAILED means that no byte of the message has reached a command that
 *     could have acted upon it, or that it was killed.
 * U5  When this process is killed its command is, too: it would take the end of
 *     what it got for the end of the message. Only one that has acted before
 *     the kernel is through with that gets away.
 */
#include "local/run.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fresh.h"
#include "common/base/fs.h"

enum {
	STATUS_FD = 3,			/* of the child, until exec */
	KILL_TIME = 5000		/* milliseconds to die in */
};

/* --- the child ----------------------------------------------------------- */

/* What the child says when it cannot be the command. */
enum stage { STAGE_RUN, STAGE_ROOT, STAGE_DIRECTORY };
struct last_word { int error; enum stage stage; };

/* Tell the parent that it did not work, and be gone. Between fork and exec
 * in a process with threads only system calls are good. */
_Noreturn static void
give_up(int status, enum stage stage)
{
	struct last_word	word = { errno, stage };

	(void)!write(status, &word, sizeof(word));
	_exit(127);
}

/* No group in reserve any more (U1). */
static int
drop_reserve(void)
{
	gid_t	g = getegid(), rg, eg, sg;

	if (setresgid(g, g, g) == -1 || getresgid(&rg, &eg, &sg) == -1)
		return -1;
	if (rg == g && eg == g && sg == g && getuid() == geteuid() &&
	    geteuid() != 0)
		return 0;
	errno = EPERM;
	return -1;
}

/* Have another "/", and no way to change it again; with no_new_privs, since
 * what is in there decides what a set-uid program would be. */
static int
change_root(const char *root)
{
	struct __user_cap_header_struct	head = {
		.version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct	none[2] = { { 0 } };

	if (*root == '\0')
		return 0;
	if (chroot(root) == -1 || chdir("/") == -1 ||
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == -1 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return -1;
	return (int)syscall(SYS_capset, &head, none);
}

/* Be the command. */
_Noreturn static void
be(const struct running *r, int input, int output, int status, pid_t parent)
{
	const char	*directory = r->what->directory;

	fresh_login();
	/* All of them are above 2, so that none is overwritten too early. */
	if (dup2(input, STDIN_FILENO) == -1 ||
	    dup2(output, STDOUT_FILENO) == -1 ||
	    dup2(output, STDERR_FILENO) == -1)
		give_up(status, STAGE_RUN);
	if (status != STATUS_FD) {
		if (dup3(status, STATUS_FD, O_CLOEXEC) == -1)
			give_up(status, STAGE_RUN);
		status = STATUS_FD;
	}
	if (close_range(STATUS_FD + 1, ~0U, 0) == -1 ||
	    drop_reserve() == -1)
		give_up(status, STAGE_RUN);
	if (change_root(r->root) == -1)
		give_up(status, STAGE_ROOT);
	if (*directory != '\0' && chdir(directory) == -1)
		give_up(status, STAGE_DIRECTORY);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || getppid() != parent)
		give_up(status, STAGE_RUN);
	execvpe(r->argv[0], r->argv, r->envp);
	give_up(status, STAGE_RUN);
}

/* --- starting ------------------------------------------------------------ */

/* Nothing ran. */
static int __attribute__((format(printf, 2, 3)))
failed(struct running *r, const char *format, ...)
{
	va_list	ap;

	r->result = RUN_FAILED;
	va_start(ap, format);
	vsnprintf(r->text, sizeof(r->text), format, ap);
	va_end(ap);
	return -1;
}

/* The child could not be the command. */
static int
could_not_start(struct running *r, enum stage stage, int error)
{
	switch (stage) {
	case STAGE_ROOT:
		return failed(r, "cannot chroot to %.200s: %s", r->root,
		    strerrordesc_np(error));
	case STAGE_DIRECTORY:
		return failed(r, "cannot run in directory %.200s: %s",
		    r->what->directory, strerrordesc_np(error));
	default:
		return failed(r, "cannot run %.200s: %s", r->argv[0],
		    strerrordesc_np(error));
	}
}

/* Close it, if it is open. */
static void
close_end(int *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

/* Fork; the child's ends are closed here. 0 with the pipes, or -1. */
static int
start_child(struct running *r, int input[2], int output[2], int status[2])
{
	pid_t	parent = getpid();

	if (pipe2(input, O_CLOEXEC) == -1 || pipe2(output, O_CLOEXEC) == -1 ||
	    pipe2(status, O_CLOEXEC) == -1 || (r->pid = fork()) == -1)
		return -1;
	if (r->pid == 0)
		be(r, input[0], output[1], status[1], parent);
	close_end(&input[0]);
	close_end(&output[1]);
	close_end(&status[1]);
	return 0;
}

/* Start the command: when this is 0 it runs. */
static int
start(struct running *r)
{
	int	input[2] = { -1, -1 }, output[2] = { -1, -1 };
	int	status[2] = { -1, -1 }, error = 0, i;
	ssize_t	n = -1;
	struct last_word word = { 0, STAGE_RUN };

	if (start_child(r, input, output, status) == -1)
		error = errno;
	else if ((n = read(status[0], &word, sizeof(word))) != 0)
		error = n == -1 ? errno : word.error;
	if (n == 0 && ((r->pidfd = pidfd_open(r->pid, 0)) == -1 ||
	    fs_set_nonblocking(input[1], true) == -1 ||
	    fs_set_nonblocking(output[0], true) == -1))
		error = errno;
	if (n == 0 && error == 0) {
		r->input = input[1];
		r->heard = output[0];
		input[1] = output[0] = -1;
	}
	for (i = 0; i < 2; i++) {
		close_end(&input[i]);
		close_end(&output[i]);
		close_end(&status[i]);
	}
	if (n == 0 && error == 0)
		return 0;
	if (r->pid > 0) {
		(void)kill(r->pid, SIGKILL);
		(void)waitpid(r->pid, NULL, 0);
	}
	return could_not_start(r, word.stage, error);
}

/* --- talking ------------------------------------------------------------- */

/* Keep what it says, up to the limit; the rest is read all the same (U3). */
static void
listen_to(struct running *r)
{
	size_t	room;
	ssize_t	n;

	while (r->heard != -1 &&
	    (n = read(r->heard, r->block, sizeof(r->block))) != -1) {
		if (n == 0) {
			close_end(&r->heard);
			return;
		}
		room = RUN_OUTPUT - r->output_len;
		if (room > (size_t)n)
			room = (size_t)n;
		memcpy(r->output + r->output_len, r->block, room);
		r->output_len += room;
		if (clock_now() >= r->deadline)
			return;
	}
}

/* Wait until the pipe takes more, or until the end of the command when it is
 * closed. 1 if so, 0 not yet, -1: its time is over. */
static int
wait_for(struct running *r, bool for_end)
{
	int64_t		left = r->deadline - clock_now();
	struct pollfd	fds[2] = {
		{ .fd = for_end ? r->pidfd : r->input,
		    .events = for_end ? POLLIN : POLLOUT },
		{ .fd = r->heard, .events = POLLIN }
	};

	if (left <= 0) {
		errno = ETIMEDOUT;
		return -1;
	}
	if (poll(fds, 2, left > 60000 ? 60000 : (int)left) == -1 &&
	    errno != EINTR)
		return -1;
	if (fds[1].revents != 0)
		listen_to(r);
	return fds[0].revents != 0;
}

/* Write some of the message; the sink of copy.c. */
static int
feed(void *context, const char *data, size_t len)
{
	struct running	*r = context;
	ssize_t		 n;

	while (len > 0) {
		n = write(r->input, data, len);
		if (n == -1 && errno != EAGAIN && errno != EINTR)
			return -1;
		if (n == -1) {
			if (wait_for(r, false) == -1)
				return -1;
			continue;
		}
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The whole message. 0, also when the command does not want it; or -1. */
static int
feed_all(struct running *r)
{
	const struct run	*what = r->what;
	struct copy		*c = &r->copy;

	copy_open(c, what->message, what->content_offset,
	    what->content_length, -1);
	c->sink = feed;
	c->context = r;
	c->eol = what->eol;
	c->quotes_from = what->flags & RUN_QUOTES_FROM;
	c->quotes_dot = what->flags & RUN_QUOTES_DOT;
	if (copy_lines(c, what->head) == 0 && copy_message(c) == 0 &&
	    (!(what->flags & RUN_ADDS_LINE) || copy_text(c, c->eol) == 0) &&
	    copy_flush(c) == 0)
		return 0;
	return errno == EPIPE ? 0 : -1;
}

/* --- the end ------------------------------------------------------------- */

/* Kill all of it (U2); a member that is somebody else by now stays. */
static void
kill_group(struct running *r)
{
	struct pollfd	end = { .fd = r->pidfd, .events = POLLIN };

	(void)kill(-r->pid, SIGKILL);
	(void)kill(r->pid, SIGKILL);
	if (poll(&end, 1, KILL_TIME) == 1)
		(void)waitpid(r->pid, NULL, 0);
}

/* It has ended: how? Who still holds its pipe is not waited for. */
static void
collect(struct running *r)
{
	int	status = 0;

	listen_to(r);
	while (waitpid(r->pid, &status, 0) == -1 && errno == EINTR)
		;
	if (WIFSIGNALED(status)) {
		r->result = RUN_SIGNALED;
		r->status = WTERMSIG(status);
	} else {
		r->result = RUN_EXITED;
		r->status = WEXITSTATUS(status);
	}
}

/* Feed it and wait for its end. 0, or -1 with errno. */
static int
talk(struct running *r)
{
	int	ended;

	if (feed_all(r) == -1)
		return -1;
	close_end(&r->input);
	while ((ended = wait_for(r, true)) == 0)
		;
	return ended == 1 ? 0 : -1;
}

/* Thread work. */
int
run_command(void *arg)
{
	struct running	*r = arg;

	r->pid = -1;
	r->pidfd = r->input = r->heard = -1;
	r->output_len = 0;
	r->deadline = clock_now() + r->what->time_limit;
	if (start(r) == -1)
		return -1;
	if (talk(r) == 0)
		collect(r);
	else if (errno == ETIMEDOUT)
		r->result = RUN_TIMED_OUT;
	else
		(void)failed(r, "the message cannot be read: %s",
		    strerrordesc_np(errno));
	if (r->result == RUN_TIMED_OUT || r->result == RUN_FAILED)
		kill_group(r);
	close_end(&r->pidfd);
	close_end(&r->input);
	close_end(&r->heard);
	r->output[r->output_len] = '\0';
	return 0;
}
