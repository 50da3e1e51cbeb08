/*
 * inject.c - one system call of a running daemon ends otherwise: the process
 * is killed right before or right after it, or it fails with an error, or it
 * writes less than it should.
 *
 *	inject -o FILE -n NAME [-s SPOOL] [-k KEY -w WHEN] PID...
 *	inject -o FILE -n NAME [-s SPOOL] -r NUMBER [-m RE] -w WHEN PID...
 *	inject -o FILE -n NAME ... -w ERROR -u FILE PID...
 *	inject -o FILE -n NAME [...] -- COMMAND ARGUMENTS
 *
 * Follows these processes, or the command, and all that they start, and looks
 * at the system calls of those whose program is NAME. A call is known by its
 * name, its object (a path below the directory of the test, in which ids are
 * "ID" and numbers "N", or the name of a socket), and how often the same has
 * been called since we look: "pwrite64 spool/incoming/ID#1". So the same call
 * is found again in the next message, whatever else the process has to do.
 *
 * Without a key every call is a line in FILE. With one, WHEN is "before" or
 * "after" (SIGKILL), or the number of an error, or "short"; the call is a line
 * beginning with "hit", "at" with the time is one more, and nothing is followed
 * any more. With -r it is the NUMBER-th call that changes something, or of which
 * "name object" matches RE: for a process that has many messages at a time.
 * With -u the call is made, as a disk does that tells late what is wrong with
 * it, and has no end until FILE is there: then it is the error.
 * "ready" comes first, when all is being followed. The end of us changes
 * nothing for who is followed.
 *
 * I1  Killed before a call, the process has not made it: the call has become
 *     close(-1) by then, which every sandbox allows. Killed after it, nothing
 *     of the program has run since.
 * I2  A call that fails has done nothing, but for close(), which closes in any
 *     case (close(2)), and its result is what the kernel would answer: an
 *     error, but from brk() the end of the heap, where it has been.
 *     With -u it has done everything.
 * I3  A call that is short has written half of its bytes, or the first of its
 *     vectors, and says so.
 */
#include <sys/epoll.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <linux/ptrace.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "t/crash/object.h"

#ifndef __x86_64__
/* How a call is changed is told by the machine. */
int
main(void)
{
	fputs("inject: not on this machine\n", stderr);
	return 77;
}
#else

enum { TASKS = 512, SEEN = 8192 };

/* A thread that is followed. */
struct task {
	pid_t		 tid;
	pid_t		 process;
	bool		 is_ours;		/* its program is the one */
	const struct call *call;		/* it is in this one */
	char		 object[OBJECT_MAX];
	unsigned	 count;
	bool		 is_hit;
	struct user_regs_struct	registers;	/* as they were at its entry */
};

/* How often a call was made on an object. */
struct seen {
	const struct call *call;
	char		 object[OBJECT_MAX];
	unsigned	 count;
};

static struct task	 tasks[TASKS];
static size_t		 task_count;
static struct seen	 seen[SEEN];
static size_t		 seen_count;

static FILE		*out;
static const char	*program;		/* its name, 15 characters */
static const char	*spool;
static const char	*key, *when;
static int		 failure;		/* an errno; 0 to kill */
static bool		 is_after, is_short;
static const char	*until;			/* of -u, or NULL */
static pid_t		 held;			/* whose call has no end yet */
static unsigned long	 left;			/* of -r; 0 without it */
static const char	*pattern;
static regex_t		 wanted;

/* We cannot work. */
static void __attribute__((noreturn))
fail(const char *what)
{
	fprintf(stderr, "inject: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* The start of a file in /proc, as a string. */
static void
proc_read(pid_t pid, const char *file, char *text, size_t size)
{
	char	 path[64];
	ssize_t	 n = -1;
	int	 fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) >= 0) {
		n = read(fd, text, size - 1);
		close(fd);
	}
	text[n > 0 ? n : 0] = '\0';
}

/* Learn which program a thread runs; it may have become another one. */
static void
task_look(struct task *t)
{
	char		 text[512];
	const char	*p;

	proc_read(t->tid, "status", text, sizeof(text));
	if ((p = strstr(text, "\nTgid:")) != NULL)
		t->process = (pid_t)strtol(p + 6, NULL, 10);
	/* The name of its first thread: others may be called otherwise. */
	proc_read(t->process, "comm", text, sizeof(text));
	text[strcspn(text, "\n")] = '\0';
	t->is_ours = strncmp(text, program, 15) == 0;
}

