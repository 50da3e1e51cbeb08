/*
 * original.c - how much of a message a report brings along, and what becomes
 * of a report about one that cannot be read.
 *
 * needs: qmgr/original.c qmgr/report.c qmgr/template.c
 */
#include "qmgr/original.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct pool	*pool;
static struct bounce	 about;
static struct report	 report;

/* A message of this text in a file, which says that it is `length` long. */
static void
begin(const char *text, int64_t length)
{
	char	path[] = "/tmp/prt-original-XXXXXX";

	about = (struct bounce){ .kind = BOUNCE_FAILURE, .queue_id = "ID1",
	    .return_what = "", .content_length = length };
	assert_int_not_equal(about.message = mkstemp(path), -1);
	unlink(path);
	assert_int_equal(write(about.message, text, strlen(text)),
	    strlen(text));
	report = (struct report){ .about = &about };
}

static int
set_up(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	about.message = -1;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	if (about.message != -1)
		close(about.message);
	pool_free(pool);
	return 0;
}

static void
a_small_message_is_returned_whole(void **state)
{
	static const char	text[] = "Message-ID: <a@b>\r\n\r\nHi.\r\n";

	(void)state;
	begin(text, sizeof(text) - 1);
	assert_int_equal(original_look(&report, pool, 1000), 0);
	assert_int_equal(report.copy_length, sizeof(text) - 1);
	assert_string_equal(report.message_id, "<a@b>");
	assert_false(report.is_headers_only || report.is_damaged ||
	    report.is_copy_8bit);
}

static void
other_letters_are_found_only_in_what_is_copied(void **state)
{
	static const char	text[] = "Subject: x\r\n\r\n\xc3\xa4\r\n";

	(void)state;
	begin(text, sizeof(text) - 1);
	assert_int_equal(original_look(&report, pool, 1000), 0);
	assert_true(report.is_copy_8bit);
	assert_int_equal(original_look(&report, pool, 1), 0);
	assert_true(report.is_headers_only);
	assert_false(report.is_copy_8bit);
	assert_int_equal(report.copy_length, strlen("Subject: x\r\n"));
}

static void
what_the_disk_has_lost_is_left_out_and_the_report_goes_on(void **state)
{
	static const char	text[] = "Subject: \xc3\xa4\r\n\r\nHi.\r\n";

	(void)state;
	begin(text, 100000);
	assert_int_equal(original_look(&report, pool, 1000000), 0);
	assert_true(report.is_damaged && report.is_headers_only &&
	    report.is_copy_8bit);
	assert_int_equal(report.copy_length, strlen("Subject: xx\r\n"));
}

static void
even_if_nothing_is_left(void **state)
{
	(void)state;
	begin("", 1000);
	close(about.message);
	/* Reading where nothing is mapped gives EIO. */
	about.message = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	assert_int_not_equal(about.message, -1);
	assert_int_equal(original_look(&report, pool, 1000000), 0);
	assert_true(report.is_damaged && report.is_headers_only);
	assert_int_equal(report.copy_length, 0);
	assert_null(report.message_id);
}

static void
other_errors_may_pass(void **state)
{
	(void)state;
	begin("", 1000);
	close(about.message);
	about.message = -1;
	assert_int_equal(original_look(&report, pool, 1000), -1);
	assert_false(report.is_damaged);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test_setup_teardown(
		    a_small_message_is_returned_whole, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    other_letters_are_found_only_in_what_is_copied, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(
		    what_the_disk_has_lost_is_left_out_and_the_report_goes_on,
		    set_up, tear_down),
		cmocka_unit_test_setup_teardown(even_if_nothing_is_left,
		    set_up, tear_down),
		cmocka_unit_test_setup_teardown(other_errors_may_pass, set_up,
		    tear_down),
	};

	return cmocka_run_group_tests_name("original", tests, NULL, NULL);
}
