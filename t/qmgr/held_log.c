/*
 * held_log.c - claims about the write-ahead logs that qmgr knows.
 *
 * needs: qmgr/held_log.c
 */
#include "qmgr/held_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/fiber/loop.h"
#include "common/queue/queue.h"
#include "qmgr/sync.h"

enum { SIZE = 256 * 1024, LENGTH = 300 };

static char	place[] = "/tmp/postrider-held-XXXXXX";

/* --- instead of sync.c's ------------------------------------------------- */

void
sync_marked(void)
{
}

/* --- what the tests do --------------------------------------------------- */

static int
setup(void **state)
{
	int	root;

	(void)state;
	if (mkdtemp(place) == NULL)
		return -1;
	root = open(place, O_RDONLY | O_DIRECTORY);
	if (mkdirat(root, "incoming", 0700) == -1)
		return -1;
	log_to_nothing();
	loop_open();
	return queue_open(root, 1u << QUEUE_INCOMING);
}

static int
teardown(void **state)
{
	static const char	*argv[] = { "rm", "-rf", place, NULL };
	pid_t			 pid = fork();

	(void)state;
	if (pid == 0) {
		execvp("rm", (char *const *)(uintptr_t)argv);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
	return 0;
}

/* A log that somebody writes. */
static struct wal
begin(unsigned number)
{
	struct wal	w;

	assert_int_equal(wal_create(&w, number, SIZE), 0);
	assert_int_equal(wal_begin(&w), 0);
	return w;
}

/* One more message, with a write of this number: where the next one goes. */
static int64_t
add(const struct wal *w, int64_t at, uint32_t batch)
{
	unsigned char	head[WAL_RECORD], image[LENGTH] = { 0 };
	struct iovec	v[] = { { head, sizeof(head) }, { image, LENGTH } };
	char		id[QUEUE_ID_MAX + 1];

	wal_encode(w, head, batch, queue_id_new(id, 1), image, LENGTH);
	assert_int_equal(wal_write(w, v, 2, at), 0);
	return at + wal_room(LENGTH);
}

/* --- claims -------------------------------------------------------------- */

/* The first of three writes that are numbered like this, and the last one. */
static void
judge(void *arg)
{
	const uint32_t		*first = arg;
	struct wal		 w = begin(0);
	struct held_log		*l;
	struct wal_record	 r;
	int64_t			 at = w.records;

	at = add(&w, at, *first);
	at = add(&w, at, *first + 1);
	(void)add(&w, at, *first + 2);
	assert_non_null(l = held_log_find(0, w.generation));
	assert_int_equal(wal_read(&w, w.records, &r), 0);
	assert_true(held_log_was_whole(l, &r));
	assert_int_equal(wal_read(&w, at, &r), 0);
	assert_false(held_log_was_whole(l, &r));

	held_log_release(l);
	assert_int_equal(wal_remove(0), 0);
	wal_close(&w);
}

static void
a_write_that_others_followed_was_whole(void **state)
{
	static uint32_t	firsts[] = { 1, UINT32_MAX - 1, UINT32_MAX };
	size_t		i;

	(void)state;
	for (i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
		fiber_start(judge, &firsts[i]);
		loop_run();
	}
}

/* P1: the new one is known at once, and the old one stays for who waits for
 * its file. */
static void
a_log_is_used_again_while_a_fiber_waits_for_it(void **state)
{
	struct wal	 w = begin(1);
	uint64_t	 before = w.generation;
	struct held_log	*old, *new;

	(void)state;
	held_log_open_all();		/* those before it have gone */
	assert_non_null(old = held_log_find(1, before));
	old->holds++;
	held_log_release(old);
	assert_ptr_equal(held_log_find(1, before), old);
	assert_int_equal(wal_begin(&w), 0);

	assert_non_null(new = held_log_find(1, w.generation));
	assert_false(new->is_released);
	assert_true(old->is_released);
	assert_int_equal(old->wal.generation, before);
	assert_int_not_equal(fcntl(old->wal.fd, F_GETFD), -1);
	assert_ptr_equal(held_log_next(NULL), new);
	assert_null(held_log_next(old));
	old->holds--;

	/* It goes with the next one. */
	held_log_release(new);
	assert_int_equal(wal_begin(&w), 0);
	assert_non_null(held_log_find(1, w.generation));
	wal_close(&w);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(a_write_that_others_followed_was_whole),
		cmocka_unit_test(
		    a_log_is_used_again_while_a_fiber_waits_for_it)
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
