/*
 * listen.c - listeners are ready, private, and alone on their place.
 */
#include "common/net/dial.h"

#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { NOBODY = -1 };

static char	directory[64];

static int
enter_directory(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/listen.XXXXXX");
	return mkdtemp(directory) == NULL ? -1 : chdir(directory);
}

static int
leave_directory(void **state)
{
	(void)state;
	return chdir("/") == -1 ? -1 : rmdir(directory);
}

/* Listen on a path as ourselves. */
static int
listen_here(const char *path, int type)
{
	return listen_unix(path, type, 0640, (uid_t)NOBODY, (gid_t)NOBODY);
}

/* Connect to a path: the descriptor or -1. */
static int
call(const char *path, int type)
{
	struct sockaddr_un	un = { .sun_family = AF_UNIX };
	int			fd = socket(AF_UNIX, type, 0);

	assert_true(fd >= 0);
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void
a_port_in_use_is_refused(void **state)
{
	struct sockaddr_storage	sa;
	socklen_t		len = sizeof(sa);
	struct inetaddr		a;
	int			fd;

	(void)state;
	assert_true(inetaddr_parse(&a, "127.0.0.1"));
	assert_true((fd = listen_inet(&a, 5)) >= 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	inetaddr_from_sockaddr(&a, (struct sockaddr *)&sa);
	assert_int_equal(listen_inet(&a, 5), -1);
	assert_int_equal(errno, EADDRINUSE);
	close(fd);
}

static void
the_two_families_share_a_port(void **state)
{
	struct sockaddr_storage	sa;
	socklen_t		len = sizeof(sa);
	struct inetaddr		a, b;
	int			fd, fd6;

	(void)state;
	assert_true(inetaddr_parse(&a, "0.0.0.0"));
	assert_true(inetaddr_parse(&b, "::"));
	assert_true((fd = listen_inet(&a, 5)) >= 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	inetaddr_from_sockaddr(&a, (struct sockaddr *)&sa);
	b.port = a.port;
	if ((fd6 = listen_inet(&b, 5)) == -1)
		assert_int_equal(errno, EAFNOSUPPORT);	/* no IPv6 here */
	else
		close(fd6);
	close(fd);
}

static void
a_unix_listener_has_mode_and_type(void **state)
{
	struct stat	st;
	mode_t		mask = umask(077);
	int		fd, other;

	(void)state;
	assert_true((fd = listen_here("s", SOCK_SEQPACKET)) >= 0);
	umask(mask);
	assert_int_equal(stat("s", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(call("s", SOCK_STREAM), -1);
	assert_true((other = call("s", SOCK_SEQPACKET)) >= 0);
	close(other);
	close(fd);
	unlink("s");
}

static void
an_owner_is_set_when_told(void **state)
{
	struct stat	st;
	int		fd;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_true((fd = listen_unix("s", SOCK_STREAM, 0600, 12345, 54321)) >=
	    0);
	assert_int_equal(stat("s", &st), 0);
	assert_int_equal(st.st_uid, 12345);
	assert_int_equal(st.st_gid, 54321);
	close(fd);
	unlink("s");
}

static void
a_stale_socket_is_replaced_and_a_living_one_is_not(void **state)
{
	int	fd, again;

	(void)state;
	assert_true((fd = listen_here("s", SOCK_SEQPACKET)) >= 0);
	assert_int_equal(listen_here("s", SOCK_SEQPACKET), -1);
	assert_int_equal(errno, EADDRINUSE);
	assert_int_equal(listen_here("s", SOCK_STREAM), -1);
	assert_int_equal(errno, EADDRINUSE);
	close(fd);
	assert_true((again = listen_here("s", SOCK_SEQPACKET)) >= 0);
	assert_true((fd = call("s", SOCK_SEQPACKET)) >= 0);
	close(fd);
	close(again);
	unlink("s");
}

static void
what_is_no_socket_is_not_removed(void **state)
{
	int	fd = open("file", O_CREAT | O_WRONLY, 0600);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(symlink("nowhere", "link"), 0);
	assert_int_equal(listen_here("file", SOCK_STREAM), -1);
	assert_int_equal(errno, EEXIST);
	assert_int_equal(listen_here("link", SOCK_STREAM), -1);
	assert_int_equal(errno, EEXIST);
	assert_int_equal(access("file", F_OK), 0);
	unlink("file");
	unlink("link");
}

static void
a_path_too_long_for_the_kernel_is_refused(void **state)
{
	char	path[200];

	(void)state;
	memset(path, 'a', sizeof(path));
	path[108] = '\0';
	assert_int_equal(listen_here(path, SOCK_STREAM), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	assert_int_equal(listen_here("", SOCK_STREAM), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(listen_here("no/such/s", SOCK_STREAM), -1);
	assert_int_equal(errno, ENOENT);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(a_port_in_use_is_refused),
		cmocka_unit_test(the_two_families_share_a_port),
		cmocka_unit_test(a_unix_listener_has_mode_and_type),
		cmocka_unit_test(an_owner_is_set_when_told),
		cmocka_unit_test(
		    a_stale_socket_is_replaced_and_a_living_one_is_not),
		cmocka_unit_test(what_is_no_socket_is_not_removed),
		cmocka_unit_test(a_path_too_long_for_the_kernel_is_refused),
	};

	return cmocka_run_group_tests_name("listen", tests, enter_directory,
	    leave_directory);
}
