/*
 * kernel.c - what the rogue tries with processes, users and the kernel.
 *
 * Calls that would change the machine are made with arguments that cannot
 * work: the kernel looks at the caller's rights first, so that another error
 * than EPERM says that the right is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "t/daemon/rogue.h"

/* --- other processes ------------------------------------------------------ */

/* The process of a user. */
static pid_t
victim(const char *user)
{
	size_t	i;

	for (i = 0; i < sizeof(facts.victims) / sizeof(facts.victims[0]); i++)
		if (strcmp(facts.victims[i].user, user) == 0)
			return facts.victims[i].pid;
	return -1;
}

/* Every way to reach a process that does it no harm. */
static int
signal_process(pid_t pid)
{
	static const int	signals[] = { 0, SIGCONT, SIGURG };
	siginfo_t		info = { .si_code = SI_QUEUE };
	size_t			i;
	int			fd;

	if (pid <= 0)
		return NOTHING_TO_TRY;
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (kill(pid, signals[i]) == 0 ||
		    syscall(SYS_tgkill, pid, pid, signals[i]) == 0 ||
		    syscall(SYS_rt_sigqueueinfo, pid, signals[i], &info) == 0)
			return 0;
	if ((fd = (int)syscall(SYS_pidfd_open, pid, 0)) != -1 &&
	    syscall(SYS_pidfd_send_signal, fd, SIGCONT, NULL, 0) == 0)
		return 0;
	return -1;
}

static int
try_signal(const char *with)
{
	return signal_process(victim(with));
}

static int
try_signal_own(const char *with)
{
	(void)with;
	return signal_process(facts.own);
}

/* Its memory, which holds other people's mail. */
static int
try_trace(const char *with)
{
	(void)with;
	return (int)ptrace(PTRACE_SEIZE, facts.own, NULL, NULL);
}

static int
try_memory(const char *with)
{
	char		here[16];
	struct iovec	to = { here, sizeof(here) };
	struct iovec	from = { booty, sizeof(here) };

	(void)with;
	return process_vm_readv(facts.own, &to, 1, &from, 1, 0) > 0 ? 0 : -1;
}

static int
try_memory_file(const char *with)
{
	char	path[64];
	int	fd;

	(void)with;
	(void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)facts.own);
	if ((fd = open(path, O_RDONLY)) == -1)
		return -1;
	close(fd);
	return 0;
}

/* Its limits and its share of the time: a slow death. The limit is set to
 * what it is. */
static int
try_limits(const char *with)
{
	struct rlimit	now;

	(void)with;
	if (prlimit(facts.own, RLIMIT_CPU, NULL, &now) == -1)
		return -1;
	return prlimit(facts.own, RLIMIT_CPU, &now, NULL);
}

static int
try_priority(const char *with)
{
	(void)with;
	return setpriority(PRIO_PROCESS, (id_t)facts.own, 1);
}

/* --- more of us ----------------------------------------------------------- */

static int
try_fork(const char *with)
{
	pid_t	pid = fork();

	(void)with;
	if (pid == 0)
		_exit(0);
	return pid == -1 ? -1 : 0;
}

/* A thread's work. */
static void *
do_nothing(void *arg)
{
	return arg;
}

static int
try_thread(const char *with)
{
	pthread_t	thread;
	int		error = pthread_create(&thread, NULL, do_nothing, NULL);

	(void)with;
	if (error == 0)
		return pthread_join(thread, NULL);
	errno = error;
	return -1;
}

/* A program from the disk. */
static int
try_execute(const char *with)
{
	char	*argv[] = { (char *)(uintptr_t)"booty", NULL };
	char	*none[] = { NULL };

	(void)with;
	(void)execve(facts.program, argv, none);
	return -1;
}

/* A program that never was on a disk. */
static int
try_execute_memory(const char *with)
{
	char	*argv[] = { (char *)(uintptr_t)"booty", NULL };
	char	*none[] = { NULL };
	int	 fd = memfd_create("booty", 0);

	(void)with;
	if (fd == -1)
		return -1;
	if (write(fd, booty, booty_len) != (ssize_t)booty_len)
		return -1;
	(void)syscall(SYS_execveat, fd, "", argv, none, AT_EMPTY_PATH);
	return -1;
}

/* --- somebody else -------------------------------------------------------- */

static int
try_root(const char *with)
{
	(void)with;
	return setuid(0) == 0 && geteuid() == 0 ? 0 :
	    setresuid(0, 0, 0);
}

static int
try_root_group(const char *with)
{
	gid_t	root = 0;

	(void)with;
	return setgroups(1, &root) == 0 ? 0 : setresgid(0, 0, 0);
}

/* The user nobody: nobody of ours is. */
static int
try_other_user(const char *with)
{
	(void)with;
	return setresuid(65534, 65534, 65534);
}

/* --- the kernel ----------------------------------------------------------- */

