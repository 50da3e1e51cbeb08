/*
 * fs.c - claims about files. P1 of common/base/fs.c has its tests here.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/fs.h"

#include "t/common/base/place.h"

enum { NOEXEC_SEAL = 0x8 };		/* MFD_NOEXEC_SEAL, since Linux 6.3 */

static struct pool	*pool;

static int
set_up(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	return make_place();
}

static int
tear_down(void **state)
{
	(void)state;
	pool_free(pool);
	return remove_place();
}

/* How many names are in the test's directory? */
static int
names(void)
{
	DIR	*d = opendir(".");
	int	 n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n - 2;
}

static mode_t
mode_of(const char *path)
{
	struct stat	st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void
put(const char *path, const char *text)
{
	assert_int_equal(fs_replace_file(path, text, strlen(text), 0644), 0);
}

static void
holds(const char *path, const char *text)
{
	size_t	 len = 0;
	char	*data = fs_read_file(pool, path, 1 << 20, &len);

	assert_non_null(data);
	assert_int_equal(len, strlen(text));
	assert_string_equal(data, text);
}

/* No file grows beyond this; the limit before. */
static struct rlimit
limit_files(rlim_t size)
{
	struct rlimit	before, few;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	few = before;
	few.rlim_cur = size;
	setrlimit(RLIMIT_FSIZE, &few);
	return before;
}

static void
new_file_has_content_and_exact_mode(void **state)
{
	mode_t	before = umask(077);

	(void)state;
	assert_int_equal(fs_replace_file("new", "text", 4, 0664), 0);
	umask(before);
	holds("new", "text");
	assert_int_equal(mode_of("new"), 0664);
	assert_int_equal(names(), 1);
}

static void
replaced_file_keeps_its_mode(void **state)
{
	(void)state;
	put("file", "old");
	assert_int_equal(chmod("file", 0640), 0);
	put("file", "fresh");
	holds("file", "fresh");
	assert_int_equal(mode_of("file"), 0640);
	assert_int_equal(names(), 1);
}

static void
replaced_file_keeps_its_owner_when_root_does_it(void **state)
{
	struct stat	st;

	(void)state;
	if (geteuid() != 0)
		skip();
	put("file", "old");
	assert_int_equal(chown("file", 12345, 23456), 0);
	put("file", "fresh");
	assert_int_equal(stat("file", &st), 0);
	assert_int_equal(st.st_uid, 12345);
	assert_int_equal(st.st_gid, 23456);
}

static void
symbolic_link_stays_a_link(void **state)
{
	struct stat	st;

	(void)state;
	put("target", "old");
	assert_int_equal(symlink("target", "link"), 0);
	put("link", "fresh");
	assert_int_equal(lstat("link", &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	holds("target", "fresh");
}

static void
P1_failed_write_leaves_the_old_file_alone(void **state)
{
	struct rlimit	before;
	char		*big = pool_alloc(pool, 8192);

	(void)state;
	put("file", "old");
	before = limit_files(4096);
	errno = 0;
	assert_int_equal(fs_replace_file("file", big, 8192, 0644), -1);
	assert_int_equal(errno, EFBIG);
	setrlimit(RLIMIT_FSIZE, &before);
	holds("file", "old");
	assert_int_equal(names(), 1);
}

static void
P1_failed_rename_leaves_nothing_else(void **state)
{
	(void)state;
	assert_int_equal(mkdir("dir", 0700), 0);
	assert_int_equal(fs_replace_file("dir", "x", 1, 0644), -1);
	assert_int_equal(names(), 1);
	assert_int_equal(fs_replace_file("none/file", "x", 1, 0644), -1);
	assert_int_equal(errno, ENOENT);
}

static void
reading_has_a_limit(void **state)
{
	size_t	len;

	(void)state;
	put("file", "12345");
	assert_non_null(fs_read_file(pool, "file", 5, &len));
	assert_int_equal(len, 5);
	assert_null(fs_read_file(pool, "file", 4, &len));
	assert_int_equal(errno, EFBIG);
	assert_null(fs_read_file(pool, "none", 4, &len));
	assert_int_equal(errno, ENOENT);
	put("empty", "");
	holds("empty", "");
}

static void
only_regular_files_are_read(void **state)
{
	(void)state;
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_null(fs_read_file(pool, "fifo", 100, NULL));
	assert_int_equal(errno, EINVAL);
	assert_null(fs_read_file(pool, ".", 100, NULL));
	assert_int_equal(errno, EISDIR);
	assert_null(fs_read_file(pool, "/dev/zero", 100, NULL));
	assert_int_equal(errno, EINVAL);
}

static void
file_without_a_size_is_read_whole(void **state)
{
	size_t	 len = 0;
	char	*data = fs_read_file(pool, "/proc/self/status", 1 << 20, &len);

	(void)state;
	assert_non_null(data);
	assert_true(len > 100);
	assert_int_equal(strlen(data), len);
	assert_null(fs_read_file(pool, "/proc/self/status", 100, NULL));
	assert_int_equal(errno, EFBIG);
}

/* A setting of the kernel's can be read once, from its beginning. */
static void
kernel_setting_is_read_whole(void **state)
{
	char	*data = fs_read_file(pool, "/proc/sys/kernel/pid_max", 64,
		    NULL);

	(void)state;
	assert_non_null(data);
	assert_true(strlen(data) > 4 && data[strlen(data) - 1] == '\n');
}

static void
offsets_are_honoured(void **state)
{
	int	fd = open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char	data[10];

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fs_write(fd, "0123456789", 10), 0);
	assert_int_equal(fs_pwrite(fd, "ab", 2, 4), 0);
	assert_int_equal(fs_pread(fd, data, 4, 3), 4);
	assert_memory_equal(data, "3ab6", 4);
	assert_int_equal(fs_pread(fd, data, 10, 7), 3);
	assert_int_equal(fs_pread(fd, data, 10, 100), 0);
	assert_int_equal(fs_sync(fd), 0);
	close(fd);
	assert_int_equal(fs_write(fd, "x", 1), -1);
	assert_int_equal(fs_pread(fd, data, 1, 0), -1);
	assert_int_equal(fs_sync(fd), -1);
}

static void
big_write_through_a_small_pipe_is_whole(void **state)
{
	enum { SIZE = 300000 };
	char	*data = pool_alloc(pool, SIZE);
	int	 ends[2], status;
	size_t	 got = 0;
	ssize_t	 n;
	pid_t	 child;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	if ((child = fork()) == 0) {
		close(ends[0]);
		_exit(fs_write(ends[1], data, SIZE) == 0 ? 0 : 1);
	}
	close(ends[1]);
	while ((n = read(ends[0], data, SIZE)) > 0)
		got += (size_t)n;
	close(ends[0]);
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(got, SIZE);
}

/* The kernel's answer, or that of one before 6.3, and how often it was asked;
 * the program's calls arrive here. */
static bool	is_old;
static int	questions;

int
memfd_create(const char *name, unsigned flags)
{
	questions++;
	if (is_old && flags & NOEXEC_SEAL) {
		errno = EINVAL;
		return -1;
	}
	return (int)syscall(SYS_memfd_create, name, flags);
}

static void
nobody_changes_memory(void **state)
{
	const int	seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW |
			    F_SEAL_WRITE;
	int		fd = fs_memory("test", "content", 7);
	char		data[10];

	(void)state;
	assert_int_equal(fs_pread(fd, data, sizeof(data), 0), 7);
	assert_memory_equal(data, "content", 7);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fcntl(fd, F_GET_SEALS) & seals, seals);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(pwrite(fd, "x", 1, 7), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	close(fd);
}

/* What a process learns of its kernel is for life: a child tells. */
static int
in_old_kernel(void)
{
	int	first, second;

	is_old = true;
	if ((first = fs_memory("test", "a", 1)) == -1)
		return 1;
	questions = 0;
	if ((second = fs_memory("test", "b", 1)) == -1)
		return 2;
	if (questions != 1)
		return 3;
	return pwrite(first, "x", 1, 0) == -1 &&
	    pwrite(second, "x", 1, 0) == -1 ? 0 : 4;
}

static void
old_kernel_gives_memory_and_is_asked_once(void **state)
{
	int	status;
	pid_t	child = fork();

	(void)state;
	if (child == 0)
		_exit(in_old_kernel());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void
memory_that_cannot_be_filled_is_none(void **state)
{
	struct rlimit	before;
	char		*big = pool_alloc(pool, 8192);
	int		 next = dup(STDERR_FILENO);

	(void)state;
	close(next);
	before = limit_files(4096);
	errno = 0;
	assert_int_equal(fs_memory("test", big, 8192), -1);
	assert_int_equal(errno, EFBIG);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(dup(STDERR_FILENO), next);	/* none is left open */
	close(next);
}

static void
directory_is_made_once_with_exact_mode(void **state)
{
	mode_t	before = umask(077);

	(void)state;
	assert_int_equal(fs_make_directory("dir", 02750, -1U, -1U), 0);
	umask(before);
	assert_int_equal(mode_of("dir"), 02750);
	assert_int_equal(fs_make_directory("dir", 0700, -1U, -1U), 0);
	assert_int_equal(mode_of("dir"), 02750);
	put("file", "x");
	assert_int_equal(fs_make_directory("file", 0700, -1U, -1U), -1);
	assert_int_equal(errno, ENOTDIR);
	assert_int_equal(fs_make_directory("none/dir", 0700, -1U, -1U), -1);
	assert_int_equal(errno, ENOENT);
}

static void
directory_can_be_synced(void **state)
{
	int	fd = fs_open_directory(AT_FDCWD, ".");

	(void)state;
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fs_sync(fd), 0);
	close(fd);
	put("file", "x");
	assert_int_equal(fs_open_directory(AT_FDCWD, "file"), -1);
	assert_int_equal(errno, ENOTDIR);
}

static void
flags_go_on_and_off(void **state)
{
	int	fd = open("/dev/null", O_RDONLY);

	(void)state;
	assert_int_equal(fs_set_nonblocking(fd, true), 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_int_equal(fs_set_nonblocking(fd, false), 0);
	assert_false(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_int_equal(fs_set_cloexec(fd, true), 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fs_set_cloexec(fd, false), 0);
	assert_false(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	assert_int_equal(fs_set_cloexec(fd, true), -1);
	assert_int_equal(fs_set_nonblocking(fd, true), -1);
}

/* Which of 0 to 3 are open after these were closed? As bits. */
static unsigned
open_after(unsigned closed)
{
	int	fd, status;
	pid_t	pid;

	if ((pid = fork()) == 0) {
		for (fd = 0; fd < 4; fd++)
			if (fd == 3 || (closed & 1u << fd))
				close(fd);
		fs_open_standard();
		for (status = fd = 0; fd < 4; fd++)
			if (fcntl(fd, F_GETFD) == 0)
				status |= 1 << fd;
		_exit(status);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return (unsigned)WEXITSTATUS(status);
}

static void
closed_standard_descriptors_are_opened_on_nothing(void **state)
{
	unsigned	closed;

	(void)state;
	for (closed = 0; closed < 8; closed++)
		assert_int_equal(open_after(closed), 7);
}

static void
free_space_is_told(void **state)
{
	int	fd = fs_open_directory(AT_FDCWD, ".");
	int64_t	bytes = -1, inodes = -1;

	(void)state;
	assert_int_equal(fs_free_space(fd, &bytes, &inodes), 0);
	assert_true(bytes > 0 && inodes > 0);
	bytes = inodes = -1;
	assert_int_equal(fs_free_space(AT_FDCWD, &bytes, &inodes), 0);
	assert_true(bytes > 0 && inodes > 0);
	close(fd);
	assert_int_equal(fs_free_space(fd, &bytes, &inodes), -1);
}

/* --- a file system that does not know RENAME_NOREPLACE -------------------- */

static bool	is_old;

/* Instead of libc's. */
int
renameat2(int from_at, const char *from, int to_at, const char *to,
    unsigned flags)
{
	errno = EINVAL;
	return is_old && flags != 0 ? -1 : (int)syscall(SYS_renameat2, from_at,
	    from, to_at, to, flags);
}

static void
rename_never_replaces_on_any_file_system(void **state)
{
	int	at = fs_open_directory(AT_FDCWD, "."), i;

	(void)state;
	for (i = 0; i < 2; i++) {
		is_old = i == 1;
		close(creat("a", 0600));
		close(creat("b", 0600));
		assert_int_equal(fs_rename_new(at, "a", at, "b"), -1);
		assert_int_equal(errno, EEXIST);
		assert_int_equal(names(), 2);
		assert_int_equal(fs_rename_new(at, "a", at, "c"), 0);
		assert_int_equal(faccessat(at, "c", F_OK, 0), 0);
		assert_int_equal(fs_rename_new(at, "b", at, "3f/b"), -1);
		assert_int_equal(errno, ENOENT);
		assert_int_equal(fs_rename_new(at, "b", at, "c/b"), -1);
		assert_int_equal(errno, ENOTDIR);
		assert_int_equal(unlink("b") + unlink("c"), 0);
	}
	is_old = false;
	close(at);
}

#define CLAIM_THAT(name) \
	cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		CLAIM_THAT(new_file_has_content_and_exact_mode),
		CLAIM_THAT(replaced_file_keeps_its_mode),
		CLAIM_THAT(replaced_file_keeps_its_owner_when_root_does_it),
		CLAIM_THAT(symbolic_link_stays_a_link),
		CLAIM_THAT(P1_failed_write_leaves_the_old_file_alone),
		CLAIM_THAT(P1_failed_rename_leaves_nothing_else),
		CLAIM_THAT(reading_has_a_limit),
		CLAIM_THAT(only_regular_files_are_read),
		CLAIM_THAT(file_without_a_size_is_read_whole),
		CLAIM_THAT(kernel_setting_is_read_whole),
		CLAIM_THAT(offsets_are_honoured),
		CLAIM_THAT(big_write_through_a_small_pipe_is_whole),
		CLAIM_THAT(nobody_changes_memory),
		CLAIM_THAT(old_kernel_gives_memory_and_is_asked_once),
		CLAIM_THAT(memory_that_cannot_be_filled_is_none),
		CLAIM_THAT(directory_is_made_once_with_exact_mode),
		CLAIM_THAT(directory_can_be_synced),
		CLAIM_THAT(rename_never_replaces_on_any_file_system),
		CLAIM_THAT(flags_go_on_and_off),
		CLAIM_THAT(closed_standard_descriptors_are_opened_on_nothing),
		CLAIM_THAT(free_space_is_told),
	};

	return cmocka_run_group_tests_name("fs", tests, NULL, NULL);
}
