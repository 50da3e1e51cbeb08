/*
 * fields.c - claims about the table language. P1-P3 of common/base/fields.c
 * have their tests here.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/base/fields.h"

struct rcpt {
	char		*address;
	int64_t		 flags;
};

static const struct field rcpt_fields[] = {
	FIELD_STR(struct rcpt, address,		1, 320),
	FIELD_INT(struct rcpt, flags,		0, 255),
	FIELD_END
};

struct mail {
	int64_t		 size;
	bool		 is_local;
	char		*sender;
	char		*envid;
	struct bytes	 head;
	struct rcpt	*rcpts;
	size_t		 rcpt_count;
	int		 message;
	int		 journal;
};

static const struct field mail_fields[] = {
	FIELD_INT(struct mail, size,		-5, 1000000),
	FIELD_BOOL(struct mail, is_local),
	FIELD_STR(struct mail, sender,		0, 320),
	FIELD_OPT(struct mail, envid,		100),
	FIELD_DATA(struct mail, head,		0, 1000),
	FIELD_LIST(struct mail, rcpts, rcpt_count, 3, rcpt_fields, struct rcpt),
	FIELD_FD(struct mail, message),
	FIELD_OPT_FD(struct mail, journal),
	FIELD_END
};

static const struct field brief_fields[] = {
	FIELD_STR(struct mail, sender,		2, 4),
	FIELD_END
};

static const struct field data_fields[] = {
	FIELD_DATA(struct mail, head,		2, 4),
	FIELD_END
};

static const struct field list_fields[] = {
	FIELD_LIST(struct mail, rcpts, rcpt_count, INT32_MAX, rcpt_fields,
	    struct rcpt),
	FIELD_END
};

static struct pool	*pool;
static struct str	 packet;
static int		 fds[4];
static size_t		 nfds;

static int
set_up(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	str_init(&packet, pool, 65536);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

/* A mail with something in every field. */
static struct mail
good_mail(void)
{
	static char		a[] = "a@example.org", b[] = "b@example.org";
	static char		sender[] = "s@example.com", envid[] = "";
	static struct rcpt	rcpts[] = { { a, 1 }, { b, 255 } };
	struct mail		m = { -5, true, sender, envid,
				    { "x\0y", 3 }, rcpts, 2, 7, 9 };

	return m;
}

static const char *
encode(const struct mail *m)
{
	str_clear(&packet);
	return fields_encode(mail_fields, m, &packet, fds, &nfds);
}

/* Decode from a copy of exact size, so that a byte too far is found. */
static const char *
decode(const struct field *table, struct mail *m, const void *data, size_t len)
{
	char		*copy = malloc(len > 0 ? len : 1);
	const char	*why;

	memcpy(copy, data, len);
	why = fields_decode(table, m, pool, copy, len, fds, nfds);
	free(copy);
	return why;
}

static void
assert_empty(const struct mail *m)
{
	assert_int_equal(m->size, 0);
	assert_false(m->is_local);
	assert_string_equal(m->sender, "");
	assert_null(m->envid);
	assert_int_equal(m->head.len, 0);
	assert_null(m->rcpts);
	assert_int_equal(m->rcpt_count, 0);
	assert_int_equal(m->message, -1);
	assert_int_equal(m->journal, -1);
}

static void
what_is_encoded_can_be_decoded(void **state)
{
	struct mail	m = good_mail(), d;

	(void)state;
	assert_null(encode(&m));
	assert_int_equal(nfds, 2);
	assert_null(fields_decode(mail_fields, &d, pool, packet.data,
	    packet.len, fds, nfds));
	assert_int_equal(d.size, -5);
	assert_true(d.is_local);
	assert_string_equal(d.sender, "s@example.com");
	assert_string_equal(d.envid, "");
	assert_int_equal(d.head.len, 3);
	assert_memory_equal(d.head.data, "x\0y", 3);
	assert_int_equal(d.rcpt_count, 2);
	assert_string_equal(d.rcpts[0].address, "a@example.org");
	assert_string_equal(d.rcpts[1].address, "b@example.org");
	assert_int_equal(d.rcpts[1].flags, 255);
	assert_int_equal(d.message, 7);
	assert_int_equal(d.journal, 9);
}