/* Another error than "you may not" means that we may. */
static int
may(long result, int wanted)
{
	return result != -1 || errno == wanted ? 0 : -1;
}

static int
try_chroot(const char *with)
{
	(void)with;
	return chroot(".");
}

static int
try_mount(const char *with)
{
	(void)with;
	return may(mount("none", "/", "no-such-system", 0, NULL), ENODEV);
}

static int
try_unshare(const char *with)
{
	(void)with;
	return unshare(CLONE_NEWUSER);
}

static int
try_handle(const char *with)
{
	struct { struct file_handle head; char id[8]; }	handle = {
		.head = { .handle_bytes = 8, .handle_type = 255 }
	};

	(void)with;
	return may(open_by_handle_at(AT_FDCWD, &handle.head, O_RDONLY),
	    ESTALE);
}

static int
try_module(const char *with)
{
	(void)with;
	return may(syscall(SYS_finit_module, -1, "", 0), EBADF);
}

static int
try_reboot(const char *with)
{
	(void)with;
	return may(syscall(SYS_reboot, 0, 0, 0, NULL), EINVAL);
}

static int
try_swap(const char *with)
{
	(void)with;
	return may(swapon("/no-such-file", 0), ENOENT);
}

static int
try_clock(const char *with)
{
	(void)with;
	return (int)syscall(SYS_settimeofday, NULL, NULL);
}

static int
try_host_name(const char *with)
{
	static char	name[256];

	(void)with;
	if (gethostname(name, sizeof(name)) == -1)
		return -1;
	return sethostname(name, strlen(name));
}

static int
try_bpf(const char *with)
{
	union bpf_attr	map = { .map_type = BPF_MAP_TYPE_ARRAY,
			    .key_size = 4, .value_size = 4, .max_entries = 1 };

	(void)with;
	return (int)syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof(map)) == -1 ?
	    -1 : 0;
}

static int
try_io_uring(const char *with)
{
	struct io_uring_params	how = { 0 };

	(void)with;
	return syscall(SYS_io_uring_setup, 1, &how) == -1 ? -1 : 0;
}

static int
try_keys(const char *with)
{
	(void)with;
	return syscall(SYS_add_key, "user", "rogue", "x", 1, -2) == -1 ? -1 : 0;
}

static int
try_perf(const char *with)
{
	struct perf_event_attr	what = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(what),
		.config = PERF_COUNT_SW_CPU_CLOCK, .exclude_kernel = 1
	};

	(void)with;
	return syscall(SYS_perf_event_open, &what, 0, -1, -1, 0) == -1 ?
	    -1 : 0;
}

static int
try_userfault(const char *with)
{
	(void)with;
	return syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY) ==
	    -1 ? -1 : 0;
}

static int
try_dumpable(const char *with)
{
	(void)with;
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

#define SIGNAL(user)	{ "signal " user, try_signal, user }

const struct attempt	kernel_attempts[] = {
	SIGNAL("root"),
	SIGNAL("postrider"),
	SIGNAL("postrider-log"),
	SIGNAL("postrider-smtpd"),
	SIGNAL("postrider-drop"),
	SIGNAL("postrider-map"),
	SIGNAL("postrider-dns"),
	SIGNAL("postrider-smtp"),
	SIGNAL("postrider-local"),
	SIGNAL("postrider-key"),
	SIGNAL("postrider-auth"),
	{ "signal own user",	try_signal_own,	NULL },
	{ "trace own user",	try_trace,	NULL },
	{ "memory of own user",	try_memory,	NULL },
	{ "its /proc/PID/mem",	try_memory_file, NULL },
	{ "limits of own user",	try_limits,	NULL },
	{ "slow own user down",	try_priority,	NULL },
	{ "fork",		try_fork,	NULL },
	{ "thread",		try_thread,	NULL },
	{ "execute a program",	try_execute,	NULL },
	{ "execute memory",	try_execute_memory, NULL },
	{ "become root",	try_root,	NULL },
	{ "group of root",	try_root_group,	NULL },
	{ "become nobody",	try_other_user,	NULL },
	{ "chroot",		try_chroot,	NULL },
	{ "mount",		try_mount,	NULL },
	{ "unshare",		try_unshare,	NULL },
	{ "file by handle",	try_handle,	NULL },
	{ "kernel module",	try_module,	NULL },
	{ "reboot",		try_reboot,	NULL },
	{ "swap",		try_swap,	NULL },
	{ "clock",		try_clock,	NULL },
	{ "host name",		try_host_name,	NULL },
	{ "bpf",		try_bpf,	NULL },
	{ "io_uring",		try_io_uring,	NULL },
	{ "keys",		try_keys,	NULL },
	{ "perf",		try_perf,	NULL },
	{ "userfault",		try_userfault,	NULL },
	{ "show memory",	try_dumpable,	NULL },
	{ NULL, NULL, NULL }
};
