/*
 * drop.c - claims about messages in maildrop/.
 *
 * needs: cleanup/drop.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cleanup/drop.h"

static struct pool		*pool;
static struct recipient_row	 rows[2];
static struct drop		 drop;
static struct str		 data;

/* A good message. */
static void
begin(void)
{
	str_init(&data, pool, 0);
	rows[0] = (struct recipient_row){ "bob@x.test", "", "", 0 };
	rows[1] = (struct recipient_row){ "carol", "", "", 6 };
	drop = (struct drop){
		.sender = "alice", .full_name = "Alice A", .envelope_id = "",
		.return_what = "HDRS", .verp = "", .flags = MAIL_IS_8BIT,
		.content_length = 123, .recipients = rows, .count = 2
	};
	assert_null(drop_encode(&drop, &data));
}

static int
setup(void **state)
{
	(void)state;
	static const struct param *const	tables[] = { drop_params,
						    NULL };
	struct str				 problems;

	pool = pool_new("test", 0);
	str_init(&problems, pool, 0);
	assert_int_equal(param_load(maincf_empty(pool), tables, &problems), 0);
	begin();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

/* NULL when these bytes are accepted. */
static const char *
decode(const char *from, size_t len, struct drop *d)
{
	const char	*why;
	size_t		 head;

	if (len < DROP_PREFIX)
		return "short";
	if ((why = drop_decode_prefix(from, &head)) != NULL)
		return why;
	if (head != len - DROP_PREFIX)
		return "short";
	return drop_decode(d, pool, from, from + DROP_PREFIX, head);
}

static void
what_was_written_is_read(void **state)
{
	struct drop	d;

	(void)state;
	assert_null(decode(data.data, data.len, &d));
	assert_string_equal(d.sender, "alice");
	assert_string_equal(d.full_name, "Alice A");
	assert_int_equal(d.content_length, 123);
	assert_int_equal(d.count, 2);
	assert_string_equal(d.recipients[1].address, "carol");
	assert_int_equal(d.recipients[1].notify, 6);
}

static void
every_truncation_is_refused(void **state)
{
	struct drop	d;
	size_t		len;

	(void)state;
	for (len = 0; len < data.len; len++)
		assert_non_null(decode(data.data, len, &d));
}

static void
every_changed_byte_is_refused(void **state)
{
	struct drop	d;
	size_t		i;

	(void)state;
	for (i = 0; i < data.len; i++) {
		data.data[i] ^= 0x20;
		assert_non_null(decode(data.data, data.len, &d));
		data.data[i] ^= 0x20;
	}
}

/* P1 */
static void
control_bytes_are_refused_everywhere(void **state)
{
	static const char *const	bad[] = {
		"a\nb", "a\rb", "a\x01" "b", "a\x7f" "b", "a@b.test\nBcc: c"
	};
	size_t				i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char	*text = pool_strdup(pool, bad[i]);

		begin();
		drop.sender = text;
		assert_non_null(drop_check(pool, &drop));
		begin();
		drop.full_name = text;
		assert_non_null(drop_check(pool, &drop));
		begin();
		drop.envelope_id = text;
		assert_non_null(drop_check(pool, &drop));
		begin();
		rows[0].address = text;
		assert_non_null(drop_check(pool, &drop));
		begin();
		rows[0].original = text;
		assert_non_null(drop_check(pool, &drop));
		begin();
		rows[0].orcpt = text;
		assert_non_null(drop_check(pool, &drop));
	}
}

static void
an_envelope_needs_recipients_and_known_words(void **state)
{
	(void)state;
	drop.count = 0;
	assert_non_null(drop_check(pool, &drop));
	begin();
	drop.return_what = "ALL";
	assert_non_null(drop_check(pool, &drop));
	begin();
	rows[1].notify = 3;
	assert_non_null(drop_check(pool, &drop));
	rows[1].notify = 16;
	assert_non_null(drop_check(pool, &drop));
	begin();
	rows[0].address = "";
	str_clear(&data);
	assert_non_null(drop_encode(&drop, &data));
	begin();
	drop.flags = MAIL_IS_BOUNCE;
	assert_string_equal(drop_check(pool, &drop),
	    "an option that nobody may give");
	drop.flags = SUBMIT_FLAGS;
	assert_null(drop_check(pool, &drop));
	drop.flags = SUBMIT_FLAGS + 1;
	str_clear(&data);
	assert_non_null(drop_encode(&drop, &data));
}

static void
the_null_sender_is_allowed(void **state)
{
	(void)state;
	drop.sender = "";
	assert_null(drop_check(pool, &drop));
}

static void
verp_needs_a_sender_and_delimiters_that_the_filter_has(void **state)
{
	static const char *const	bad[] = { "+", "+=-", "ab", "+\n", "%=" };
	size_t				i;

	(void)state;
	drop.verp = "+=";
	assert_null(drop_check(pool, &drop));
	drop.sender = "";
	assert_non_null(drop_check(pool, &drop));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		begin();
		drop.verp = pool_strdup(pool, bad[i]);
		assert_non_null(drop_check(pool, &drop));
	}
}

static void
hostile_bytes_do_no_harm(void **state)
{
	struct drop	d;
	char		*copy = pool_alloc(pool, data.len);
	int		 round;

	(void)state;
	srandom(1);
	for (round = 0; round < 20000; round++) {
		memcpy(copy, data.data, data.len);
		copy[(size_t)random() % data.len] = (char)random();
		copy[(size_t)random() % data.len] = (char)random();
		(void)decode(copy, data.len, &d);
	}
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(what_was_written_is_read),
		TEST(every_truncation_is_refused),
		TEST(every_changed_byte_is_refused),
		TEST(control_bytes_are_refused_everywhere),
		TEST(an_envelope_needs_recipients_and_known_words),
		TEST(the_null_sender_is_allowed),
		TEST(verp_needs_a_sender_and_delimiters_that_the_filter_has),
		TEST(hostile_bytes_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
