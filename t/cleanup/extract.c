/*
 * extract.c - claims about recipients in headers.
 *
 * needs: cleanup/extract.c
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

#include "cleanup/post.h"

static struct pool	*pool;
static char		 result[4096];

/* The recipients of a message, separated by spaces, or "!". */
static const char *
recipients(const char *message)
{
	struct drop	d = { .count = 0 };
	int		fd = memfd_create("message", 0);
	size_t		i;
	const char	*why;

	assert_int_equal(fs_write(fd, message, strlen(message)), 0);
	why = extract_recipients(pool, fd, (int64_t)strlen(message), &d);
	close(fd);
	if (why != NULL)
		return "!";
	result[0] = '\0';
	for (i = 0; i < d.count; i++) {
		strlcat(result, i > 0 ? " " : "", sizeof(result));
		strlcat(result, d.recipients[i].address, sizeof(result));
	}
	return result;
}

static void
to_cc_and_bcc_are_recipients(void **state)
{
	(void)state;
	assert_string_equal(recipients("From: x@y\nTo: a@b.test\n"
	    "CC: C <c@d.test>, e\nbcc: f@g.test\nReply-To: h@i.test\n\n"
	    "To: z\n"),
	    "a@b.test c@d.test e f@g.test");
}

static void
folded_headers_and_groups_are_read(void **state)
{
	(void)state;
	assert_string_equal(recipients("To: friends: a@b.test,\n\tc@d.test;,\n"
	    " \"E, F\"\n <e@f.test> (comment)\n\n"),
	    "a@b.test c@d.test e@f.test");
	assert_string_equal(recipients("To: undisclosed-recipients:;\n\n"),
	    "");
	assert_string_equal(recipients("To:\n\n"), "");
}

static void
resent_headers_come_first(void **state)
{
	(void)state;
	assert_string_equal(recipients("Resent-To: a@b.test\n"
	    "Resent-Bcc: c@d.test\nTo: e@f.test\n\n"), "a@b.test c@d.test");
}

static void
crlf_and_missing_ends_are_read(void **state)
{
	(void)state;
	assert_string_equal(recipients("To: a@b.test\r\nCc: c@d.test\r\n\r\n"),
	    "a@b.test c@d.test");
	assert_string_equal(recipients("To: a@b.test"), "a@b.test");
	assert_string_equal(recipients("To: a@b.test\nnot a header\nTo: c@d\n"),
	    "a@b.test");
	assert_string_equal(recipients(""), "");
}

static void
what_is_no_list_is_refused(void **state)
{
	(void)state;
	assert_string_equal(recipients("To: a@b@c@\n\n"), "!");
	assert_string_equal(recipients("To: <a@b.test\n\n"), "!");
}

static void
many_recipients_are_found(void **state)
{
	struct drop	d = { .count = 0 };
	struct str	text;
	int		i, fd = memfd_create("message", 0);

	(void)state;
	str_init(&text, pool, 0);
	str_add(&text, "To: u@x.test");
	for (i = 1; i < 20000; i++)
		str_addf(&text, ",\n u%d@x.test", i);
	str_add(&text, "\n\nbody\n");
	assert_int_equal(fs_write(fd, text.data, text.len), 0);
	assert_null(extract_recipients(pool, fd, (int64_t)text.len, &d));
	assert_int_equal(d.count, 20000);
	assert_string_equal(d.recipients[19999].address, "u19999@x.test");
	close(fd);
}

/* What is found behind a field of 33 MiB. */
static const char *
recipients_behind(const char *name, struct drop *d)
{
	char		*line = pool_alloc(pool, 1 << 20);
	int		 i, fd = memfd_create("message", 0);
	const char	*why, *to = "\nTo: a@b.test\n\n";

	memset(line, ' ', 1 << 20);
	line[0] = '\n';
	assert_int_equal(fs_write(fd, name, strlen(name)), 0);
	for (i = 0; i < 33; i++)
		assert_int_equal(fs_write(fd, line, 1 << 20), 0);
	assert_int_equal(fs_write(fd, to, strlen(to)), 0);
	why = extract_recipients(pool, fd, 34 << 20, d);
	close(fd);
	return why;
}

static void
a_list_without_end_is_refused_any_other_field_is_not(void **state)
{
	struct drop	d = { .count = 0 };

	(void)state;
	assert_null(recipients_behind("X-Long:", &d));
	assert_int_equal(d.count, 1);
	assert_string_equal(d.recipients[0].address, "a@b.test");
	assert_string_equal(recipients_behind("Bcc:", &d),
	    "Bcc: header: it is too long");
}

static int
setup(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(to_cc_and_bcc_are_recipients),
		TEST(folded_headers_and_groups_are_read),
		TEST(resent_headers_come_first),
		TEST(crlf_and_missing_ends_are_read),
		TEST(what_is_no_list_is_refused),
		TEST(many_recipients_are_found),
		TEST(a_list_without_end_is_refused_any_other_field_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