static void
absent_things_stay_absent(void **state)
{
	struct mail	m = good_mail(), d;

	(void)state;
	m.envid = NULL;
	m.rcpts = NULL;
	m.rcpt_count = 0;
	m.journal = -1;
	m.head.len = 0;
	m.head.data = NULL;
	assert_null(encode(&m));
	assert_int_equal(nfds, 1);
	assert_null(decode(mail_fields, &d, packet.data, packet.len));
	assert_null(d.envid);
	assert_null(d.rcpts);
	assert_int_equal(d.rcpt_count, 0);
	assert_int_equal(d.journal, -1);
	assert_int_equal(d.message, 7);
}

static void
bytes_are_those_of_the_specification(void **state)
{
	static const unsigned char	want[] = {
		3, 3, 0, 0, 0, 'a', 'b', 'c', 0
	};
	static char	abc[] = "abc";
	struct mail	m = { .sender = abc };
	struct rcpt	r = { abc, 258 - 3 };

	(void)state;
	assert_null(fields_encode(brief_fields, &m, &packet, NULL, NULL));
	assert_int_equal(packet.len, sizeof(want));
	assert_memory_equal(packet.data, want, sizeof(want));
	str_clear(&packet);
	assert_null(fields_encode(rcpt_fields, &r, &packet, NULL, NULL));
	assert_memory_equal(packet.data + 9, "\1\377\0\0\0\0\0\0\0", 9);
}

static void
encoder_keeps_to_the_bounds(void **state)
{
	static char		long_sender[400], none[] = "";
	static struct rcpt	nobody[] = { { none, 0 } };
	struct mail		m;

	(void)state;
	memset(long_sender, 'x', sizeof(long_sender) - 1);
	m = good_mail();
	m.size = -6;
	assert_string_equal(encode(&m),
	    "field size is -6, expected -5 to 1000000");
	m = good_mail();
	m.sender = long_sender;
	assert_string_equal(encode(&m),
	    "field sender has 399 bytes, expected 0 to 320");
	m.sender = NULL;
	assert_string_equal(encode(&m), "field sender is missing");
	m = good_mail();
	m.rcpt_count = 4;
	assert_string_equal(encode(&m),
	    "field rcpts has 4 rows, expected at most 3");
	m.rcpts = nobody;
	m.rcpt_count = 1;
	assert_string_equal(encode(&m),
	    "field address has 0 bytes, expected 1 to 320");
	m = good_mail();
	m.message = -1;
	assert_string_equal(encode(&m), "field message is missing");
	assert_int_equal(nfds, 0);
	assert_int_equal(packet.len, 0);
}

static void
encoder_fits_or_tells(void **state)
{
	struct mail	m = good_mail();
	struct str	small;

	(void)state;
	str_init(&small, pool, 40);
	str_add(&small, "head");
	assert_string_equal(fields_encode(mail_fields, &m, &small, fds, &nfds),
	    "field head does not fit into 40 bytes");
	assert_string_equal(small.data, "head");
	assert_string_equal(fields_encode(mail_fields, &m, &packet, NULL, NULL),
	    "field message is one descriptor too many");
}

/* The decoder's answer to literal bytes. */
#define ANSWER(table, bytes) \
	decode(table, &d, bytes, sizeof(bytes) - 1)

static void
decoder_keeps_to_the_bounds(void **state)
{
	struct mail	d;

	(void)state;
	nfds = 0;
	assert_null(ANSWER(brief_fields, "\3\2\0\0\0ab\0"));
	assert_null(ANSWER(brief_fields, "\3\4\0\0\0abcd\0"));
	assert_string_equal(ANSWER(brief_fields, "\3\1\0\0\0a\0"),
	    "field sender has 1 bytes, expected 2 to 4");
	assert_non_null(ANSWER(brief_fields, "\3\5\0\0\0abcde\0"));
	assert_non_null(ANSWER(brief_fields, "\3\377\377\377\377ab\0"));
	assert_string_equal(ANSWER(brief_fields, "\3\3\0\0\0a\0b\0"),
	    "field sender is not one string");
	assert_non_null(ANSWER(brief_fields, "\3\2\0\0\0abc"));
	assert_string_equal(ANSWER(brief_fields, "\3\2\0\0\0ab"),
	    "the data ends in field sender");
	assert_string_equal(ANSWER(brief_fields, "\3\2\0\0\0ab\0z"),
	    "1 bytes follow the last field");
	assert_string_equal(ANSWER(brief_fields, "\4\2\0\0\0ab\0"),
	    "field sender is of kind 4, expected 3");
	assert_null(ANSWER(data_fields, "\5\2\0\0\0a\0"));
	assert_non_null(ANSWER(data_fields, "\5\1\0\0\0a"));
	assert_non_null(ANSWER(data_fields, "\5\5\0\0\0abcde"));
	assert_non_null(ANSWER(data_fields, "\5\3\0\0\0ab"));
}

