/*
 * inject.c - one system call of a running daemon ends otherwise: the process
 * is killed right before or right after it, or it fails with an error.
 *
 *	inject -o FILE -n NAME [-s SPOOL] [-k KEY -w WHEN] PID...
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
 * "after" (SIGKILL), or the number of an error; the call is a line beginning
 * with "hit", and nothing is followed any more. "ready" comes first, when all
 * is being followed. The end of us changes nothing for who is followed.
 *
 * I1  Killed before a call, the process has not made it: the call has become
 *     close(-1) by then, which every sandbox allows. Killed after it, nothing
 *     of the program has run since.
 * I2  A call that fails has done nothing, but for close(), which closes in any
 *     case (close(2)).
 */
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <linux/ptrace.h>

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "t/crash/calls.h"

#ifndef __x86_64__
/* How a call is changed is told by the machine. */
int
main(void)
{
	fputs("inject: not on this machine\n", stderr);
	return 77;
}
#else

enum { TASKS = 512, SEEN = 8192, OBJECT = 240 };

/* A thread that is followed. */
struct task {
	pid_t		 tid;
	pid_t		 process;
	bool		 is_ours;		/* its program is the one */
	const struct call *call;		/* it is in this one */
	char		 object[OBJECT];
	unsigned	 count;
	bool		 is_hit;
	struct user_regs_struct	registers;	/* as they were at its entry */
};

/* How often a call was made on an object. */
struct seen {
	const struct call *call;
	char		 object[OBJECT];
	unsigned	 count;
};

static struct task	 tasks[TASKS];
static size_t		 task_count;
static struct seen	 seen[SEEN];
static size_t		 seen_count;

static FILE		*out;
static const char	*program;		/* its name, 15 characters */
static const char	*spool;
static const char	*key;
static int		 failure;		/* an errno; 0 to kill */
static bool		 is_after;

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

/* --- what a call is about ------------------------------------------------- */

/* An id of a message at the start of the text: its length, or 0. */
static size_t
id_length(const char *text)
{
	size_t	 n;

	n = strspn(text, "0123456789BCDFGHJKLMNPQRSTVWXYZ"
	    "bcdfghjklmnpqrstvwxyz");
	/* Until 2058 they begin with 0, which names of Maildir do not. */
	return n == 15 && text[0] == '0' &&
	    !isalnum((unsigned char)text[n]) ? n : 0;
}

/* A path as it is in the next message and in the next test, too. */
static void
simplify(const char *path, char *object)
{
	const char	*p = path, *q;
	char		*w = object;
	size_t		 n;

	/* "/tmp/prt-xxxxxx/spool/..." of one test is the same in another. */
	if (strncmp(p, "/tmp/prt-", 9) == 0 && (q = strchr(p + 9, '/')) != NULL)
		p = q + 1;
	while (*p != '\0' && w < object + OBJECT - 4) {
		if ((p == path || !isalnum((unsigned char)p[-1])) &&
		    (n = id_length(p)) > 0) {
			w = stpcpy(w, "ID");
			p += n;
		} else if (isdigit((unsigned char)*p)) {
			*w++ = 'N';
			p += strspn(p, "0123456789");
		} else {
			*w++ = (char)(isgraph((unsigned char)*p) ? *p : '_');
			p++;
		}
	}
	*w = '\0';
}

/* What an address names. */
static void
name_address(const struct sockaddr_storage *a, socklen_t length, char *object)
{
	const struct sockaddr_un	*un = (const void *)a;
	char				 path[sizeof(un->sun_path) + 1];

	if (a->ss_family != AF_UNIX) {
		strcpy(object, "inet");
		return;
	}
	memset(path, 0, sizeof(path));
	if (length > offsetof(struct sockaddr_un, sun_path))
		memcpy(path, un->sun_path, length -
		    offsetof(struct sockaddr_un, sun_path));
	simplify(path[0] == '\0' ? "unix" : path, object);
}

/* A socket by the name of either end of it. */
static void
name_socket(pid_t process, int fd, char *object)
{
	struct sockaddr_storage	 a;
	socklen_t		 length = sizeof(a);
	int			 pidfd, copy;

	strcpy(object, "socket");
	if ((pidfd = (int)syscall(SYS_pidfd_open, process, 0)) < 0)
		return;
	copy = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	close(pidfd);
	if (copy < 0)
		return;
	memset(&a, 0, sizeof(a));
	if (getsockname(copy, (struct sockaddr *)&a, &length) == 0)
		name_address(&a, length, object);
	length = sizeof(a);
	if (strcmp(object, "unix") == 0 &&
	    getpeername(copy, (struct sockaddr *)&a, &length) == 0)
		name_address(&a, length, object);
	close(copy);
}

