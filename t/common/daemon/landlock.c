/*
 * landlock.c - the directories of a role's row are open, all others are not.
 *
 * A kernel without Landlock skips what it cannot forbid; what must stay
 * possible is tried on every kernel.
 */
#include "t/common/daemon/child.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "common/daemon/inside.h"

static char	queue[64];

/* The kernel's Landlock ABI, 0 without. */
static long
abi(void)
{
	long	n = syscall(444, NULL, 0, 1);

	return n > 0 ? n : 0;
}

static const char *const	 directories[] = {
	"incoming", "deferred", "hold", "corrupt", "maildrop", "private"
};
enum { DIRECTORIES = sizeof(directories) / sizeof(directories[0]) };

/* A queue directory, which is the current one from now on. */
static int
set_up(void **state)
{
	size_t	i;

	(void)state;
	strlcpy(queue, "/tmp/postrider-landlock-XXXXXX", sizeof(queue));
	if (mkdtemp(queue) == NULL || chdir(queue) == -1)
		return -1;
	for (i = 0; i < DIRECTORIES; i++)
		if (mkdir(directories[i], 0700) == -1)
			return -1;
	return 0;
}

/* Make a file, true if that was possible. */
static bool
can_create(const char *name)
{
	int	fd = open(name, O_RDWR | O_CREAT, 0600);

	if (fd == -1)
		return false;
	close(fd);
	return true;
}

static int
tear_down(void **state)
{
	(void)state;
	(void)unlink("incoming/b");
	(void)unlink("deferred/3f/a");
	(void)rmdir("deferred/3f");
	for (size_t i = 0; i < DIRECTORIES; i++)
		(void)rmdir(directories[i]);
	return chdir("/") == -1 || rmdir(queue) == -1 ? -1 : 0;
}

static int
work_as_qmgr(void)
{
	landlock_enter(role_find("qmgr"));
	if (!can_create("incoming/a"))
		return 1;
	if (mkdir("deferred/3f", 0700) == -1)
		return 2;
	if (rename("incoming/a", "deferred/3f/a") == -1)
		return 3;
	if (unlink("deferred/3f/a") == -1 || rmdir("deferred/3f") == -1)
		return 4;
	return 0;
}

static void
qmgr_moves_files_between_its_directories(void **state)
{
	(void)state;
	assert_int_equal(in_child(work_as_qmgr), 0);
}

static int
stray_as_cleanup(void)
{
	landlock_enter(role_find("cleanup"));
	if (!can_create("incoming/b"))
		return 1;
	if (can_create("deferred/b") || errno != EACCES)
		return 2;
	if (rename("incoming/b", "deferred/b") == 0)
		return 3;
	if (open("/etc/passwd", O_RDONLY) != -1)
		return 4;
	return 0;
}

static void
cleanup_has_incoming_only(void **state)
{
	(void)state;
	if (abi() < 2)
		skip();
	assert_int_equal(in_child(stray_as_cleanup), 0);
}

static int
read_as_resolve(void)
{
	landlock_enter(role_find("resolve"));
	if (open("/etc/passwd", O_RDONLY) == -1)
		return 1;
	if (can_create("incoming/c"))
		return 2;
	if (unlink("/tmp/anything") == 0 || errno == 0)
		return 3;
	return 0;
}

static void
resolve_reads_everything_and_writes_nothing(void **state)
{
	(void)state;
	if (abi() < 1)
		skip();
	assert_int_equal(in_child(read_as_resolve), 0);
}

static struct sockaddr_in	listener_at;

/* Connect to the listener of the parent. */
static int
connect_to_parent(void)
{
	int	fd = socket(AF_INET, SOCK_STREAM, 0);

	return connect(fd, (struct sockaddr *)&listener_at,
	    sizeof(listener_at));
}

static int
connect_as_cleanup(void)
{
	landlock_enter(role_find("cleanup"));
	return connect_to_parent() == -1 && errno == EACCES ? 0 : 1;
}

static int
connect_as_smtp(void)
{
	struct sockaddr_in	here = { .sin_family = AF_INET };
	int			fd = socket(AF_INET, SOCK_STREAM, 0);

	landlock_enter(role_find("smtp"));
	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&here, sizeof(here)) == -1)
		return 1;	/* any port is fine */
	here.sin_port = htons(40123);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(fd, (struct sockaddr *)&here, sizeof(here)) == 0)
		return 2;	/* a port of its own is not */
	return connect_to_parent() == 0 ? 0 : 3;
}

static void
who_has_no_business_there_does_not_connect_by_tcp(void **state)
{
	socklen_t	len = sizeof(listener_at);
	int		fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	if (abi() < 4)
		skip();
	listener_at.sin_family = AF_INET;
	listener_at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&listener_at, len), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&listener_at,
	    &len), 0);
	assert_int_equal(in_child(connect_as_cleanup), 0);
	assert_int_equal(in_child(connect_as_smtp), 0);
	close(fd);
}

static int
signal_as_smtpd(void)
{
	landlock_enter(role_find("smtpd"));
	if (kill(getpid(), 0) == -1)
		return 1;
	return kill(getppid(), 0) == -1 && errno == EPERM ? 0 : 2;
}

static void
nobody_signals_other_processes(void **state)
{
	(void)state;
	if (abi() < 6)
		skip();
	assert_int_equal(in_child(signal_as_smtpd), 0);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(qmgr_moves_files_between_its_directories),
		TEST(cleanup_has_incoming_only),
		TEST(resolve_reads_everything_and_writes_nothing),
		TEST(who_has_no_business_there_does_not_connect_by_tcp),
		TEST(nobody_signals_other_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
