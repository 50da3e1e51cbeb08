/*
 * entry.c - a message that nobody has open: what is shown of it, and what can
 * be done to it.
 *
 * needs: qmgr/entry.c
 */
#include "qmgr/entry.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/base/log.h"

#include "t/common/queue/queue.h"

static const char	content[] = "Subject: a\r\n\r\nb\r\n";
static struct pool	*pool;

/* A queue of its own for each test. */
static int
set_up(void **state)
{
	(void)state;
	log_to_nothing();
	pool = pool_new("test", 0);
	return make_queue(1u << QUEUE_INCOMING | 1u << QUEUE_DEFERRED |
	    1u << QUEUE_HOLD | 1u << QUEUE_CORRUPT);
}

static int
tear_down(void **state)
{
	pool_free(pool);
	return remove_queue(state);
}

/* Its envelope. */
static void
add_envelope(struct str *to)
{
	static char		none[1];
	struct recipient_row	rows[3] = {
	    { pool_strdup(pool, "ann@far.test"), none, none, 0 },
	    { pool_strdup(pool, "bob@far.test"),
	    pool_strdup(pool, "list@home.test"), none, 0 },
	    { pool_strdup(pool, "eve@near.test"), none, none, 0 } };
	struct mail		m = { .sender = pool_strdup(pool, "al@x.test"),
				    .origin = none, .client_name = none,
				    .client_address = none, .helo = none,
				    .protocol = none, .full_name = none,
				    .envelope_id = none, .return_what = none,
				    .login = none, .extra = none, .verp = none,
				    .uid = -1, .arrival_us = 1000000 };

	assert_null(envelope_encode(&m, rows, 3, to));
}

/* The first has been delivered; the second failed twice. */
static void
add_history(struct str *to)
{
	struct journal	j = { .kind = JOURNAL_OUTCOME, .number = 1,
			    .dsn = pool_strdup(pool, "4.4.1"),
			    .text = pool_strdup(pool, "first") };

	assert_null(journal_encode(&j, to));
	j.text = pool_strdup(pool, "second");
	assert_null(journal_encode(&j, to));
}

/* A message in a directory. */
static void
make(const char *id, enum queue_dir dir)
{
	struct queue_layout	layout = { QUEUE_PREAMBLE,
				    sizeof(content) - 1,
				    QUEUE_PREAMBLE + sizeof(content) - 1, 0 };
	unsigned char		preamble[QUEUE_PREAMBLE];
	struct envelope		e;
	struct str		all, envelope;
	char			done = RECIPIENT_DONE;
	int			fd;

	str_init(&envelope, pool, 0);
	str_init(&all, pool, 0);
	add_envelope(&envelope);
	layout.envelope_length = (int64_t)envelope.len;
	queue_preamble_encode(preamble, &layout, envelope_crc(envelope.data,
	    envelope.len));
	str_add_mem(&all, preamble, sizeof(preamble));
	str_add_mem(&all, content, sizeof(content) - 1);
	str_add_mem(&all, envelope.data, envelope.len);
	add_history(&all);
	assert_int_not_equal(fd = queue_create(id), -1);
	assert_int_equal(fs_write(fd, all.data, all.len), 0);
	assert_null(envelope_read(&e, &layout, pool, fd));
	assert_int_equal(fs_pwrite(fd, &done, 1,
	    e.recipients[0].status_offset), 0);
	assert_int_equal(queue_set_complete(fd), 0);
	close(fd);
	if (dir != QUEUE_INCOMING)
		assert_int_equal(queue_move(id, QUEUE_INCOMING, dir), 0);
	assert_int_equal(queue_set_time(dir, id, clock_wall_us() +
	    3600000000), 0);
}

/* Is its time now? */
static bool
is_due(enum queue_dir dir, const char *id)
{
	const char		*why;
	struct queue_entry	*e = entry_load(pool, dir, id, &why);

	assert_non_null(e);
	return e->next_try_us <= clock_wall_us();
}

/* Do it; where it went. */
static enum queue_dir
change(const char *verb, const char *id, enum queue_dir dir, int expected,
    bool expect_due)
{
	bool	is_now;

	assert_int_not_equal(change_of(verb), CHANGE_NONE);
	assert_int_equal(entry_change(change_of(verb), id, &dir, &is_now),
	    expected);
	assert_int_equal(is_now, expect_due);
	return dir;
}