/* What a descriptor is. */
static void
name_descriptor(const struct task *t, int fd, char *object)
{
	char	 link[64], path[512];
	ssize_t	 n;

	snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)t->process, fd);
	if ((n = readlink(link, path, sizeof(path) - 1)) < 0) {
		strcpy(object, fd == AT_FDCWD ? "." : "none");
		return;
	}
	path[n] = '\0';
	if (strncmp(path, "socket:", 7) == 0)
		name_socket(t->process, fd, object);
	else
		simplify(path, object);
}

/* Bytes of the process; how many there were. */
static ssize_t
peek(const struct task *t, uint64_t at, void *bytes, size_t size)
{
	char	 path[64];
	ssize_t	 n;
	int	 fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)t->process);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return -1;
	n = pread(fd, bytes, size, (off_t)at);
	close(fd);
	return n;
}

/* A path that is an argument; behind a directory if it is relative. */
static void
name_path(const struct task *t, uint64_t at, char *object)
{
	char	 path[512];
	ssize_t	 n;

	n = peek(t, at, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	simplify(path, object);
}

/* The object of a call. */
static void
name_object(const struct task *t, const struct call *c, const __u64 *args,
    char *object)
{
	struct sockaddr_storage	 a;
	char			 part[OBJECT];
	size_t			 n;

	object[0] = '\0';
	if (c->fd >= 0) {
		name_descriptor(t, (int)args[c->fd], object);
	}
	if (c->path >= 0) {
		name_path(t, args[c->path], part);
		n = strlen(object);
		snprintf(object + n, OBJECT - n, "%s%s", n > 0 ? "/" : "",
		    part);
	}
	if (c->number == SYS_connect) {
		memset(&a, 0, sizeof(a));
		if (args[2] <= sizeof(a) &&
		    peek(t, args[1], &a, args[2]) == (ssize_t)args[2])
			name_address(&a, (socklen_t)args[2], object);
	}
	if (object[0] == '\0')
		strcpy(object, "-");
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
		    (st.st_mode & S_IXUSR) != 0;
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
	fprintf(out, "%s\t%s\t%s\t%s#%u\t%s\t%lld\t%s\n", word,
	    t->call->kind, t->call->name, t->object, t->count,
	    t->call->changes ? "changes" : "-", (long long)result,
	    strcmp(word, "hit") == 0 ? state() : "-");
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

/* A call begins. */
static void
enter(struct task *t, const struct ptrace_syscall_info *info)
{
	struct user_regs_struct	 changed;
	char			 name[OBJECT + 64];

	t->is_hit = false;
	t->call = call_find((long)info->entry.nr);
	name_object(t, t->call, info->entry.args, t->object);
	t->count = count_call(t->call, t->object);
	snprintf(name, sizeof(name), "%s %s#%u", t->call->name, t->object,
	    t->count);
	if (key == NULL || strcmp(name, key) != 0)
		return;
	t->is_hit = true;
	if (is_after)
		return;
	if (ptrace(PTRACE_GETREGS, t->tid, NULL, &t->registers) != 0)
		fail("registers");
	changed = t->registers;
	if (failure == 0 || t->call->number != SYS_close) {
		changed.orig_rax = SYS_close;
		changed.rdi = (unsigned long long)-1;
	}
	if (ptrace(PTRACE_SETREGS, t->tid, NULL, &changed) != 0)
		fail("registers");
	if (failure == 0)
		end_process(t);
}

/* A call has ended. */
static void
leave(struct task *t, const struct ptrace_syscall_info *info)
{
	if (t->call == NULL)
		return;
	if (key == NULL)
		tell("call", t, info->exit.rval);
	if (t->is_hit && is_after)
		end_process(t);
	if (t->is_hit) {
		t->registers.rax = (unsigned long long)-failure;
		if (ptrace(PTRACE_SETREGS, t->tid, NULL, &t->registers) != 0)
			fail("registers");
		tell("hit", t, -failure);
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
	resume(t, 0);
}

/* Until nothing is left, or we are ended. */
static void
follow(void)
{
	pid_t	 tid;
	int	 status;

	for (;;) {
		tid = waitpid(-1, &status, __WALL);
		if (tid < 0 && errno == EINTR)
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
	const char	*path = NULL, *when = NULL;
	int		 option;

	while ((option = getopt(argc, argv, "+o:n:s:k:w:")) != -1) {
		switch (option) {
		case 'o': path = optarg; break;
		case 'n': program = optarg; break;
		case 's': spool = optarg; break;
		case 'k': key = optarg; break;
		case 'w': when = optarg; break;
		default: return 64;
		}
	}
	if (path == NULL || program == NULL || optind == argc ||
	    (key == NULL) != (when == NULL))
		return 64;
	is_after = when != NULL && strcmp(when, "after") == 0;
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
