/*
 * mbox_mark.c - claims about lock files that say who made them.
 *
 * needs: local/mbox_mark.c
 */
#include "t/local/mailboxes.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "local/mbox.h"

/* A lock file that a child of ours has made, who waits for his end or is gone.
 */
static pid_t
lock_of_child(const char *path, bool is_dead)
{
	int	ready[2], status;
	char	byte;
	pid_t	pid;

	assert_int_equal(pipe(ready), 0);
	if ((pid = fork()) == 0) {
		mbox_mark_prepare();
		if (mbox_mark_make(path) == -1)
			_exit(1);
		(void)!write(ready[1], "", 1);
		while (!is_dead)
			pause();
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	if (is_dead)
		assert_int_equal(waitpid(pid, &status, 0), pid);
	return pid;
}

/* Our own mark, with one of its three words replaced. */
static char *
mark_with(int word, const char *text)
{
	char	*own, *boot, *space, *words[3];

	if (access("own", F_OK) == -1)
		assert_int_equal(mbox_mark_make("own"), 0);
	own = content_of("own");
	boot = strstr(own, "\npostrider ");
	assert_non_null(boot);
	*boot = '\0';
	boot += strlen("\npostrider ");
	space = strchr(boot, ' ');
	assert_non_null(space);
	*space++ = '\0';
	words[0] = own;
	words[1] = boot;
	words[2] = pool_strndup(pool, space, strcspn(space, "\n"));
	words[word] = pool_strdup(pool, text);
	return pool_printf(pool, "%s\npostrider %s %s\n", words[0], words[1],
	    words[2]);
}

static int
prepare(void **state)
{
	mbox_mark_prepare();
	return set_up(state);
}

static void
a_lock_file_begins_with_our_number(void **state)
{
	char	*text;

	(void)state;
	assert_int_equal(mbox_mark_make("lock"), 0);
	text = content_of("lock");
	assert_int_equal(atoi(text), getpid());
	assert_non_null(strstr(text, "\npostrider "));
}

static void
one_that_is_there_is_left_as_it_is(void **state)
{
	(void)state;
	write_file("lock", "theirs");
	assert_int_equal(mbox_mark_make("lock"), -1);
	assert_int_equal(errno, EEXIST);
	assert_string_equal(content_of("lock"), "theirs");
	assert_int_equal(symlink("nowhere", "link"), 0);
	assert_int_equal(mbox_mark_make("link"), -1);
	assert_int_equal(errno, EEXIST);
	assert_int_equal(access("nowhere", F_OK), -1);
}

static void
a_maker_who_lives_is_not_gone(void **state)
{
	pid_t	pid = lock_of_child("lock", false);
	bool	is_dead = mbox_mark_is_dead("lock");
	int	status;

	(void)state;
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_false(is_dead);
	assert_true(mbox_mark_is_dead("lock"));
}

static void
a_maker_who_has_ended_is_gone(void **state)
{
	(void)state;
	lock_of_child("lock", true);
	assert_true(mbox_mark_is_dead("lock"));
}

static void
a_maker_of_another_boot_is_gone_even_if_his_number_is_somebody_s(void **state)
{
	(void)state;
	write_file("lock", mark_with(1, "another-boot"));
	assert_true(mbox_mark_is_dead("lock"));
}

static void
a_number_of_another_count_of_processes_says_nothing(void **state)
{
	struct stat	st;
	pid_t		pid = lock_of_child("lock", true);

	(void)state;
	write_file("lock", mark_with(0, pool_printf(pool, "%d", (int)pid)));
	assert_true(mbox_mark_is_dead("lock"));
	assert_int_equal(stat("/proc/self/ns/pid", &st), 0);
	write_file("lock", mark_with(2, pool_printf(pool, "%llu",
	    (unsigned long long)st.st_ino + 1)));
	assert_false(mbox_mark_is_dead("lock"));
}

static void
what_is_not_ours_is_not_gone(void **state)
{
	static const char *const	texts[] = {
		"", "0", "999999999\n", "999999999\nprocmail", "lock\n",
		"-1\npostrider", "\n\n\npostrider a 1", "0\npostrider x 1\n"
	};
	size_t				i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		write_file("lock", texts[i]);
		assert_false(mbox_mark_is_dead("lock"));
	}
	assert_false(mbox_mark_is_dead("nothing"));
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_false(mbox_mark_is_dead("fifo"));
	write_file("dead", mark_with(1, "another-boot"));
	assert_int_equal(symlink("dead", "link"), 0);
	assert_false(mbox_mark_is_dead("link"));
}

/* In a container with a boot of its own, as systemd-nspawn makes one: does it
 * mark its locks (1), take ours for one of somebody who is gone (2)? 64: there
 * can be no such container here. */
static int
judge_in_container(void)
{
	int	result = 0;

	if (unshare(CLONE_NEWNS) == -1 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
	    mount("boot", "/proc/sys/kernel/random/boot_id", NULL, MS_BIND,
	    NULL) == -1)
		return 64;
	mbox_mark_prepare();
	if (mbox_mark_make("theirs") == -1 || content_of("theirs")[0] != '\0')
		result |= 1;
	if (mbox_mark_is_dead("ours"))
		result |= 2;
	return result;
}

static void
a_container_with_a_boot_of_its_own_judges_nobody(void **state)
{
	int	status;
	pid_t	pid;

	(void)state;
	write_file("boot", "01234567-89ab-cdef-0123-456789abcdef\n");
	assert_int_equal(mbox_mark_make("ours"), 0);
	if ((pid = fork()) == 0)
		_exit(judge_in_container());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 64)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_false(mbox_mark_is_dead("theirs"));
}

/* After a power cut the content may be gone; the attribute is not. */
static void
a_lock_file_without_its_content_has_its_mark_all_the_same(void **state)
{
	char	*mark;

	(void)state;
	lock_of_child("lock", true);
	if (getxattr("lock", "user.postrider.lock", NULL, 0) == -1)
		skip();			/* tmpfs before Linux 6.6 */
	assert_int_equal(truncate("lock", 0), 0);
	assert_true(mbox_mark_is_dead("lock"));
	mark = mark_with(1, "x");
	assert_int_equal(truncate("lock", (off_t)strlen(mark)), 0);
	assert_true(mbox_mark_is_dead("lock"));
}

int
main(void)
{
#define CLAIM_OF(f) cmocka_unit_test_setup_teardown(f, prepare, tear_down)
	const struct CMUnitTest	claims[] = {
		CLAIM_OF(a_lock_file_begins_with_our_number),
		CLAIM_OF(one_that_is_there_is_left_as_it_is),
		CLAIM_OF(a_maker_who_lives_is_not_gone),
		CLAIM_OF(a_maker_who_has_ended_is_gone),
		CLAIM_OF(
	    a_maker_of_another_boot_is_gone_even_if_his_number_is_somebody_s),
		CLAIM_OF(a_number_of_another_count_of_processes_says_nothing),
		CLAIM_OF(what_is_not_ours_is_not_gone),
		CLAIM_OF(a_container_with_a_boot_of_its_own_judges_nobody),
		CLAIM_OF(
		    a_lock_file_without_its_content_has_its_mark_all_the_same)
	};

	return cmocka_run_group_tests(claims, NULL, NULL);
}
