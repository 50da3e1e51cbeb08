/*
 * batch.c - claims about messages that are committed together.
 *
 * needs: cleanup/batch.c
 */
#include "cleanup/batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "common/fiber/loop.h"
#include "common/queue/wal.h"

#include "cleanup/room.h"

#include "t/common/queue/queue.h"

enum {
	SIZE = 256 * 1024,		/* of a log */
	MANY = 100,
	SMALL = 900, LARGE = 60 * 1024,
	MOST = 256 * 1024, LOGS = 8	/* as in batch.c */
};

/* A message and what became of it. */
struct guest {
	struct transaction	 transaction;
	struct wal_place	 place;
	int			 result, error;
};

static bool		is_draining;
static struct guest	guests[MANY];
static size_t		visitors;

/* --- instead of the daemon's --------------------------------------------- */

bool
daemon_is_draining(void)
{
	return is_draining;
}

int
daemon_queue_fd(void)
{
	return root;
}

/* --- instead of room.c's ------------------------------------------------- */

bool
room_is_ours(const struct transaction *t)
{
	return t->is_again;
}

/* --- what the tests do --------------------------------------------------- */

static void
set_up_rate(int64_t rate, int64_t size)
{
	*(int64_t *)batch_params[0].place = rate;
	*(int64_t *)batch_params[1].place = size;
}

static int
setup(void **state)
{
	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	loop_open();
	return make_queue(1u << QUEUE_INCOMING);
}

/* A message of this length; its bytes are the last one's of its id. */
static void
fill(struct transaction *t, size_t len)
{
	memset(t, 0, sizeof(*t));
	t->fd = -1;
	queue_id_new(t->queue_id, 1);
	t->buffer.data = mem_alloc(len + 1);
	t->buffer.len = len;
	memset(t->buffer.data, t->queue_id[strlen(t->queue_id) - 1], len);
}

/* One that wants to be committed. */
static void
visit(void *arg)
{
	struct guest	*g = arg;

	g->result = batch_commit(&g->transaction, &g->place);
	g->error = errno;
	if (--visitors == 0)
		loop_stop();
}

/* So many at once; what else is to be done then is left for the next time. */
static void
invite(size_t count, size_t len)
{
	size_t	i;

	visitors = count;
	for (i = 0; i < count; i++) {
		fill(&guests[i].transaction, len);
		guests[i].result = -2;
		fiber_start(visit, &guests[i]);
	}
	loop_run();
}

static void
end(size_t count)
{
	while (count-- > 0)
		free(guests[count].transaction.buffer.data);
}

/* How many it was said to. */
static size_t
count_result(size_t count, int result)
{
	size_t	i, n = 0;

	for (i = 0; i < count; i++)
		n += guests[i].result == result ? 1 : 0;
	return n;
}

/* Does it take one like this? */
static bool
takes(size_t len, int64_t in_file, int64_t flags)
{
	struct transaction	t;
	bool			result;

	fill(&t, len);
	t.in_file = in_file;
	t.mail.flags = flags;
	result = batch_takes(&t);
	free(t.buffer.data);
	return result;
}

/* The message is there, where it was told to be: the number of its write. */
static uint32_t
assert_there(const struct guest *g)
{
	const struct str	*buffer = &g->transaction.buffer;
	char			*image = mem_alloc(buffer->len + 1);
	struct wal_record	 r;
	struct wal		 w;

	assert_int_equal(wal_open(&w, g->place.number), 0);
	assert_int_equal(w.generation, g->place.generation);
	assert_int_equal(wal_read(&w, g->place.at, &r), 0);
	assert_string_equal(r.id, g->transaction.queue_id);
	assert_int_equal(r.length, (int64_t)buffer->len);
	assert_int_equal(wal_image(&w, &r, image), 0);
	assert_memory_equal(image, buffer->data, buffer->len);
	assert_false(wal_is_marked(&w, g->place.at));
	wal_close(&w);
	free(image);
	return r.batch;
}

/* --- claims -------------------------------------------------------------- */

/* In this order: a log is made for the first test that asks for one. */
static void
few_messages_get_files(void **state)
{
	int	i;

	(void)state;
	set_up_rate(5, SIZE);
	for (i = 0; i < 5; i++)
		assert_false(takes(SMALL, 0, 0));
	loop_run();
	assert_int_equal(faccessat(root, "incoming/wal.0", F_OK, 0), -1);
}

static void
when_many_come_a_log_is_made(void **state)
{
	(void)state;
	assert_false(takes(SMALL, 0, 0));	/* nobody waits for it */
	loop_run();
	assert_int_equal(faccessat(root, "incoming/wal.0", F_OK, 0), 0);
	assert_true(takes(SMALL, 0, 0));
}

static void
what_does_not_fit_gets_a_file(void **state)
{
	(void)state;
	assert_true(takes(MOST, 0, 0));
	assert_false(takes(MOST + 1, 0, 0));
	assert_false(takes(SMALL, 1, 0));
	assert_false(takes(SMALL, 0, MAIL_IS_HELD));
	is_draining = true;
	assert_false(takes(SMALL, 0, 0));
	is_draining = false;
	set_up_rate(0, 0);
	assert_false(takes(SMALL, 0, 0));
	set_up_rate(0, SIZE);
	assert_true(takes(SMALL, 0, 0));

	/* Nor into any log as small as this one. */
	invite(1, MOST);
	assert_int_equal(guests[0].result, 0);
	end(1);
}

