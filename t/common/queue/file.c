/*
 * file.c - claims about the first bytes of a queue file.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/queue/queue.h"

static const struct queue_layout	layout = {
	.content_offset = QUEUE_PREAMBLE, .content_length = 1000,
	.envelope_offset = QUEUE_PREAMBLE + 1000, .envelope_length = 300
};

static void
the_checksum_is_crc32c(void **state)
{
	unsigned char	zeros[32] = { 0 };

	(void)state;
	/* RFC 3720 B.4 */
	assert_int_equal(queue_crc(0, zeros, sizeof(zeros)), 0x8a9136aa);
	assert_int_equal(queue_crc(0, "123456789", 9), 0xe3069283);
	assert_int_equal(queue_crc(queue_crc(0, "1234", 4), "56789", 5),
	    0xe3069283);
}

static void
what_was_written_is_read(void **state)
{
	unsigned char		raw[QUEUE_PREAMBLE];
	struct queue_layout	got;
	uint32_t		crc = 0;

	(void)state;
	queue_preamble_encode(raw, &layout, 0xdeadbeef);
	assert_null(queue_preamble_decode(raw, sizeof(raw), &got, &crc));
	assert_memory_equal(&got, &layout, sizeof(got));
	assert_int_equal(crc, 0xdeadbeef);
}

static void
every_truncation_is_refused(void **state)
{
	unsigned char		raw[QUEUE_PREAMBLE];
	struct queue_layout	got;
	uint32_t		crc;
	size_t			len;

	(void)state;
	queue_preamble_encode(raw, &layout, 1);
	for (len = 0; len < sizeof(raw); len++)
		assert_non_null(queue_preamble_decode(raw, len, &got, &crc));
}

static void
every_changed_bit_is_refused(void **state)
{
	unsigned char		raw[QUEUE_PREAMBLE];
	struct queue_layout	got;
	uint32_t		crc;
	size_t			bit;

	(void)state;
	for (bit = 0; bit < 8 * sizeof(raw); bit++) {
		queue_preamble_encode(raw, &layout, 1);
		raw[bit / 8] ^= (unsigned char)(1 << bit % 8);
		assert_non_null(queue_preamble_decode(raw, sizeof(raw), &got,
		    &crc));
	}
}

static void
a_hole_is_refused(void **state)
{
	unsigned char		raw[QUEUE_PREAMBLE] = { 0 };
	struct queue_layout	got;
	uint32_t		crc;

	(void)state;
	assert_non_null(queue_preamble_decode(raw, sizeof(raw), &got, &crc));
}

/* P2 */
static void
impossible_places_are_refused(void **state)
{
	static const struct queue_layout	bad[] = {
		{ 0, 10, 200, 10 },
		{ -1, 10, 200, 10 },
		{ 128, -1, 200, 10 },
		{ 128, 1000, 200, 10 },
		{ 128, 10, 138, 0 },
		{ 128, 10, 138, -5 },
		{ 128, INT64_MAX, 138, 10 },
		{ INT64_MAX, 10, 138, 10 },
		{ 128, 10, INT64_MAX, 10 },
		{ 128, 10, 138, INT64_MAX }
	};
	unsigned char				raw[QUEUE_PREAMBLE];
	struct queue_layout			got;
	uint32_t				crc;
	size_t					i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		queue_preamble_encode(raw, &bad[i], 1);
		assert_non_null(queue_preamble_decode(raw, sizeof(raw), &got,
		    &crc));
		assert_int_equal(got.envelope_length, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(the_checksum_is_crc32c),
		cmocka_unit_test(what_was_written_is_read),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(every_changed_bit_is_refused),
		cmocka_unit_test(a_hole_is_refused),
		cmocka_unit_test(impossible_places_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
