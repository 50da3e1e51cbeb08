#ifndef QUEUE_NUMBERS_H
#define QUEUE_NUMBERS_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

/*
 * Numbers in the queue's files: little endian, and at any address. There are
 * four or eight bytes there; who calls has seen to it.
 */
static inline void
put32(void *to, uint32_t n)
{
	n = htole32(n);
	memcpy(to, &n, sizeof(n));
}

static inline uint32_t
get32(const void *from)
{
	uint32_t	n;

	memcpy(&n, from, sizeof(n));
	return le32toh(n);
}

static inline void
put64(void *to, uint64_t n)
{
	n = htole64(n);
	memcpy(to, &n, sizeof(n));
}

static inline uint64_t
get64(const void *from)
{
	uint64_t	n;

	memcpy(&n, from, sizeof(n));
	return le64toh(n);
}

#endif
