/*
 * seccomp.c - each role can do its work and little else.
 *
 * Every test is a child that enters the filter and tries; its exit status is
 * the number of the step that went wrong, 0 if none did.
 */
#include "t/common/daemon/child.h"

#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "common/daemon/inside.h"
#include "common/fiber/loop.h"
#include "common/fiber/offload.h"

#if defined(SANITIZED) || !defined(HAVE_SECCOMP)
#define SKIP_WITHOUT_FILTER()	skip()
#else
#define SKIP_WITHOUT_FILTER()	((void)0)
#endif

/* Is the call refused, with one of the errors for that? */
#define REFUSED(call) \
	((call) == -1 && (errno == ENOSYS || errno == EACCES))

static int
be_smtpd(void)
{
	struct statvfs	fs;
	char		buffer[8];
	int		ends[2];

	if (pipe(ends) == -1)
		return 1;
	seccomp_enter(role_find("smtpd"));
	if (!REFUSED(open("/etc/passwd", O_RDONLY)))
		return 2;
	if (!REFUSED(open("/tmp/x", O_RDWR | O_CREAT, 0600)))
		return 3;
	if (!REFUSED(socket(AF_INET, SOCK_STREAM, 0)))
		return 4;
	if (!REFUSED(socket(AF_INET6, SOCK_DGRAM, 0)))
		return 5;
	if (!REFUSED(fork()))
		return 6;
	if (!REFUSED(unlink("/tmp/x")))
		return 7;
	if (!REFUSED(kill(getppid(), 0)))
		return 8;
	if (socket(AF_UNIX, SOCK_SEQPACKET, 0) == -1)
		return 9;
	if (write(ends[1], "hi", 2) != 2 || read(ends[0], buffer, 8) != 2)
		return 10;
	free(malloc(1 << 22));
	if (statvfs(".", &fs) == -1)	/* room in the queue */
		return 11;
	return 0;
}

static void
smtpd_has_its_sockets_and_nothing_else(void **state)
{
	(void)state;
	SKIP_WITHOUT_FILTER();
	assert_int_equal(in_child(be_smtpd), 0);
}

static int
exec_as_smtpd(void)
{
	seccomp_enter(role_find("smtpd"));
	execl("/bin/true", "true", (char *)NULL);
	return 1;
}

static int
trace_as_qmgr(void)
{
	seccomp_enter(role_find("qmgr"));
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	return 1;
}

static int
unshare_as_resolve(void)
{
	seccomp_enter(role_find("resolve"));
	syscall(SYS_unshare, 0);
	return 1;
}

static void
what_only_an_intruder_calls_is_the_end(void **state)
{
	(void)state;
	SKIP_WITHOUT_FILTER();
	assert_int_equal(in_child(exec_as_smtpd), 1000 + SIGSYS);
	assert_int_equal(in_child(trace_as_qmgr), 1000 + SIGSYS);
	assert_int_equal(in_child(unshare_as_resolve), 1000 + SIGSYS);
}

static int
be_smtp(void)
{
	struct sockaddr_in	to = { .sin_family = AF_INET };
	int			fd;

	seccomp_enter(role_find("smtp"));
	if ((fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)) == -1)
		return 1;
	if (bind(fd, (struct sockaddr *)&to, sizeof(to)) == -1)
		return 2;
	if (!REFUSED(socket(AF_INET, SOCK_DGRAM, 0)))
		return 3;
	if (!REFUSED(listen(fd, 1)))
		return 4;
	if (!REFUSED(open("/etc/passwd", O_RDONLY)))
		return 5;
	return 0;
}

static void
smtp_may_connect_but_not_listen(void **state)
{
	(void)state;
	SKIP_WITHOUT_FILTER();
	assert_int_equal(in_child(be_smtp), 0);
}

static int
be_resolve(void)
{
	seccomp_enter(role_find("resolve"));
	if (open("/etc/passwd", O_RDONLY) == -1)
		return 1;
	if (!REFUSED(open("/etc/passwd", O_RDWR)))
		return 2;
	if (!REFUSED(open("/tmp/x", O_RDONLY | O_CREAT, 0600)))
		return 3;
	if (!REFUSED(socket(AF_PACKET, SOCK_RAW, 0)))
		return 4;
	if (!REFUSED(chmod("/tmp", 0700)))
		return 5;
	return 0;
}

static void
resolve_reads_and_never_writes(void **state)
{
	(void)state;
	SKIP_WITHOUT_FILTER();
	assert_int_equal(in_child(be_resolve), 0);
}

static int	offload_result;

static int
work(void *arg)
{
	return *(int *)arg + 1;
}

static void
use_threads(void *arg)
{
	int	fd = open(arg, O_RDWR | O_CREAT | O_TRUNC, 0600), one = 1;

	offload_result = fd != -1 && write(fd, "x", 1) == 1 &&
	    offload_sync(fd) == 0 && offload(work, &one) == 2;
	unlink(arg);
	loop_stop();
}

static int
sync_as_cleanup(void)
{
	char	name[64];

	snprintf(name, sizeof(name), "/tmp/postrider-seccomp.%d", getpid());
	seccomp_enter(role_find("cleanup"));
	loop_open();
	fiber_start(use_threads, name);
	loop_run();
	return offload_result ? 0 : 1;
}

static void
threads_still_sync_behind_the_filter(void **state)
{
	(void)state;
	SKIP_WITHOUT_FILTER();
	assert_int_equal(in_child(sync_as_cleanup), 0);
}

static int
abort_as_anvil(void)
{
	seccomp_enter(role_find("anvil"));
	abort();
}

static void
a_bug_still_ends_in_abort(void **state)
{
	(void)state;
	SKIP_WITHOUT_FILTER();
	assert_int_equal(in_child(abort_as_anvil), 1000 + SIGABRT);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(smtpd_has_its_sockets_and_nothing_else),
		cmocka_unit_test(what_only_an_intruder_calls_is_the_end),
		cmocka_unit_test(smtp_may_connect_but_not_listen),
		cmocka_unit_test(resolve_reads_and_never_writes),
		cmocka_unit_test(threads_still_sync_behind_the_filter),
		cmocka_unit_test(a_bug_still_ends_in_abort),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
