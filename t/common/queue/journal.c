/*
 * journal.c - claims about the records behind an envelope.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/queue/queue.h"

static struct pool		*pool;
static int			 fd;
static struct str		 record;
static struct queue_layout	 layout = { 128, 10, 138, 20 };
static struct journal		 outcome = {
	.kind = JOURNAL_OUTCOME, .when_us = 5, .number = 3, .outcome = 1,
	.dsn = "4.4.1", .text = "connection refused", .remote = "dns; mx"
};
enum { START = 158 };

static int
setup(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	str_init(&record, pool, 0);
	assert_null(journal_encode(&outcome, &record));
	fd = memfd_create("queue file", 0);
	assert_int_not_equal(fd, -1);
	assert_int_equal(ftruncate(fd, START), 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	close(fd);
	pool_free(pool);
	return 0;
}

/* How many records are read; *end where the next one goes. */
static size_t
count(int64_t *end)
{
	struct journal	*records;
	size_t		 n;

	assert_null(journal_read(pool, fd, &layout, &records, &n, end));
	return n;
}

static void
a_file_without_a_journal_has_no_records(void **state)
{
	int64_t	end;

	(void)state;
	assert_int_equal(count(&end), 0);
	assert_int_equal(end, START);
}

static void
records_are_read_oldest_first(void **state)
{
	struct journal	*records, warned = { .kind = JOURNAL_WARNED,
			    .when_us = 9, .number = -1 };
	int64_t		 end;
	size_t		 n;

	(void)state;
	assert_null(journal_encode(&warned, &record));
	assert_int_equal(fs_pwrite(fd, record.data, record.len, START), 0);
	assert_null(journal_read(pool, fd, &layout, &records, &n, &end));
	assert_int_equal(n, 2);
	assert_int_equal(records[0].kind, JOURNAL_OUTCOME);
	assert_string_equal(records[0].text, "connection refused");
	assert_string_equal(records[0].diagnostic, "");
	assert_int_equal(records[1].kind, JOURNAL_WARNED);
	assert_int_equal(records[1].number, -1);
	assert_int_equal(end, START + (int64_t)record.len);
}

/* P1 */
static void
a_torn_record_is_ignored_and_overwritten(void **state)
{
	size_t	cut;
	int64_t	end;

	(void)state;
	assert_int_equal(fs_pwrite(fd, record.data, record.len, START), 0);
	for (cut = 0; cut < record.len; cut++) {
		assert_int_equal(ftruncate(fd, START + (off_t)record.len), 0);
		assert_int_equal(fs_pwrite(fd, record.data, cut,
		    START + (int64_t)record.len), 0);
		assert_int_equal(count(&end), 1);
		assert_int_equal(end, START + (int64_t)record.len);
	}
}

/* P1 */
static void
a_changed_byte_ends_the_journal(void **state)
{
	size_t	i;
	int64_t	end;

	(void)state;
	for (i = 0; i < record.len; i++) {
		record.data[i] ^= 1;
		assert_int_equal(fs_pwrite(fd, record.data, record.len, START),
		    0);
		assert_int_equal(count(&end), 0);
		assert_int_equal(end, START);
		record.data[i] ^= 1;
	}
}

static void
a_hole_ends_the_journal(void **state)
{
	int64_t	end;

	(void)state;
	assert_int_equal(ftruncate(fd, START + 4096), 0);
	assert_int_equal(count(&end), 0);
}

static void
many_records_are_read(void **state)
{
	int64_t	end;
	size_t	i;

	(void)state;
	for (i = 0; i < 1000; i++)
		assert_int_equal(fs_pwrite(fd, record.data, record.len,
		    START + (int64_t)(i * record.len)), 0);
	assert_int_equal(count(&end), 1000);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(a_file_without_a_journal_has_no_records),
		TEST(records_are_read_oldest_first),
		TEST(a_torn_record_is_ignored_and_overwritten),
		TEST(a_changed_byte_ends_the_journal),
		TEST(a_hole_ends_the_journal),
		TEST(many_records_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