/* The thread with this id, which may be new. */
static struct task *
task_find(pid_t tid)
{
	struct task	*t;
	size_t		 i;

	for (i = 0; i < task_count; i++)
		if (tasks[i].tid == tid)
			return &tasks[i];
	if (task_count == TASKS)
		fail("too many threads");
	t = &tasks[task_count++];
	memset(t, 0, sizeof(*t));
	t->tid = tid;
	task_look(t);
	return t;
}

/* It has ended. */
static void
task_forget(pid_t tid)
{
	size_t	 i;

	for (i = 0; i < task_count; i++)
		if (tasks[i].tid == tid)
			tasks[i] = tasks[--task_count];
}

/* How often this was called, with this time. */
static unsigned
count_call(const struct call *c, const char *object)
{
	size_t	 i;

	for (i = 0; i < seen_count; i++)
		if (seen[i].call == c && strcmp(seen[i].object, object) == 0)
			return ++seen[i].count;
	if (seen_count == SEEN)
		fail("too many calls");
	seen[seen_count].call = c;
	strcpy(seen[seen_count].object, object);
	return seen[seen_count++].count = 1;
}

/* --- what happens to it --------------------------------------------------- */

/* Is there a message in this write-ahead log that is not marked?
 * common/queue/wal.c tells what is where. */
static bool
has_record(const char *path)
{
	static unsigned char	 log[4 * 1024 * 1024];
	uint64_t		 generation, released, theirs;
	size_t			 at, size;
	ssize_t			 n = -1;
	int			 fd;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) >= 0) {
		n = read(fd, log, sizeof(log));
		close(fd);
	}
	size = n > 0 ? (size_t)n : 0;
	if (size < 4096 || memcmp(log, "PRWAL", 5) != 0)
		return false;
	memcpy(&generation, log + 24, sizeof(generation));
	memcpy(&released, log + 2048, sizeof(released));
	for (at = 4096; released != generation && at + 64 <= size; at += 256) {
		memcpy(&theirs, log + at + 8, sizeof(theirs));
		if (memcmp(log + at, "PRwr", 4) == 0 && theirs == generation &&
		    log[4096 + at / 256] != 0xb7)
			return true;
	}
	return false;
}

/* Is a complete message in this directory, or in one below it? */
static bool
has_message(const char *path, int depth)
{
	struct dirent	*e;
	struct stat	 st;
	char		 below[512];
	bool		 is_found = false;
	DIR		*d;

	if ((d = opendir(path)) == NULL)
		return false;
	while (!is_found && (e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, e->d_name);
		if (lstat(below, &st) != 0)
			continue;
		is_found = S_ISDIR(st.st_mode) ?
		    depth > 0 && has_message(below, depth - 1) :
		    (st.st_mode & S_IXUSR) != 0 ||
		    (strncmp(e->d_name, "wal.", 4) == 0 && has_record(below));
	}
	closedir(d);
	return is_found;
}

/* Where the message is while nobody moves. */
static const char *
state(void)
{
	char	 path[512];

	if (spool == NULL)
		return "-";
	snprintf(path, sizeof(path), "%s/incoming", spool);
	if (has_message(path, 1))
		return "incoming";
	snprintf(path, sizeof(path), "%s/deferred", spool);
	return has_message(path, 1) ? "deferred" : "none";
}

/* Tell about a call. */
static void
tell(const char *word, const struct task *t, int64_t result)
{
	struct timespec	 now;

	fprintf(out, "%s\t%s\t%s\t%s#%u\t%s\t%lld\t%s\n", word,
	    t->call->kind, t->call->name, t->object, t->count,
	    t->call->changes ? "changes" : "-", (long long)result,
	    strcmp(word, "hit") == 0 ? state() : "-");
	clock_gettime(CLOCK_REALTIME, &now);
	if (strcmp(word, "hit") == 0)
		fprintf(out, "at\t%lld.%03ld\n", (long long)now.tv_sec,
		    now.tv_nsec / 1000000);
	fflush(out);
}

/* Its end, and ours. */
static void __attribute__((noreturn))
end_process(const struct task *t)
{
	tell("hit", t, 0);
	kill(t->process, SIGKILL);
	exit(0);
}

