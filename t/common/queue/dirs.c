/*
 * dirs.c - claims about names in the queue's directories.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "t/common/queue/queue.h"


/* Create a complete message. */
static char *
message(char id[QUEUE_ID_MAX + 1])
{
	int	fd = queue_create(queue_id_new(id, 1));

	assert_int_not_equal(fd, -1);
	assert_int_equal(queue_set_complete(fd), 0);
	close(fd);
	return id;
}

/* Does it exist, by a path? */
static bool
exists(enum queue_dir dir, const char *id)
{
	struct pool	*pool = pool_new("test", 0);
	bool		 is_there = faccessat(root, queue_path(pool, dir, id),
			    F_OK, 0) == 0;

	pool_free(pool);
	return is_there;
}

/* P1 */
static void
a_new_file_is_incomplete_until_it_is_said(void **state)
{
	char		id[QUEUE_ID_MAX + 1];
	struct stat	st;
	int		fd = queue_create(queue_id_new(id, 1));

	(void)state;
	assert_int_equal(fstat(fd, &st), 0);
	assert_false(queue_is_complete(st.st_mode));
	assert_int_equal(st.st_mode & 0077, 0);
	assert_int_equal(queue_set_complete(fd), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(queue_is_complete(st.st_mode));
	close(fd);
	assert_int_equal(queue_remove(QUEUE_INCOMING, id), 0);
}

static void
marks_are_for_complete_files_and_stay(void **state)
{
	char		id[QUEUE_ID_MAX + 1];
	struct stat	st;
	int		fd = queue_create(queue_id_new(id, 1));

	(void)state;
	assert_int_equal(queue_set_renewed(fd), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(queue_set_complete(fd), 0);
	assert_int_equal(queue_set_renewed(fd), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(queue_is_renewed(st.st_mode));
	assert_false(queue_is_expired(st.st_mode));
	assert_int_equal(queue_set_expired(fd), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(queue_is_renewed(st.st_mode));
	assert_true(queue_is_expired(st.st_mode));
	assert_true(queue_is_complete(st.st_mode));
	close(fd);
	assert_int_equal(queue_remove(QUEUE_INCOMING, id), 0);
}

static void
a_name_is_given_once(void **state)
{
	char	id[QUEUE_ID_MAX + 1];

	(void)state;
	message(id);
	assert_int_equal(queue_create(id), -1);
	assert_int_equal(errno, EEXIST);
	assert_int_equal(queue_remove(QUEUE_INCOMING, id), 0);
}

/* recovery-1 */
static void
a_file_being_written_is_not_reaped(void **state)
{
	char	id[QUEUE_ID_MAX + 1];
	int	fd = queue_create(queue_id_new(id, 1));

	(void)state;
	assert_int_equal(queue_reap(id), 0);
	assert_true(exists(QUEUE_INCOMING, id));
	close(fd);
	assert_int_equal(queue_reap(id), 1);
	assert_false(exists(QUEUE_INCOMING, id));
	assert_int_equal(queue_reap(id), 0);
}

/* recovery-1 */
static void
what_a_killed_writer_left_is_reaped(void **state)
{
	char	id[QUEUE_ID_MAX + 1];
	int	ready[2];
	char	c;
	pid_t	pid;

	(void)state;
	queue_id_new(id, 1);
	assert_int_equal(pipe(ready), 0);
	if ((pid = fork()) == 0) {
		if (queue_create(id) == -1)
			_exit(1);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(queue_reap(id), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(queue_reap(id), 1);
	close(ready[0]);
	close(ready[1]);
}

/* Child: take for abandoned whatever looks like it, until killed. */
static _Noreturn void
reap_for_ever(void)
{
	struct queue_walk	*walk;
	char			 id[QUEUE_ID_MAX + 1];
	mode_t			 mode;
	int64_t			 mtime, size;

	for (;;) {
		if ((walk = queue_walk_start(QUEUE_INCOMING)) == NULL)
			_exit(1);
		while (queue_walk_next(walk, id, &mode, &mtime, &size) == 1)
			(void)queue_reap(id);
		queue_walk_end(walk);
	}
}

/* recovery-2 */
static void
a_new_file_survives_those_who_reap(void **state)
{
	char	id[QUEUE_ID_MAX + 1];
	pid_t	pids[2];
	int	fd, i, lost = 0, failed = 0;

	(void)state;
	for (i = 0; i < 2; i++)
		if ((pids[i] = fork()) == 0)
			reap_for_ever();
	for (i = 0; i < 6000; i++) {
		if ((fd = queue_create(queue_id_new(id, 1))) == -1)
			failed++;
		else if (!exists(QUEUE_INCOMING, id))
			lost++;
		(void)queue_remove(QUEUE_INCOMING, id);
		close(fd);
	}
	for (i = 0; i < 2; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	assert_int_equal(lost, 0);
	assert_int_equal(failed, 0);
}

static void
a_complete_message_is_never_reaped(void **state)
{
	char	id[QUEUE_ID_MAX + 1];

	(void)state;
	message(id);
	assert_int_equal(queue_reap(id), 0);
	assert_true(exists(QUEUE_INCOMING, id));
	assert_int_equal(queue_remove(QUEUE_INCOMING, id), 0);
}

static void
a_deferred_message_has_a_hash_directory(void **state)
{
	struct pool	*pool = pool_new("test", 0);
	char		 id[QUEUE_ID_MAX + 1], hash[3], *path;

	(void)state;
	message(id);
	assert_int_equal(queue_move(id, QUEUE_INCOMING, QUEUE_DEFERRED), 0);
	path = queue_path(pool, QUEUE_DEFERRED, id);
	assert_string_equal(path, pool_printf(pool, "deferred/%s/%s",
	    queue_id_hash(hash, id), id));
	assert_true(exists(QUEUE_DEFERRED, id));
	assert_int_equal(queue_move(id, QUEUE_DEFERRED, QUEUE_HOLD), 0);
	assert_true(exists(QUEUE_HOLD, id));
	assert_int_equal(queue_remove(QUEUE_HOLD, id), 0);
	pool_free(pool);
}

/* rename-1 */
static void
a_move_replaces_nothing(void **state)
{
	char	id[QUEUE_ID_MAX + 1];

	(void)state;
	message(id);
	assert_int_equal(queue_move(id, QUEUE_INCOMING, QUEUE_DEFERRED), 0);
	close(queue_create(id));
	assert_int_equal(queue_move(id, QUEUE_INCOMING, QUEUE_DEFERRED), -1);
	assert_int_equal(errno, EEXIST);
	assert_int_equal(queue_remove(QUEUE_DEFERRED, id), 0);
	assert_int_equal(queue_remove(QUEUE_INCOMING, id), 0);
}

static void
moving_what_is_not_there_fails(void **state)
{
	char	id[QUEUE_ID_MAX + 1];

	(void)state;
	queue_id_new(id, 1);
	assert_int_equal(queue_move(id, QUEUE_INCOMING, QUEUE_DEFERRED), -1);
	assert_int_equal(errno, ENOENT);
}

static void
links_are_not_opened(void **state)
{
	(void)state;
	assert_int_equal(symlinkat("/etc/passwd", root, "incoming/BBBB"), 0);
	assert_int_equal(queue_open_file(QUEUE_INCOMING, "BBBB", O_RDONLY),
	    -1);
	assert_int_equal(mkdirat(root, "incoming/CCCC", 0700), 0);
	assert_int_equal(queue_open_file(QUEUE_INCOMING, "CCCC", O_RDONLY),
	    -1);
	assert_int_equal(unlinkat(root, "incoming/BBBB", 0), 0);
	assert_int_equal(unlinkat(root, "incoming/CCCC", AT_REMOVEDIR), 0);
}

/* P2 */
static void
a_walk_finds_every_message_and_nothing_else(void **state)
{
	char			 id[QUEUE_ID_MAX + 1], got[QUEUE_ID_MAX + 1];
	struct queue_walk	*walk;
	mode_t			 mode;
	int64_t			 mtime, size;
	int			 i, found = 0;

	(void)state;
	for (i = 0; i < 600; i++) {
		message(id);
		assert_int_equal(queue_move(id, QUEUE_INCOMING,
		    QUEUE_DEFERRED), 0);
		assert_int_equal(queue_set_time(QUEUE_DEFERRED, id,
		    1700000000123456), 0);
	}
	assert_int_equal(mkdirat(root, "deferred/other", 0700), 0);
	assert_int_equal(symlinkat("/", root, "deferred/zz"), 0);
	close(openat(root, "deferred/bad-name", O_CREAT | O_WRONLY, 0700));

	assert_non_null(walk = queue_walk_start(QUEUE_DEFERRED));
	while ((i = queue_walk_name(walk, got)) == 1) {
		assert_true(exists(QUEUE_DEFERRED, got));
		found++;
	}
	assert_int_equal(i, 0);
	queue_walk_end(walk);
	assert_int_equal(found, 600);

	found = 0;
	assert_non_null(walk = queue_walk_start(QUEUE_DEFERRED));
	while ((i = queue_walk_next(walk, got, &mode, &mtime, &size)) == 1) {
		assert_true(queue_is_complete(mode));
		assert_int_equal(mtime, 1700000000123456);
		assert_int_equal(size, 0);
		assert_int_equal(queue_remove(QUEUE_DEFERRED, got), 0);
		found++;
	}
	assert_int_equal(i, 0);
	queue_walk_end(walk);
	assert_int_equal(found, 600);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(a_new_file_is_incomplete_until_it_is_said),
		cmocka_unit_test(marks_are_for_complete_files_and_stay),
		cmocka_unit_test(a_name_is_given_once),
		cmocka_unit_test(a_file_being_written_is_not_reaped),
		cmocka_unit_test(what_a_killed_writer_left_is_reaped),
		cmocka_unit_test(a_new_file_survives_those_who_reap),
		cmocka_unit_test(a_complete_message_is_never_reaped),
		cmocka_unit_test(a_deferred_message_has_a_hash_directory),
		cmocka_unit_test(a_move_replaces_nothing),
		cmocka_unit_test(moving_what_is_not_there_fails),
		cmocka_unit_test(links_are_not_opened),
		cmocka_unit_test(a_walk_finds_every_message_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, make_whole_queue, remove_queue);
}
