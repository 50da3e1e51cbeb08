/*
 * envelope.c - claims about sender and recipients in a queue file.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/mail/dsn.h"
#include "common/queue/queue.h"

static struct pool	*pool;
static struct str	 data;
static struct mail	 mail = {
	.sender = "alice@example.org", .origin = "smtpd",
	.client_name = "mx.example.org", .client_address = "192.0.2.1",
	.helo = "mx", .protocol = "ESMTP", .envelope_id = "E1",
	.return_what = "HDRS", .uid = -1, .flags = MAIL_IS_8BIT,
	.arrival_us = 1234567890123456, .size_hint = 77
};
static struct recipient_row	rows[] = {
	{ "bob@example.net", "", "", 0 },
	{ "carol@example.net", "c@example.net", "rfc822;c@example.net", 5 },
	{ "dave@example.net", "", "", 1 }
};

static int
setup(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	str_init(&data, pool, 0);
	assert_null(envelope_encode(&mail, rows, 3, &data));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

/* Decode and throw away. */
static const char *
decode(const void *from, size_t len, uint32_t crc)
{
	struct pool	*own = pool_new("decode", 0);
	struct envelope	 e;
	const char	*why = envelope_decode(&e, own, from, len, 0, crc);

	pool_free(own);
	return why != NULL ? "refused" : NULL;
}

static void
what_was_written_is_read(void **state)
{
	struct envelope	e;

	(void)state;
	assert_null(envelope_decode(&e, pool, data.data, data.len, 1000,
	    envelope_crc(data.data, data.len)));
	assert_string_equal(e.mail.sender, "alice@example.org");
	assert_string_equal(e.mail.return_what, "HDRS");
	assert_string_equal(e.mail.login, "");
	assert_int_equal(e.mail.uid, -1);
	assert_int_equal(e.mail.arrival_us, 1234567890123456);
	assert_int_equal(e.count, 3);
	assert_string_equal(e.recipients[1].row.address, "carol@example.net");
	assert_string_equal(e.recipients[1].row.orcpt, "rfc822;c@example.net");
	assert_int_equal(e.recipients[1].row.notify, 5);
	assert_int_equal(e.recipients[2].status, RECIPIENT_TO_DO);
}

static void
a_status_is_where_it_is_said_to_be(void **state)
{
	struct envelope	e;
	uint32_t	crc = envelope_crc(data.data, data.len);
	size_t		i;

	(void)state;
	assert_null(envelope_decode(&e, pool, data.data, data.len, 1000, crc));
	for (i = 0; i < 3; i++)
		assert_int_equal(data.data[e.recipients[i].status_offset -
		    1000], RECIPIENT_TO_DO);
}

static void
crossing_off_leaves_the_checksum_alone(void **state)
{
	struct envelope	e;
	uint32_t	crc = envelope_crc(data.data, data.len);

	(void)state;
	assert_null(envelope_decode(&e, pool, data.data, data.len, 0, crc));
	data.data[e.recipients[0].status_offset] = RECIPIENT_DONE;
	data.data[e.recipients[2].status_offset] = RECIPIENT_FAILED;
	assert_int_equal(envelope_crc(data.data, data.len), crc);
	assert_null(envelope_decode(&e, pool, data.data, data.len, 0, crc));
	assert_int_equal(e.recipients[0].status, RECIPIENT_DONE);
	assert_int_equal(e.recipients[1].status, RECIPIENT_TO_DO);
	assert_int_equal(e.recipients[2].status, RECIPIENT_FAILED);
}

static void
an_alias_to_be_reported_is_no_recipient(void **state)
{
	static const struct recipient_row	two[] = {
		{ "list@example.net", "", "", NOTIFY_EXPANDED },
		{ "bob@example.net", "list@example.net", "", NOTIFY_NEVER }
	};
	struct envelope	e;

	(void)state;
	str_clear(&data);
	assert_null(envelope_encode(&mail, two, 2, &data));
	assert_null(envelope_decode(&e, pool, data.data, data.len, 0,
	    envelope_crc(data.data, data.len)));
	assert_int_equal(e.recipients[0].status, RECIPIENT_EXPANDED);
	assert_int_equal(e.recipients[1].status, RECIPIENT_TO_DO);
}