/* Is it the call that we wait for? */
static bool
is_wanted(const struct task *t, char *name, size_t size)
{
	snprintf(name, size, "%s %s", t->call->name, t->object);
	if (left > 0)
		return (pattern != NULL ?
		    regexec(&wanted, name, 0, NULL, 0) == 0 :
		    t->call->changes) && --left == 0;
	if (key == NULL)
		return false;
	snprintf(name, size, "%s %s#%u", t->call->name, t->object, t->count);
	return strcmp(name, key) == 0;
}

/* What a call becomes. */
static void
change(const struct task *t, struct user_regs_struct *to)
{
	bool	has_vectors = strstr(t->call->name, "writev") != NULL;

	if (is_short)
		to->rdx = has_vectors ? 1 : to->rdx / 2;
	else if (failure != 0 && t->call->number == SYS_brk)
		to->rdi = 0;
	else if (failure == 0 || t->call->number != SYS_close) {
		to->orig_rax = SYS_close;
		to->rdi = (unsigned long long)-1;
	}
}

/* To take a descriptor away from epoll(7) needs nothing, so that no error of
 * those that are tried can come of it. */
static const struct call	removal = { SYS_epoll_ctl, "epoll_ctl_del",
				    "other", 2, -1, false };

/* A call begins. */
static void
enter(struct task *t, const struct ptrace_syscall_info *info)
{
	struct user_regs_struct	 changed;
	char			 name[OBJECT_MAX + 64];
	uint64_t		 args[6];
	size_t			 i;

	t->is_hit = false;
	t->call = call_find((long)info->entry.nr);
	if (info->entry.nr == SYS_epoll_ctl &&
	    info->entry.args[1] == EPOLL_CTL_DEL)
		t->call = &removal;
	for (i = 0; i < 6; i++)
		args[i] = info->entry.args[i];
	object_name(t->process, t->call, args, t->object);
	t->count = count_call(t->call, t->object);
	if (!is_wanted(t, name, sizeof(name)))
		return;
	t->is_hit = true;
	if (is_after || until != NULL)
		return;
	if (ptrace(PTRACE_GETREGS, t->tid, NULL, &t->registers) != 0)
		fail("registers");
	changed = t->registers;
	change(t, &changed);
	if (ptrace(PTRACE_SETREGS, t->tid, NULL, &changed) != 0)
		fail("registers");
	if (failure == 0 && !is_short)
		end_process(t);
}

/* What a call that was changed says. */
static int64_t
result_of(const struct task *t, const struct ptrace_syscall_info *info)
{
	return is_short || t->call->number == SYS_brk ? info->exit.rval :
	    -failure;
}

/* It was made; its error is told later. */
static void
hold(struct task *t)
{
	if (ptrace(PTRACE_GETREGS, t->tid, NULL, &t->registers) != 0)
		fail("registers");
	t->registers.rax = (unsigned long long)-failure;
	if (ptrace(PTRACE_SETREGS, t->tid, NULL, &t->registers) != 0)
		fail("registers");
	held = t->tid;
	tell("hit", t, -failure);
}

/* A call has ended. */
static void
leave(struct task *t, const struct ptrace_syscall_info *info)
{
	if (t->call == NULL)
		return;
	if (when == NULL)
		tell("call", t, info->exit.rval);
	if (t->is_hit && is_after)
		end_process(t);
	if (t->is_hit && until != NULL) {
		hold(t);
	} else if (t->is_hit) {
		t->registers.rax = (unsigned long long)result_of(t, info);
		if (ptrace(PTRACE_SETREGS, t->tid, NULL, &t->registers) != 0)
			fail("registers");
		tell("hit", t, result_of(t, info));
		exit(0);
	}
	t->call = NULL;
}

/* --- following ------------------------------------------------------------ */

/* Let it go on to its next stop. */
static void
resume(const struct task *t, int signal)
{
	ptrace(t->is_ours ? PTRACE_SYSCALL : PTRACE_CONT, t->tid, NULL,
	    (void *)(long)signal);
}

