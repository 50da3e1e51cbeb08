/*
 * calls.c - the table of system calls.
 */
#include "t/crash/calls.h"

#include <sys/syscall.h>

#include <stddef.h>
#include <stdio.h>

#define CALL(name, kind, fd, path, changes)				\
	{ SYS_##name, #name, kind, fd, path, changes }

static const struct call	 calls[] = {
	CALL(openat, "file", 0, 1, true),
	CALL(read, "file", 0, -1, false),
	CALL(readv, "file", 0, -1, false),
	CALL(pread64, "file", 0, -1, false),
	CALL(preadv, "file", 0, -1, false),
	CALL(write, "file", 0, -1, true),
	CALL(writev, "file", 0, -1, true),
	CALL(pwrite64, "file", 0, -1, true),
	CALL(pwritev, "file", 0, -1, true),
	CALL(pwritev2, "file", 0, -1, true),
	CALL(sendfile, "file", 0, -1, true),
	CALL(copy_file_range, "file", 2, -1, true),
	CALL(fsync, "file", 0, -1, true),
	CALL(fdatasync, "file", 0, -1, true),
	CALL(sync_file_range, "file", 0, -1, true),
	CALL(syncfs, "file", 0, -1, true),
	CALL(fallocate, "file", 0, -1, true),
	CALL(ftruncate, "file", 0, -1, true),
	CALL(fchmod, "file", 0, -1, true),
	CALL(fchown, "file", 0, -1, true),
	CALL(fchownat, "file", 0, 1, true),
	CALL(fchmodat, "file", 0, 1, true),
	CALL(utimensat, "file", 0, 1, true),
	CALL(renameat2, "file", 2, 3, true),
	CALL(renameat, "file", 2, 3, true),
	CALL(linkat, "file", 2, 3, true),
	CALL(unlinkat, "file", 0, 1, true),
	CALL(mkdirat, "file", 0, 1, true),
	CALL(close, "file", 0, -1, true),
	CALL(lseek, "file", 0, -1, false),
	CALL(flock, "file", 0, -1, true),
	CALL(fcntl, "file", 0, -1, false),
	CALL(fstatfs, "file", 0, -1, false),
	CALL(newfstatat, "file", 0, 1, false),
	CALL(statx, "file", 0, 1, false),
	CALL(faccessat, "file", 0, 1, false),
	CALL(faccessat2, "file", 0, 1, false),
	CALL(readlinkat, "file", 0, 1, false),
	CALL(getdents64, "file", 0, -1, false),
	CALL(fchdir, "file", 0, -1, false),
	CALL(chdir, "file", -1, 0, false),
	CALL(fstat, "file", 0, -1, false),
	CALL(statfs, "file", -1, 0, false),
#ifdef SYS_open
	CALL(open, "file", -1, 0, true),
	CALL(rename, "file", -1, 1, true),
	CALL(link, "file", -1, 1, true),
	CALL(unlink, "file", -1, 0, true),
	CALL(mkdir, "file", -1, 0, true),
	CALL(rmdir, "file", -1, 0, true),
	CALL(chmod, "file", -1, 0, true),
	CALL(chown, "file", -1, 0, true),
	CALL(stat, "file", -1, 0, false),
	CALL(lstat, "file", -1, 0, false),
	CALL(access, "file", -1, 0, false),
	CALL(readlink, "file", -1, 0, false),
	CALL(pipe, "ipc", -1, -1, true),
	CALL(dup2, "ipc", 0, -1, false),
	CALL(poll, "wait", -1, -1, false),
	CALL(epoll_wait, "wait", -1, -1, false),
	CALL(fork, "thread", -1, -1, true),
	CALL(vfork, "thread", -1, -1, true),
#endif
	CALL(mmap, "memory", 4, -1, false),
	CALL(mremap, "memory", -1, -1, false),
	CALL(munmap, "memory", -1, -1, false),
	CALL(mprotect, "memory", -1, -1, false),
	CALL(madvise, "memory", -1, -1, false),
	CALL(brk, "memory", -1, -1, false),
	CALL(socket, "ipc", -1, -1, false),
	CALL(socketpair, "ipc", -1, -1, false),
	CALL(connect, "ipc", 0, -1, true),
	CALL(bind, "ipc", 0, -1, false),
	CALL(listen, "ipc", 0, -1, false),
	CALL(accept4, "ipc", 0, -1, true),
	CALL(accept, "ipc", 0, -1, true),
	CALL(shutdown, "ipc", 0, -1, true),
	CALL(sendto, "ipc", 0, -1, true),
	CALL(sendmsg, "ipc", 0, -1, true),
	/* one or several: by the same name */
	{ SYS_sendmmsg, "sendmsg", "ipc", 0, -1, true },
	CALL(recvfrom, "ipc", 0, -1, true),
	CALL(recvmsg, "ipc", 0, -1, true),
	{ SYS_recvmmsg, "recvmsg", "ipc", 0, -1, true },
	CALL(getsockopt, "ipc", 0, -1, false),
	CALL(setsockopt, "ipc", 0, -1, false),
	CALL(getsockname, "ipc", 0, -1, false),
	CALL(getpeername, "ipc", 0, -1, false),
	CALL(pipe2, "ipc", -1, -1, true),
	CALL(dup, "ipc", 0, -1, false),
	CALL(dup3, "ipc", 0, -1, false),
	CALL(eventfd2, "ipc", -1, -1, false),
	CALL(epoll_create1, "ipc", -1, -1, false),
	CALL(epoll_ctl, "ipc", 2, -1, false),
	CALL(memfd_create, "ipc", -1, -1, false),
	CALL(epoll_pwait, "wait", -1, -1, false),
	CALL(ppoll, "wait", -1, -1, false),
	CALL(futex, "other", -1, -1, false),
	CALL(clone, "thread", -1, -1, true),
	CALL(clone3, "thread", -1, -1, true),
	CALL(execve, "thread", -1, 0, true),
	CALL(wait4, "other", -1, -1, false),
	CALL(setresuid, "other", -1, -1, false),
	CALL(setresgid, "other", -1, -1, false),
	CALL(setgroups, "other", -1, -1, false),
	CALL(exit_group, "other", -1, -1, false),
	CALL(exit, "other", -1, -1, false),
	CALL(getrandom, "other", -1, -1, false),
	CALL(ioctl, "other", 0, -1, false),
	CALL(prctl, "other", -1, -1, false),
	CALL(setsid, "other", -1, -1, false),
	CALL(chroot, "other", -1, 0, false),
	CALL(capset, "other", -1, -1, false),
	CALL(umask, "other", -1, -1, false),
	CALL(getpid, "other", -1, -1, false),
	CALL(getppid, "other", -1, -1, false),
	CALL(gettid, "other", -1, -1, false),
	CALL(kill, "other", -1, -1, true),
	CALL(getrusage, "other", -1, -1, false),
	CALL(rt_sigprocmask, "other", -1, -1, false),
	CALL(rt_sigaction, "other", -1, -1, false),
	CALL(restart_syscall, "other", -1, -1, false),
	CALL(clock_nanosleep, "other", -1, -1, false),
	CALL(set_robust_list, "other", -1, -1, false),
	CALL(rseq, "other", -1, -1, false),
	CALL(prlimit64, "other", -1, -1, false),
};

/* Calls without a row get one, so that each keeps its name. */
enum { OTHERS = 64 };
static struct call	 others[OTHERS];
static char		 names[OTHERS][16];

const struct call *
call_find(long number)
{
	size_t	 i;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (calls[i].number == number)
			return &calls[i];
	for (i = 0; i + 1 < OTHERS && others[i].name != NULL; i++)
		if (others[i].number == number)
			return &others[i];
	snprintf(names[i], sizeof(names[i]), "call%ld", number);
	others[i] = (struct call){ .number = number, .name = names[i],
	    .kind = "other", .fd = -1, .path = -1 };
	return &others[i];
}