static void
every_status_is_read_and_nothing_else(void **state)
{
	static const char	known[] = { RECIPIENT_TO_DO, RECIPIENT_DONE,
	    RECIPIENT_FAILED, RECIPIENT_DELIVERED, RECIPIENT_RELAYED,
	    RECIPIENT_EXPANDED, RECIPIENT_OWED };
	struct envelope		e;
	uint32_t		crc = envelope_crc(data.data, data.len);
	size_t			at;
	int			byte;

	(void)state;
	assert_null(envelope_decode(&e, pool, data.data, data.len, 0, crc));
	at = (size_t)e.recipients[1].status_offset;
	for (byte = 0; byte < 256; byte++) {
		data.data[at] = (char)byte;
		assert_int_equal(decode(data.data, data.len, crc) == NULL,
		    memchr(known, byte, sizeof(known)) != NULL);
	}
}

/* P1 */
static void
no_bit_makes_one_status_of_another(void **state)
{
	struct envelope	e;
	uint32_t	crc = envelope_crc(data.data, data.len);
	size_t		at;
	int		byte, bit;

	(void)state;
	assert_null(envelope_decode(&e, pool, data.data, data.len, 0, crc));
	at = (size_t)e.recipients[1].status_offset;
	for (byte = 0; byte < 256; byte++) {
		data.data[at] = (char)byte;
		if (decode(data.data, data.len, crc) != NULL)
			continue;
		for (bit = 0; bit < 8; bit++) {
			data.data[at] = (char)(byte ^ 1 << bit);
			assert_non_null(decode(data.data, data.len, crc));
		}
	}
}

/* P1 */
static void
every_truncation_is_refused(void **state)
{
	uint32_t	crc = envelope_crc(data.data, data.len);
	size_t		len;

	(void)state;
	for (len = 0; len < data.len; len++) {
		assert_non_null(decode(data.data, len, crc));
		/* and even if the checksum were right */
		assert_non_null(decode(data.data, len,
		    envelope_crc(data.data, len)));
	}
}

/* P1 */
static void
every_changed_byte_is_refused_or_is_a_status(void **state)
{
	uint32_t	crc = envelope_crc(data.data, data.len);
	size_t		i, accepted = 0;

	(void)state;
	for (i = 0; i < data.len; i++) {
		data.data[i] ^= RECIPIENT_TO_DO ^ RECIPIENT_DONE;
		if (decode(data.data, data.len, crc) == NULL)
			accepted++;
		data.data[i] ^= RECIPIENT_TO_DO ^ RECIPIENT_DONE;
	}
	assert_int_equal(accepted, 3);
}

/* P1 */
static void
a_byte_too_many_is_refused(void **state)
{
	(void)state;
	str_add_char(&data, 'x');
	assert_non_null(decode(data.data, data.len,
	    envelope_crc(data.data, data.len)));
}

static void
hostile_bytes_with_a_good_checksum_do_no_harm(void **state)
{
	unsigned char	*copy = pool_alloc(pool, data.len);
	int		 round;
	size_t		 i;

	(void)state;
	srandom(1);
	for (round = 0; round < 20000; round++) {
		memcpy(copy, data.data, data.len);
		for (i = 0; i < 4; i++)
			copy[(size_t)random() % data.len] =
			    (unsigned char)random();
		(void)decode(copy, data.len, envelope_crc(copy, data.len));
	}
}

static void
no_recipients_are_no_envelope(void **state)
{
	(void)state;
	str_clear(&data);
	assert_non_null(envelope_encode(&mail, rows, 0, &data));
}

