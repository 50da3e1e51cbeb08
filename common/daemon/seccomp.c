/*
 * seccomp.c - which system calls a role still has, by libseccomp.
 *
 * Three answers: what a row of roles.c needs is allowed; what only an
 * intruder would try ends the process; everything else, and whatever a newer
 * libc may think of, fails with ENOSYS (a file's name with EACCES), which libc
 * takes as "an old kernel" or "not for me" and copes with.
 */
#include "common/daemon/inside.h"

#ifndef HAVE_SECCOMP

#include "common/base/log.h"

/* Built without the library. */
void
seccomp_enter(const struct role *role)
{
	(void)role;
	log_debug("sandbox: built without seccomp");
}

#else

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/bug.h"
#include "common/base/log.h"

/* What every daemon does: descriptors it has, memory, time, its own end. */
static const char *const	 always[] = {
	"read", "readv", "pread64", "preadv", "preadv2", "recvfrom",
	"recvmsg", "recvmmsg", "write", "writev", "pwrite64", "pwritev",
	"pwritev2", "sendto", "sendmsg", "sendmmsg", "sendfile", "shutdown",
	"getsockopt", "setsockopt", "getsockname", "getpeername", "close",
	"close_range", "dup", "dup2", "dup3", "fcntl", "fstat", "fstatfs",
	"statfs",			/* smtpd: is there room in the queue? */
	"newfstatat", "statx", "lseek", "_llseek", "flock", "ftruncate",
	"fsync", "fdatasync", "sync_file_range", "fadvise64", "pipe2",
	"poll", "ppoll", "select", "pselect6", "epoll_create1", "epoll_ctl",
	"epoll_wait", "epoll_pwait", "epoll_pwait2", "eventfd2",
	"timerfd_create", "timerfd_settime", "signalfd4", "ioctl",
	"mmap", "mmap2", "munmap", "mremap", "mprotect", "madvise", "brk",
	"futex", "futex_time64", "set_robust_list", "get_robust_list", "rseq",
	"membarrier", "clock_gettime", "clock_gettime64", "clock_getres",
	"clock_nanosleep", "nanosleep", "gettimeofday", "time", "getrandom",
	"getpid", "gettid", "getppid", "getuid", "geteuid", "getgid",
	"getegid", "getresuid", "getresgid", "getgroups", "getrlimit",
	"getrusage", "rt_sigaction", "rt_sigprocmask",
	"rt_sigreturn", "rt_sigpending", "rt_sigtimedwait", "sigaltstack",
	"sigreturn", "restart_syscall", "sched_yield",
	"sched_getaffinity", "sysinfo", "uname", "exit", "exit_group",
	"umask", NULL
};

static const char *const	 accepting[] = { "accept", "accept4", NULL };
static const char *const	 connecting[] = { "connect", NULL };
static const char *const	 binding[] = { "bind", NULL };

static const char *const	 reading_files[] = {
	"stat", "lstat", "stat64", "lstat64", "access", "faccessat",
	"faccessat2", "readlink", "readlinkat", "getdents", "getdents64",
	"getcwd", "chdir", "fchdir", NULL
};

/* No chmod by name: Landlock does not look at it, and the mode says which
 * messages are complete. */
static const char *const	 writing_files[] = {
	"open", "openat", "creat", "rename", "renameat", "renameat2",
	"unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "link", "linkat",
	"fchmod", "fallocate", "copy_file_range", "memfd_create", NULL
};

/* Without files these are refused politely. */
static const char *const	 opening[] = {
	"open", "openat", "openat2", "creat", "stat", "lstat", "access",
	"faccessat", "faccessat2", "readlink", "readlinkat", "rename",
	"unlink", "unlinkat", "mkdir", "mkdirat", "link", "linkat", "symlink",
	"symlinkat", "chmod", "fchmodat", "chown", "fchownat", "mknod",
	"mknodat", "truncate", NULL
};

/* Nobody of ours asks for these. */
static const char *const	 never[] = {
	"execve", "execveat", "ptrace", "process_vm_readv",
	"process_vm_writev", "bpf", "io_uring_setup", "io_uring_enter",
	"io_uring_register", "keyctl", "add_key", "request_key",
	"userfaultfd", "perf_event_open", "mount", "umount2", "move_mount",
	"fsopen", "fsmount", "open_tree", "pivot_root", "chroot", "unshare",
	"setns", "init_module", "finit_module", "delete_module",
	"kexec_load", "kexec_file_load", "personality", "modify_ldt",
	"swapon", "swapoff", "reboot", "iopl", "ioperm", "acct",
	"open_by_handle_at", "settimeofday", "clock_settime", "adjtimex",
	"clock_adjtime", "setdomainname", "sethostname", "quotactl",
	"lookup_dcookie", "nfsservctl", "vhangup", "kcmp", "pidfd_getfd", NULL
};

/* A rule for one call by name; calls this machine does not have are none. */
static void
add(scmp_filter_ctx filter, uint32_t action, const char *name,
    unsigned conditions, const struct scmp_arg_cmp *arguments)
{
	int	call = seccomp_syscall_resolve_name(name), error;

	if (call == __NR_SCMP_ERROR)
		return;
	error = seccomp_rule_add_array(filter, action, call, conditions,
	    arguments);
	/* EDOM: not on this architecture; EACCES: it is the default action */
	if (error != 0 && error != -EDOM && error != -EACCES)
		die("seccomp rule for %s: %s", name, strerror(-error));
}

/* The same for a list. */
static void
add_all(scmp_filter_ctx filter, uint32_t action, const char *const *names)
{
	for (; *names != NULL; names++)
		add(filter, action, *names, 0, NULL);
}

