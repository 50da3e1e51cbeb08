/*
 * listing.c - the names of all messages: by age, each once, however many.
 *
 * needs: qmgr/listing.c
 */
#include "qmgr/listing.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "t/common/queue/queue.h"

enum { MANY = 45000 };

/* A queue of its own for each test. */
static int
set_up(void **state)
{
	(void)state;
	return make_queue(LISTING_QUEUES | 1u << QUEUE_CORRUPT);
}

/* A file, complete or not. */
static void
make(const char *path, mode_t mode)
{
	int	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, mode);

	assert_int_not_equal(fd, -1);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void
names_come_by_age_from_all_directories(void **state)
{
	struct listing	l = { .which = LISTING_QUEUES };

	(void)state;
	make("hold/C", 0700);
	make("incoming/B", 0700);
	mkdir("deferred/3f", 0700);
	make("deferred/3f/A", 0710);
	assert_int_equal(listing_read(&l), 1);
	assert_int_equal(l.count, 3);
	assert_string_equal(l.rows[0].id, "A");
	assert_int_equal(l.rows[0].dir, QUEUE_DEFERRED);
	assert_string_equal(l.rows[1].id, "B");
	assert_string_equal(l.rows[2].id, "C");
	assert_int_equal(l.rows[2].dir, QUEUE_HOLD);
	assert_ptr_equal(listing_find(&l, "B"), &l.rows[1]);
	assert_null(listing_find(&l, "BB"));
	listing_free(&l);
	assert_null(listing_find(&l, "B"));
}

static void
what_is_not_complete_or_no_id_is_no_message(void **state)
{
	struct listing	l = { .which = LISTING_QUEUES };

	(void)state;
	make("incoming/A", 0600);
	make("incoming/b.tmp", 0700);
	assert_int_equal(symlink("/etc/passwd", "incoming/C"), 0);
	assert_int_equal(mkdir("incoming/D", 0700), 0);
	assert_int_equal(listing_read(&l), 0);
	assert_int_equal(l.count, 0);
	listing_free(&l);
}

static void
a_message_that_moves_is_listed_once_where_it_went(void **state)
{
	struct listing	l = { .which = LISTING_QUEUES };

	(void)state;
	make("incoming/A", 0700);
	make("hold/A", 0700);
	assert_int_equal(listing_read(&l), 1);
	assert_int_equal(l.count, 1);
	assert_int_equal(l.rows[0].dir, QUEUE_HOLD);
	listing_free(&l);
}

static void
corrupt_is_listed_when_asked_for(void **state)
{
	struct listing	l = { .which = 1u << QUEUE_CORRUPT };

	(void)state;
	make("corrupt/A", 0600);
	make("hold/B", 0700);
	assert_int_equal(listing_read(&l), 1);
	assert_int_equal(l.count, 1);
	assert_string_equal(l.rows[0].id, "A");
	listing_free(&l);
}

static void
many_are_listed(void **state)
{
	struct listing	l = { .which = LISTING_QUEUES };
	char		path[64];
	int		i;

	(void)state;
	for (i = 0; i < 1500; i++) {
		snprintf(path, sizeof(path), "incoming/ID%04d", 1499 - i);
		make(path, 0700);
	}
	assert_int_equal(listing_read(&l), 1);
	assert_int_equal(l.count, 1500);
	assert_string_equal(l.rows[7].id, "ID0007");
	assert_int_equal(listing_read(&l), 0);
	listing_free(&l);
}

/* All of them; how many portions. */
static int
read_all(struct listing *l, unsigned char counts[MANY])
{
	size_t	i;
	int	portions = 0;

	while (listing_read(l) == 1) {
		portions++;
		for (i = 0; i < l->count; i++) {
			if (i > 0)
				assert_true(strcmp(l->rows[i - 1].id,
				    l->rows[i].id) < 0);
			counts[atoi(l->rows[i].id + 2)]++;
		}
	}
	return portions;
}

static void
very_many_come_in_portions_and_each_once(void **state)
{
	struct listing		l = { .which = LISTING_QUEUES };
	static unsigned char	counts[MANY];
	char			path[64], to[64];
	int			i;

	(void)state;
	assert_int_equal(mkdir("deferred/3f", 0700), 0);
	for (i = 0; i < MANY; i++) {
		snprintf(path, sizeof(path), i < MANY / 2 ?
		    "incoming/ID%06d" : "deferred/3f/ID%06d", i);
		make(path, 0700);
	}
	assert_int_equal(listing_read(&l), 1);
	assert_true(l.count < MANY / 2);
	for (i = 0; i < (int)l.count; i++) {
		counts[atoi(l.rows[i].id + 2)]++;
		snprintf(path, sizeof(path), "incoming/%s", l.rows[i].id);
		snprintf(to, sizeof(to), "hold/%s", l.rows[i].id);
		assert_int_equal(rename(path, to), 0);
	}
	assert_true(read_all(&l, counts) > 1);
	for (i = 0; i < MANY; i++)
		assert_int_equal(counts[i], 1);
	listing_free(&l);
}

static void
a_directory_that_cannot_be_read_is_told_at_the_end(void **state)
{
	struct listing	l = { .which = LISTING_QUEUES };
	struct rlimit	before, none;

	(void)state;
	make("hold/A", 0700);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(listing_read(&l), -1);
	assert_int_equal(errno, EMFILE);
	assert_int_equal(l.count, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	listing_free(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    names_come_by_age_from_all_directories, set_up, remove_queue),
		cmocka_unit_test_setup_teardown(
		    what_is_not_complete_or_no_id_is_no_message, set_up,
		    remove_queue),
		cmocka_unit_test_setup_teardown(
		    a_message_that_moves_is_listed_once_where_it_went, set_up,
		    remove_queue),
		cmocka_unit_test_setup_teardown(
		    corrupt_is_listed_when_asked_for, set_up, remove_queue),
		cmocka_unit_test_setup_teardown(many_are_listed, set_up,
		    remove_queue),
		cmocka_unit_test_setup_teardown(
		    very_many_come_in_portions_and_each_once, set_up,
		    remove_queue),
		cmocka_unit_test_setup_teardown(
		    a_directory_that_cannot_be_read_is_told_at_the_end, set_up,
		    remove_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