static void
a_hundred_thousand_recipients_are_one(void **state)
{
	struct recipient_row	*many;
	struct envelope		 e;
	size_t			 i, n = 100000;

	(void)state;
	many = pool_array(pool, n, sizeof(*many));
	for (i = 0; i < n; i++)
		many[i].address = pool_printf(pool, "user%zu@example.org", i);
	str_init(&data, pool, 100 * 1024 * 1024);
	assert_null(envelope_encode(&mail, many, n, &data));
	assert_null(envelope_decode(&e, pool, data.data, data.len, 0,
	    envelope_crc(data.data, data.len)));
	assert_int_equal(e.count, n);
	assert_string_equal(e.recipients[n - 1].row.address,
	    "user99999@example.org");
}

/* A whole queue file in memory. */
static int
make_file(size_t content)
{
	unsigned char		preamble[QUEUE_PREAMBLE];
	char			*zeros = pool_alloc(pool, content);
	struct queue_layout	l = {
		QUEUE_PREAMBLE, (int64_t)content,
		QUEUE_PREAMBLE + (int64_t)content, (int64_t)data.len
	};
	int			fd = memfd_create("queue file", 0);

	assert_int_not_equal(fd, -1);
	queue_preamble_encode(preamble, &l, envelope_crc(data.data, data.len));
	assert_int_equal(fs_write(fd, preamble, sizeof(preamble)), 0);
	assert_int_equal(fs_write(fd, zeros, content), 0);
	assert_int_equal(fs_write(fd, data.data, data.len), 0);
	return fd;
}

static void
a_file_is_read_with_its_layout(void **state)
{
	struct queue_layout	l;
	struct envelope		e;
	int			fd = make_file(500);

	(void)state;
	assert_null(envelope_read(&e, &l, pool, fd));
	assert_int_equal(l.content_length, 500);
	assert_int_equal(e.count, 3);
	assert_int_equal(e.recipients[0].status_offset > 628, 1);
	close(fd);
}

static void
the_head_is_read_without_the_recipients(void **state)
{
	struct mail	m;
	int		fd;

	(void)state;
	mail.filter = "scan:[127.0.0.1]:10025";
	str_clear(&data);
	assert_null(envelope_encode(&mail, rows, 3, &data));
	mail.filter = NULL;
	fd = make_file(50);
	assert_null(envelope_read_mail(&m, pool, fd));
	assert_string_equal(m.sender, "alice@example.org");
	assert_string_equal(m.filter, "scan:[127.0.0.1]:10025");
	assert_int_equal(ftruncate(fd, QUEUE_PREAMBLE + 60), 0);
	assert_non_null(envelope_read_mail(&m, pool, fd));
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_non_null(envelope_read_mail(&m, pool, fd));
	close(fd);
}

static void
a_torn_file_is_refused_at_every_length(void **state)
{
	struct queue_layout	l;
	struct envelope		e;
	int			fd = make_file(50);
	off_t			len = lseek(fd, 0, SEEK_END);

	(void)state;
	while (len-- > 0) {
		assert_int_equal(ftruncate(fd, len), 0);
		assert_non_null(envelope_read(&e, &l, pool, fd));
	}
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(what_was_written_is_read),
		TEST(a_status_is_where_it_is_said_to_be),
		TEST(crossing_off_leaves_the_checksum_alone),
		TEST(an_alias_to_be_reported_is_no_recipient),
		TEST(every_status_is_read_and_nothing_else),
		TEST(no_bit_makes_one_status_of_another),
		TEST(every_truncation_is_refused),
		TEST(every_changed_byte_is_refused_or_is_a_status),
		TEST(a_byte_too_many_is_refused),
		TEST(hostile_bytes_with_a_good_checksum_do_no_harm),
		TEST(no_recipients_are_no_envelope),
		TEST(a_hundred_thousand_recipients_are_one),
		TEST(a_file_is_read_with_its_layout),
		TEST(the_head_is_read_without_the_recipients),
		TEST(a_torn_file_is_refused_at_every_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