/* socket() of one family, every type. */
static void
allow_family(scmp_filter_ctx filter, int family)
{
	const struct scmp_arg_cmp	how = {
		0, SCMP_CMP_EQ, (scmp_datum_t)family, 0
	};

	add(filter, SCMP_ACT_ALLOW, "socket", 1, &how);
}

/* TCP, by its own name or as the default; its relatives (MPTCP, SCTP) are
 * streams that Landlock does not count as TCP. */
static void
allow_tcp(scmp_filter_ctx filter, int family, int protocol)
{
	const struct scmp_arg_cmp	how[3] = {
		{ 0, SCMP_CMP_EQ, (scmp_datum_t)family, 0 },
		{ 1, SCMP_CMP_MASKED_EQ, 0xf, SOCK_STREAM },
		{ 2, SCMP_CMP_EQ, (scmp_datum_t)protocol, 0 }
	};

	add(filter, SCMP_ACT_ALLOW, "socket", 3, how);
}

/* The network, as far as the role has one. */
static void
allow_network(scmp_filter_ctx filter, unsigned needs)
{
	if (needs & NEEDS_ACCEPT)
		add_all(filter, SCMP_ACT_ALLOW, accepting);
	if (needs & NEEDS_UNIX)
		allow_family(filter, AF_UNIX);
	if (needs & NEEDS_INET) {
		allow_tcp(filter, AF_INET, 0);
		allow_tcp(filter, AF_INET, IPPROTO_TCP);
		allow_tcp(filter, AF_INET6, 0);
		allow_tcp(filter, AF_INET6, IPPROTO_TCP);
	}
	if (needs & NEEDS_DNS) {
		allow_family(filter, AF_INET);
		allow_family(filter, AF_INET6);
		allow_family(filter, AF_NETLINK);	/* own addresses */
		allow_family(filter, AF_UNIX);		/* thread pairs */
		add(filter, SCMP_ACT_ALLOW, "socketpair", 0, NULL);
	}
	if (needs & (NEEDS_UNIX | NEEDS_INET | NEEDS_DNS))
		add_all(filter, SCMP_ACT_ALLOW, connecting);
	if (needs & (NEEDS_INET | NEEDS_DNS))
		add_all(filter, SCMP_ACT_ALLOW, binding);
}

/* Files by name, as far as the role has any. */
static void
allow_files(scmp_filter_ctx filter, unsigned needs)
{
	const uint64_t			writing = O_ACCMODE | O_CREAT |
					    O_TRUNC;
	const struct scmp_arg_cmp	at = { 2, SCMP_CMP_MASKED_EQ,
					    writing, O_RDONLY },
					plain = { 1, SCMP_CMP_MASKED_EQ,
					    writing, O_RDONLY };

	if (needs & NEEDS_FILES_READ) {
		add_all(filter, SCMP_ACT_ALLOW, reading_files);
		if (!(needs & NEEDS_FILES_WRITE)) {
			add(filter, SCMP_ACT_ALLOW, "openat", 1, &at);
			add(filter, SCMP_ACT_ALLOW, "open", 1, &plain);
		}
	}
	if (needs & NEEDS_FILES_WRITE)
		add_all(filter, SCMP_ACT_ALLOW, writing_files);
	if (needs & NEEDS_FILES_TIME)
		add(filter, SCMP_ACT_ALLOW, "utimensat", 0, NULL);
	if (!(needs & (NEEDS_FILES_READ | NEEDS_FILES_WRITE)))
		add_all(filter, SCMP_ACT_ERRNO(EACCES), opening);
}

/* Threads, but no processes. clone3 hides its flags from filters; without it
 * libc goes back to clone. */
static void
allow_threads(scmp_filter_ctx filter, unsigned needs)
{
	const struct scmp_arg_cmp	how = { 0, SCMP_CMP_MASKED_EQ,
					    CLONE_THREAD | CLONE_VM,
					    CLONE_THREAD | CLONE_VM };

	if (needs & NEEDS_THREADS)
		add(filter, SCMP_ACT_ALLOW, "clone", 1, &how);
}

/* prctl() for names of threads and of memory. */
static void
allow_names(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp	how = { 0, SCMP_CMP_EQ, PR_SET_NAME,
					    0 };

	add(filter, SCMP_ACT_ALLOW, "prctl", 1, &how);
}

/* Calls that name a process, for our own alone: abort() signals a thread of
 * ours, getrlimit() means us by 0. Another process of the same user could be
 * ended by a limit of its time. */
static void
allow_ourselves(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp	us = { 0, SCMP_CMP_MASKED_EQ,
					    UINT32_MAX,
					    (scmp_datum_t)getpid() },
					zero = { 0, SCMP_CMP_MASKED_EQ,
					    UINT32_MAX, 0 };

	add(filter, SCMP_ACT_ALLOW, "tgkill", 1, &us);
	add(filter, SCMP_ACT_ALLOW, "prlimit64", 1, &zero);
}

/* Load the filter for this role. */
void
seccomp_enter(const struct role *role)
{
	scmp_filter_ctx	filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int		error;

	if (filter == NULL)
		die("seccomp is out of memory");
	/* A binary tree: 41 ns for each call in place of 200. */
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	add_all(filter, SCMP_ACT_ALLOW, always);
	add_all(filter, SCMP_ACT_KILL_PROCESS, never);
	allow_network(filter, role->needs);
	allow_files(filter, role->needs);
	allow_threads(filter, role->needs);
	allow_names(filter);
	allow_ourselves(filter);
	error = seccomp_load(filter);
	seccomp_release(filter);
	if (error == 0)
		log_debug("sandbox: seccomp");
	else
		log_debug("sandbox: no seccomp in this kernel: %s",
		    strerror(-error));
}

#endif