static void
those_who_wait_are_written_together(void **state)
{
	uint32_t	first = 0, last = 0, batch;
	size_t		i, j;

	(void)state;
	invite(MANY, SMALL);
	assert_int_equal(count_result(MANY, 1), MANY);
	for (i = 0; i < MANY; i++) {
		batch = assert_there(&guests[i]);
		if (i == 0)
			first = batch;
		last = batch;
		for (j = 0; j < i; j++)
			assert_true(guests[i].place.at !=
			    guests[j].place.at);
	}
	assert_in_range(last - first + 1, 2, 4);
	end(MANY);
}

/* Is it sure, by what stands in the log, that this one is committed? */
static bool
is_proven(const struct guest *g)
{
	struct wal_proof	proof;
	struct wal_record	r;
	struct wal		w;
	int64_t			at;

	assert_int_equal(wal_open(&w, g->place.number), 0);
	assert_false(wal_is_left(&w));
	wal_prove(&w, &proof);
	for (at = w.records; wal_read(&w, at, &r) == 0; at = wal_after(&r))
		wal_prove_more(&proof, &r);
	wal_close(&w);
	return g->place.at < proof.end;
}

/* wal-4: the next write says so of those in front of it; the last one's are
 * noted a moment later. */
static void
what_is_committed_can_be_seen(void **state)
{
	struct guest	last;

	(void)state;
	invite(1, SMALL);
	assert_int_equal(guests[0].result, 1);
	assert_false(is_proven(&guests[0]));
	last = guests[0];
	end(1);
	invite(1, SMALL);
	assert_int_equal(guests[0].result, 1);
	assert_true(is_proven(&last));
	assert_false(is_proven(&guests[0]));
	loop_run();
	assert_true(is_proven(&guests[0]));
	end(1);
}

/* A log has room for three of the largest; a spare one is made meanwhile. */
static void
where_no_log_has_room_there_are_files(void **state)
{
	size_t	i, there;

	(void)state;
	invite(MANY, LARGE);
	there = count_result(MANY, 1);
	assert_in_range(there, 1, MANY - 1);
	assert_int_equal(there + count_result(MANY, 0), MANY);
	for (i = 0; i < MANY; i++)
		if (guests[i].result == 1)
			(void)assert_there(&guests[i]);
	end(MANY);
}

/* qmgr says when; until then others are made, and then there are none. */
static void
what_is_released_is_used_again(void **state)
{
	struct wal	w;
	uint64_t	before[LOGS];
	unsigned	number;
	int		i;

	(void)state;
	for (i = 0; i < LOGS; i++) {
		invite(MANY, LARGE);
		loop_run();
		end(MANY);
	}
	assert_int_equal(wal_open(&w, LOGS), -1);
	assert_int_equal(errno, ENOENT);
	invite(MANY, LARGE);
	assert_int_equal(count_result(MANY, 0), MANY);
	end(MANY);
	for (number = 0; number < LOGS; number++) {
		assert_int_equal(wal_open(&w, number), 0);
		before[number] = w.generation;
		if (wal_is_sealed(&w))
			assert_int_equal(wal_release(&w), 0);
		wal_close(&w);
	}
	/* It looks again after a while. */
	for (i = 0; i < 500; i++) {
		invite(1, LARGE);
		if (guests[0].result == 1)
			break;
		end(1);
		usleep(10 * 1000);
	}
	assert_int_equal(guests[0].result, 1);
	(void)assert_there(&guests[0]);
	assert_int_equal(wal_open(&w, guests[0].place.number), 0);
	assert_int_not_equal(w.generation, before[w.number]);
	wal_close(&w);
	end(1);
}

/* P1: the last test, since no log is used after it. The disk takes no marks
 * either, at first: the log is ours until it does. */
static void
after_a_failed_write_there_are_files(void **state)
{
	struct rlimit		before, few;
	struct wal_record	r;
	struct wal		w;
	const char		*told = "File too large; messages get files";
	char			said[1000] = "";
	int			ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
	log_to_socket(ends[0]);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	few = (struct rlimit){ 100, before.rlim_max };
	assert_true(takes(SMALL, 0, 0));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &few), 0);
	invite(1, SMALL);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(guests[0].result, -1);
	assert_int_equal(guests[0].error, EFBIG);
	assert_true(recv(ends[1], said, sizeof(said), MSG_DONTWAIT) > 0);
	assert_non_null(memmem(said, sizeof(said), told, strlen(told)));
	assert_int_equal(wal_open(&w, guests[0].place.number), 0);
	assert_int_equal(wal_read(&w, guests[0].place.at, &r), -1);
	assert_false(wal_is_marked(&w, guests[0].place.at));
	assert_false(wal_is_left(&w));
	assert_false(takes(SMALL, 0, 0));
	loop_run();
	assert_true(wal_is_marked(&w, guests[0].place.at));
	assert_true(wal_is_left(&w));
	assert_false(wal_is_sealed(&w));
	wal_close(&w);
	assert_false(takes(SMALL, 0, 0));
	end(1);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(few_messages_get_files),
		cmocka_unit_test(when_many_come_a_log_is_made),
		cmocka_unit_test(what_does_not_fit_gets_a_file),
		cmocka_unit_test(those_who_wait_are_written_together),
		cmocka_unit_test(what_is_committed_can_be_seen),
		cmocka_unit_test(where_no_log_has_room_there_are_files),
		cmocka_unit_test(what_is_released_is_used_again),
		cmocka_unit_test(after_a_failed_write_there_are_files)
	};

	return cmocka_run_group_tests(tests, setup, remove_queue);
}
