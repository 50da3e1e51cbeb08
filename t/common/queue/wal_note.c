/*
 * wal_note.c - claims about what is committed in a log that is written.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "t/common/queue/log.h"

enum { NOTE = 3072, NOTE_SIZE = 20, BITS = 8 };

static struct wal	writer, reader;		/* both of one log */

/* A log that is written, and somebody who looks at it. */
static int
open_both(void **state)
{
	(void)state;
	writer = begin();
	return wal_open(&reader, writer.number);
}

static int
close_both(void **state)
{
	(void)state;
	wal_close(&reader);
	end(&writer);
	return 0;
}

/* A record there, of this write; where the next one is. */
static int64_t
add(int64_t at, uint32_t batch)
{
	char	id[QUEUE_ID_MAX + 1];

	return put(&writer, at, batch, LENGTH, id);
}

/* What a look finds: records in front of this are committed. */
static int64_t
proven(void)
{
	struct wal_proof	proof;
	struct wal_record	r;
	int64_t			at = reader.records;

	wal_prove(&reader, &proof);
	for (; wal_seek(&reader, at, &r) != -1; at = wal_after(&r))
		wal_prove_more(&proof, &r);
	return proof.end;
}

/* --- claims -------------------------------------------------------------- */

/* wal-4; numbers of writes begin again with 0 some day. */
static void
the_last_write_is_not_proven(void **state)
{
	static const uint32_t	batches[] = { UINT32_MAX - 1, UINT32_MAX, 0,
				    1 };
	int64_t			at = reader.records, before;
	size_t			i;

	(void)state;
	assert_true(proven() <= at);
	for (i = 0; i < sizeof(batches) / sizeof(batches[0]); i++) {
		before = at;
		at = add(at, batches[i]);
		assert_true(proven() <= before);
		if (i > 0)
			assert_int_equal(proven(), before);
		at = add(at, batches[i]);
		assert_true(proven() <= before);
	}
}

static void
a_mark_does_not_hide_a_write(void **state)
{
	int64_t	second, third;

	(void)state;
	second = add(reader.records, 1);
	third = add(second, 2);
	assert_int_equal(wal_mark(&writer, second), 0);
	assert_int_equal(proven(), second);
	(void)add(third, 3);
	assert_int_equal(proven(), third);
}

static void
a_note_says_how_far_it_is(void **state)
{
	int64_t	second, third;

	(void)state;
	second = add(reader.records, 1);
	third = add(second, 2);
	assert_int_equal(wal_note(&writer, third), 0);
	assert_int_equal(proven(), third);
	(void)add(add(third, 3), 4);
	assert_true(proven() > third);
}

/* Not when any bit of it is another one, and not of another generation. */
static void
a_note_is_whole_and_of_its_generation(void **state)
{
	unsigned char	note[NOTE_SIZE];
	int64_t		at = add(reader.records, 1);
	size_t		bit;

	(void)state;
	assert_int_equal(wal_note(&writer, at), 0);
	assert_int_equal(proven(), at);
	assert_int_equal(pread(writer.fd, note, sizeof(note), NOTE),
	    NOTE_SIZE);
	for (bit = 0; bit < NOTE_SIZE * BITS; bit++) {
		note[bit / BITS] ^= (unsigned char)(1u << bit % BITS);
		assert_int_equal(pwrite(writer.fd, note, sizeof(note), NOTE),
		    NOTE_SIZE);
		assert_true(proven() <= reader.records);
		note[bit / BITS] ^= (unsigned char)(1u << bit % BITS);
	}
	assert_int_equal(pwrite(writer.fd, note, sizeof(note), NOTE),
	    NOTE_SIZE);
	assert_int_equal(proven(), at);

	assert_int_equal(wal_release(&writer), 0);
	assert_int_equal(wal_begin(&writer), 0);
	assert_int_equal(wal_refresh(&reader), 0);
	(void)add(reader.records, 2);
	assert_true(proven() <= reader.records);
}

static void
what_is_sealed_is_committed(void **state)
{
	(void)state;
	(void)add(reader.records, 1);
	assert_int_equal(wal_seal(&writer), 0);
	assert_int_equal(proven(), INT64_MAX);
}

static void
of_what_is_left_no_write_is_under_way(void **state)
{
	(void)state;
	(void)add(reader.records, 1);
	wal_close(&writer);
	assert_int_equal(proven(), INT64_MAX);
}

/* From the first one to the last. */
static void
many_are_marked_at_once(void **state)
{
	static const int64_t	counts[] = { 1, 255, 256, 257, 600 };
	int64_t			first = writer.records + WAL_ALIGN, n, j;
	size_t			i;

	(void)state;
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		assert_int_equal(wal_release(&writer), 0);
		assert_int_equal(wal_begin(&writer), 0);
		n = counts[i];
		assert_int_equal(wal_mark_all(&writer, first, n * WAL_ALIGN),
		    0);
		for (j = -1; j <= n; j++)
			assert_int_equal(wal_is_marked(&writer, first +
			    j * WAL_ALIGN), j >= 0 && j < n);
	}
	assert_int_equal(wal_mark_all(&writer, first, writer.size), -1);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test_setup_teardown(the_last_write_is_not_proven,
		    open_both, close_both),
		cmocka_unit_test_setup_teardown(a_mark_does_not_hide_a_write,
		    open_both, close_both),
		cmocka_unit_test_setup_teardown(a_note_says_how_far_it_is,
		    open_both, close_both),
		cmocka_unit_test_setup_teardown(
		    a_note_is_whole_and_of_its_generation, open_both, close_both),
		cmocka_unit_test_setup_teardown(what_is_sealed_is_committed,
		    open_both, close_both),
		cmocka_unit_test_setup_teardown(
		    of_what_is_left_no_write_is_under_way, open_both, close_both),
		cmocka_unit_test_setup_teardown(many_are_marked_at_once,
		    open_both, close_both)
	};

	return cmocka_run_group_tests(tests, make_whole_queue, remove_queue);
}