/* A thread has stopped, for one of the many reasons. */
static void
on_stop(struct task *t, int status)
{
	struct ptrace_syscall_info	 info;
	int				 signal = WSTOPSIG(status);

	if (status >> 16 == PTRACE_EVENT_STOP && (signal == SIGSTOP ||
	    signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU)) {
		ptrace(PTRACE_LISTEN, t->tid, NULL, NULL);
		return;
	}
	if (status >> 16 != 0) {
		task_look(t);
		resume(t, 0);
		return;
	}
	if (signal != (SIGTRAP | 0x80)) {
		resume(t, signal);
		return;
	}
	memset(&info, 0, sizeof(info));
	ptrace(PTRACE_GET_SYSCALL_INFO, t->tid, sizeof(info), &info);
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
		enter(t, &info);
	else if (info.op == PTRACE_SYSCALL_INFO_EXIT)
		leave(t, &info);
	if (t->tid != held)
		resume(t, 0);
}

/* Until nothing is left, or we are ended, or who is held need not wait. */
static void
follow(void)
{
	static const struct timespec	pause = { .tv_nsec = 10 * 1000000 };
	pid_t				tid;
	int				status;

	while (held == 0 || access(until, F_OK) != 0) {
		tid = waitpid(-1, &status, __WALL | (held != 0 ? WNOHANG : 0));
		if (tid == 0)
			nanosleep(&pause, NULL);
		if (tid == 0 || (tid < 0 && errno == EINTR))
			continue;
		if (tid < 0)
			return;
		if (WIFSTOPPED(status))
			on_stop(task_find(tid), status);
		else
			task_forget(tid);
	}
}

/* Begin to follow a process with all its threads. */
static void
attach(pid_t process)
{
	struct dirent	*e;
	char		 path[64];
	pid_t		 tid;
	DIR		*d;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)process);
	if ((d = opendir(path)) == NULL)
		return;			/* it has ended */
	while ((e = readdir(d)) != NULL) {
		if ((tid = (pid_t)strtol(e->d_name, NULL, 10)) <= 0)
			continue;
		if (ptrace(PTRACE_SEIZE, tid, NULL,
		    (void *)(long)(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE |
		    PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
		    PTRACE_O_TRACEEXEC)) != 0)
			continue;
		task_find(tid);
		ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
	}
	closedir(d);
}

/* A process that is nobody's child follows what we shall be. */
static void
become(char **command)
{
	int	 ready[2];
	char	 byte;
	pid_t	 child, self = getpid();

	if (pipe2(ready, O_CLOEXEC) != 0 || (child = fork()) < 0)
		fail("fork");
	if (child > 0) {
		waitpid(child, NULL, 0);
		close(ready[1]);
		if (read(ready[0], &byte, 1) != 1)
			_exit(1);
		execv(command[0], command);
		_exit(127);
	}
	setsid();
	if (fork() != 0)
		_exit(0);
	attach(self);
	if (write(ready[1], "", 1) != 1)
		fail("pipe");
	close(ready[0]);
	close(ready[1]);
	/* Who waits for the end of the command waits for nobody else. */
	if (freopen("/dev/null", "r+", stdin) == NULL || dup2(0, 1) < 0 ||
	    dup2(0, 2) < 0)
		_exit(1);
}

int
main(int argc, char **argv)
{
	const char	*path = NULL;
	int		 option;

	while ((option = getopt(argc, argv, "+o:n:s:k:w:r:m:u:")) != -1) {
		switch (option) {
		case 'o': path = optarg; break;
		case 'n': program = optarg; break;
		case 's': spool = optarg; break;
		case 'k': key = optarg; break;
		case 'w': when = optarg; break;
		case 'r': left = strtoul(optarg, NULL, 10); break;
		case 'm': pattern = optarg; break;
		case 'u': until = optarg; break;
		default: return 64;
		}
	}
	if (path == NULL || program == NULL || optind == argc ||
	    (key == NULL && left == 0) != (when == NULL) || (pattern != NULL &&
	    regcomp(&wanted, pattern, REG_EXTENDED | REG_NOSUB) != 0))
		return 64;
	is_after = when != NULL && strcmp(when, "after") == 0;
	is_short = when != NULL && strcmp(when, "short") == 0;
	failure = when != NULL ? atoi(when) : 0;
	if ((out = fopen(path, "we")) == NULL)
		fail(path);
	if (strcmp(argv[optind - 1], "--") == 0)
		become(argv + optind);
	else
		for (; optind < argc; optind++)
			attach((pid_t)strtol(argv[optind], NULL, 10));
	fputs("ready\n", out);
	fflush(out);
	follow();
	return 0;
}
#endif