static void
who_waits_is_shown_with_the_last_reason(void **state)
{
	struct queue_entry	*e;
	const char		*why;

	(void)state;
	make("A", QUEUE_DEFERRED);
	e = entry_load(pool, QUEUE_DEFERRED, "A", &why);
	assert_non_null(e);
	assert_string_equal(e->queue, "deferred");
	assert_string_equal(e->sender, "al@x.test");
	assert_int_equal(e->size, sizeof(content) - 1);
	assert_int_equal(e->arrival_us, 1000000);
	assert_false(e->is_expired);
	assert_int_equal(e->count, 2);
	assert_string_equal(e->recipients[0].address, "bob@far.test");
	assert_string_equal(e->recipients[0].original, "list@home.test");
	assert_string_equal(e->recipients[0].reason, "second");
	assert_string_equal(e->recipients[1].reason, "");
	assert_true(entry_goes_to(e, "NEAR.test"));
	assert_false(entry_goes_to(e, "home.test"));
}

static void
what_is_no_message_is_not_shown(void **state)
{
	const char	*why;
	int		 fd;

	(void)state;
	assert_null(entry_load(pool, QUEUE_DEFERRED, "A", &why));
	assert_null(why);
	fd = open("hold/B", O_WRONLY | O_CREAT, 0600);
	assert_null(entry_load(pool, QUEUE_HOLD, "B", &why));
	assert_null(why);
	assert_int_equal(queue_set_expired(fd), -1);
	assert_int_equal(fchmod(fd, 0700), 0);
	assert_null(entry_load(pool, QUEUE_HOLD, "B", &why));
	assert_non_null(why);
	close(fd);
}

static void
it_is_found_wherever_it_is(void **state)
{
	enum queue_dir	dir;
	int		fd;

	(void)state;
	make("A", QUEUE_INCOMING);
	make("B", QUEUE_HOLD);
	make("C", QUEUE_CORRUPT);
	assert_true(entry_find("A", &dir));
	assert_int_equal(dir, QUEUE_INCOMING);
	assert_true(entry_find("B", &dir));
	assert_int_equal(dir, QUEUE_HOLD);
	assert_true(entry_find("C", &dir));
	assert_int_equal(dir, QUEUE_CORRUPT);
	assert_false(entry_find("D", &dir));
	assert_false(entry_find("../hold/B", &dir));
	fd = open("incoming/A", O_RDONLY);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_false(entry_find("A", &dir));
	close(fd);
}

static void
hold_and_release(void **state)
{
	(void)state;
	make("A", QUEUE_DEFERRED);
	assert_int_equal(change("release", "A", QUEUE_DEFERRED, 0, false),
	    QUEUE_DEFERRED);
	assert_int_equal(change("hold", "A", QUEUE_DEFERRED, 1, false),
	    QUEUE_HOLD);
	assert_int_equal(change("hold", "A", QUEUE_HOLD, 0, false),
	    QUEUE_HOLD);
	assert_false(is_due(QUEUE_HOLD, "A"));
	assert_int_equal(change("release", "A", QUEUE_HOLD, 1, true),
	    QUEUE_DEFERRED);
	assert_true(is_due(QUEUE_DEFERRED, "A"));
}

static void
requeue_and_delete(void **state)
{
	(void)state;
	make("A", QUEUE_HOLD);
	make("B", QUEUE_DEFERRED);
	assert_int_equal(change("requeue", "A", QUEUE_HOLD, 1, true),
	    QUEUE_DEFERRED);
	(void)change("requeue", "B", QUEUE_DEFERRED, 1, true);
	assert_true(is_due(QUEUE_DEFERRED, "B"));
	(void)change("delete", "B", QUEUE_DEFERRED, 1, false);
	(void)change("delete", "B", QUEUE_DEFERRED, 0, false);
	assert_int_equal(access("deferred", F_OK), 0);
}

static void
expiry_is_a_mark_that_moves_along(void **state)
{
	const char	*why;

	(void)state;
	make("A", QUEUE_DEFERRED);
	(void)change("expire", "A", QUEUE_DEFERRED, 1, false);
	(void)change("expire", "A", QUEUE_DEFERRED, 0, false);
	assert_true(entry_load(pool, QUEUE_DEFERRED, "A", &why)->is_expired);
	assert_false(is_due(QUEUE_DEFERRED, "A"));
	(void)change("expire-now", "A", QUEUE_DEFERRED, 1, true);
	assert_true(is_due(QUEUE_DEFERRED, "A"));
	(void)change("hold", "A", QUEUE_DEFERRED, 1, false);
	assert_true(entry_load(pool, QUEUE_HOLD, "A", &why)->is_expired);
	assert_int_equal(change("expire-now", "A", QUEUE_HOLD, 0, false),
	    QUEUE_HOLD);
	assert_int_equal(change("expire-release", "A", QUEUE_HOLD,
	    CHANGED_FREE, true), QUEUE_DEFERRED);
	make("B", QUEUE_HOLD);
	assert_int_equal(change("expire-release", "B", QUEUE_HOLD,
	    CHANGED | CHANGED_FREE, true), QUEUE_DEFERRED);
}

