/*
 * crc.c - CRC-32C (Castagnoli, as in RFC 3720) of what stands in the queue.
 *
 * Of a message in a write-ahead log every byte is covered, so it has to be
 * quick: by the processor where it can (SSE 4.2: 0.3 ns a byte), by a table of
 * 256 otherwise.
 */
#include "common/queue/queue.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

enum { POLYNOMIAL = 0x82f63b78, BYTES = 256 };	/* its bits from the right */

static uint32_t		table[BYTES];
static pthread_once_t	is_filled = PTHREAD_ONCE_INIT;

/* Each byte's eight steps. */
static void
fill_table(void)
{
	uint32_t	crc, byte;
	int		bit;

	for (byte = 0; byte < BYTES; byte++) {
		crc = byte;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ ((crc & 1) != 0 ?
			    (uint32_t)POLYNOMIAL : 0);
		table[byte] = crc;
	}
}

/* By the table. A thread must not see one that another is just filling. */
static uint32_t
by_table(uint32_t crc, const unsigned char *at, const unsigned char *end)
{
	(void)pthread_once(&is_filled, fill_table);
	for (; at < end; at++)
		crc = crc >> 8 ^ table[(crc ^ *at) & 0xff];
	return crc;
}

#if defined(__x86_64__)

/* By the processor. */
__attribute__((target("sse4.2"))) static uint32_t
by_processor(uint32_t crc, const unsigned char *at, const unsigned char *end)
{
	uint64_t	word, sum = crc;

	for (; end - at >= (ptrdiff_t)sizeof(word); at += sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		sum = _mm_crc32_u64(sum, word);
	}
	for (; at < end; at++)
		sum = _mm_crc32_u8((uint32_t)sum, *at);
	return (uint32_t)sum;
}

/* Can it? */
static bool
can_processor(void)
{
	return __builtin_cpu_supports("sse4.2") != 0;
}

#else

/* Not here. */
static uint32_t
by_processor(uint32_t crc, const unsigned char *at, const unsigned char *end)
{
	return by_table(crc, at, end);
}

/* It cannot. */
static bool
can_processor(void)
{
	return false;
}

#endif

/* The slow way. */
uint32_t
queue_crc_by_table(uint32_t before, const void *data, size_t len)
{
	const unsigned char	*at = data;

	return ~by_table(~before, at, at + len);
}

/* Of these bytes, behind others. */
uint32_t
queue_crc(uint32_t before, const void *data, size_t len)
{
	const unsigned char	*at = data;

	return ~(can_processor() ? by_processor : by_table)(~before, at,
	    at + len);
}
