#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/*
 * FNV-1a, 32 bits: for tables of our own making, not against somebody who
 * chooses what is in them. `h` is HASH_START or the hash of what came before.
 */
enum { HASH_PRIME = 16777619 };
#define HASH_START	2166136261u

/* A number, as one byte if it is one. */
static inline uint32_t
hash_number(uint32_t h, uint32_t n)
{
	return (h ^ n) * HASH_PRIME;
}

static inline uint32_t
hash_bytes(uint32_t h, const void *data, size_t len)
{
	const unsigned char	*at = data, *end = at + len;

	while (at < end)
		h = hash_number(h, *at++);
	return h;
}

/* ASCII letters without their case. */
static inline uint32_t
hash_lower(uint32_t h, const char *text, size_t len)
{
	for (; len > 0; text++, len--) {
		unsigned char	c = (unsigned char)*text;

		h = hash_number(h, c >= 'A' && c <= 'Z' ? c + 32u : c);
	}
	return h;
}

#endif
