/*
 * marks.c - what a waiting message waits for, in a few bytes.
 */
#include "qmgr/marks.h"

#include "common/base/hash.h"

/* Never 0. */
uint32_t
marks_hash(const char *name, size_t len)
{
	uint32_t	h = hash_lower(HASH_START, name, len);

	return h != 0 ? h : 1;
}

/* Is one of these hashes among those names? */
bool
marks_any(const uint32_t *names, size_t n, const uint32_t *hashes, size_t m)
{
	size_t	i, j;

	for (i = 0; i < n; i++)
		for (j = 0; j < m; j++)
			if (names[i] == hashes[j])
				return true;
	return false;
}

/* Know one more, if there is room. */
void
marks_add(struct marks *m, uint32_t hash)
{
	if (m->count == MARKS_MANY || marks_any(m->names, m->count, &hash, 1))
		return;
	if (m->count == MARKS)
		m->count = MARKS_MANY;
	else
		m->names[m->count++] = hash;
}

/* One of them? */
bool
marks_have(const struct marks *m, const uint32_t *hashes, size_t n)
{
	return m->count != MARKS_MANY && marks_any(m->names, m->count, hashes,
	    n);
}