static void
requeuing_leaves_a_mark_and_comes_out_of_hold(void **state)
{
	struct stat	st;
	int		fd;

	(void)state;
	make("A", QUEUE_HOLD);
	assert_int_equal(change("requeue", "A", QUEUE_HOLD, CHANGED, true),
	    QUEUE_DEFERRED);
	fd = queue_open_file(QUEUE_DEFERRED, "A", O_RDONLY);
	assert_int_not_equal(fd, -1);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(queue_is_renewed(st.st_mode));
	assert_false(queue_is_expired(st.st_mode));
	close(fd);
}

static void
each_change_has_its_words(void **state)
{
	const char	*words[2];

	(void)state;
	assert_int_equal(entry_words(CHANGE_REQUEUE, CHANGED, words), 1);
	assert_string_equal(words[0], "requeued");
	assert_int_equal(entry_words(CHANGE_EXPIRE_RELEASE,
	    CHANGED | CHANGED_FREE, words), 2);
	assert_string_equal(words[0], "expired");
	assert_string_equal(words[1], "released from hold");
	assert_int_equal(entry_words(CHANGE_EXPIRE_RELEASE, CHANGED_FREE,
	    words), 1);
	assert_string_equal(words[0], "released from hold");
	assert_int_equal(entry_words(CHANGE_DELETE, 0, words), 0);
}

static void
what_is_corrupt_can_only_be_deleted(void **state)
{
	(void)state;
	make("A", QUEUE_CORRUPT);
	(void)change("release", "A", QUEUE_CORRUPT, 0, false);
	(void)change("requeue", "A", QUEUE_CORRUPT, 0, false);
	(void)change("expire-release", "A", QUEUE_CORRUPT, 0, false);
	(void)change("delete", "A", QUEUE_CORRUPT, 1, false);
}

static void
other_words_change_nothing(void **state)
{
	(void)state;
	assert_int_equal(change_of("list"), CHANGE_NONE);
	assert_int_equal(change_of(""), CHANGE_NONE);
	assert_int_equal(change_of("Delete"), CHANGE_NONE);
}

/* Is the head of the file in memory? */
static bool
is_in_memory(int fd)
{
	unsigned char	page = 0;
	void		*map;

	map = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	assert_int_equal(mincore(map, 1, &page), 0);
	assert_int_equal(munmap(map, 1), 0);
	return (page & 1) != 0;
}

static void
what_is_expected_is_brought_from_the_disk(void **state)
{
	int	fd, looks;

	(void)state;
	make("A", QUEUE_DEFERRED);
	fd = queue_open_file(QUEUE_DEFERRED, "A", O_RDONLY);
	assert_int_not_equal(fd, -1);
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	if (is_in_memory(fd)) {
		close(fd);
		skip();			/* this file system is memory */
	}
	entry_expect(QUEUE_DEFERRED, "A");
	for (looks = 0; !is_in_memory(fd) && looks < 3000; looks++)
		usleep(10 * 1000);
	assert_true(is_in_memory(fd));
	close(fd);
	entry_expect(QUEUE_DEFERRED, "B");	/* there is none */
}

#define CLAIM_OF(f)	cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CLAIM_OF(who_waits_is_shown_with_the_last_reason),
		CLAIM_OF(what_is_no_message_is_not_shown),
		CLAIM_OF(it_is_found_wherever_it_is),
		CLAIM_OF(hold_and_release),
		CLAIM_OF(requeue_and_delete),
		CLAIM_OF(expiry_is_a_mark_that_moves_along),
		CLAIM_OF(requeuing_leaves_a_mark_and_comes_out_of_hold),
		CLAIM_OF(each_change_has_its_words),
		CLAIM_OF(what_is_corrupt_can_only_be_deleted),
		CLAIM_OF(other_words_change_nothing),
		CLAIM_OF(what_is_expected_is_brought_from_the_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