static void
P1_every_truncation_is_refused(void **state)
{
	struct mail	m = good_mail(), d;
	size_t		len;

	(void)state;
	assert_null(encode(&m));
	for (len = 0; len < packet.len; len++) {
		assert_non_null(decode(mail_fields, &d, packet.data, len));
		assert_empty(&d);
	}
}

static void
P1_every_changed_byte_is_survived(void **state)
{
	static const unsigned char values[] = { 0, 1, 2, 0x7f, 0x80, 0xff };
	struct mail	m = good_mail(), d;
	size_t		at, i;

	(void)state;
	assert_null(encode(&m));
	for (at = 0; at < packet.len; at++)
		for (i = 0; i < sizeof(values); i++) {
			char	kept = packet.data[at];

			packet.data[at] = (char)values[i];
			if (decode(mail_fields, &d, packet.data, packet.len)
			    != NULL)
				assert_empty(&d);
			packet.data[at] = kept;
		}
}

static void
P2_rows_that_cannot_be_there_take_no_memory(void **state)
{
	struct mail	d;
	size_t		before = pool_size(pool);

	(void)state;
	nfds = 0;
	assert_string_equal(ANSWER(list_fields, "\6\377\377\377\177"),
	    "the data ends in field rcpts");
	assert_non_null(ANSWER(list_fields, "\6\377\377\377\377"));
	assert_non_null(ANSWER(list_fields, "\6\2\0\0\0abcdefghijklmnop"));
	assert_true(pool_size(pool) - before < 1000);
}

static void
P3_failure_takes_no_descriptor(void **state)
{
	struct mail	m = good_mail(), d;

	(void)state;
	assert_null(encode(&m));
	nfds = 1;
	assert_string_equal(decode(mail_fields, &d, packet.data, packet.len),
	    "field journal has no descriptor");
	assert_empty(&d);
	nfds = 3;
	assert_string_equal(decode(mail_fields, &d, packet.data, packet.len),
	    "1 descriptors without a field");
	assert_empty(&d);
}

static void
records_follow_each_other(void **state)
{
	static char	ab[] = "ab", abc[] = "abc";
	struct mail	m = { .sender = ab }, d;
	size_t		used = 0;

	(void)state;
	assert_null(fields_encode(brief_fields, &m, &packet, NULL, NULL));
	m.sender = abc;
	assert_null(fields_encode(brief_fields, &m, &packet, NULL, NULL));
	assert_null(fields_decode_part(brief_fields, &d, pool, packet.data,
	    packet.len, &used));
	assert_string_equal(d.sender, "ab");
	assert_int_equal(used, 8);
	assert_null(fields_decode_part(brief_fields, &d, pool,
	    packet.data + used, packet.len - used, &used));
	assert_string_equal(d.sender, "abc");
	assert_int_equal(used, 9);
	assert_non_null(fields_decode_part(brief_fields, &d, pool, NULL, 0,
	    &used));
}

static void
record_may_not_bring_descriptors(void **state)
{
	struct mail	m = good_mail(), d;
	size_t		used;

	(void)state;
	assert_null(encode(&m));
	assert_string_equal(fields_decode_part(mail_fields, &d, pool,
	    packet.data, packet.len, &used), "field message has no descriptor");
}

#define CLAIM_THAT(name) \
	cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		CLAIM_THAT(what_is_encoded_can_be_decoded),
		CLAIM_THAT(absent_things_stay_absent),
		CLAIM_THAT(bytes_are_those_of_the_specification),
		CLAIM_THAT(encoder_keeps_to_the_bounds),
		CLAIM_THAT(encoder_fits_or_tells),
		CLAIM_THAT(decoder_keeps_to_the_bounds),
		CLAIM_THAT(P1_every_truncation_is_refused),
		CLAIM_THAT(P1_every_changed_byte_is_survived),
		CLAIM_THAT(P2_rows_that_cannot_be_there_take_no_memory),
		CLAIM_THAT(P3_failure_takes_no_descriptor),
		CLAIM_THAT(records_follow_each_other),
		CLAIM_THAT(record_may_not_bring_descriptors),
	};

	return cmocka_run_group_tests_name("fields", tests, NULL, NULL);
}
