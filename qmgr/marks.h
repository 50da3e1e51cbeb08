#ifndef QMGR_MARKS_H
#define QMGR_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a message waits for. Names are hashes of its recipients' domains, next
 * hops and sites; a site is a destination's mark. Hashes of different names
 * may be the same: then a message is tried that need not be.
 */
enum { MARKS = 3, MARKS_UNKNOWN = 0, MARKS_MANY = 255 };
struct marks {
	uint32_t	 site;		/* that it goes to, or 0 */
	uint8_t		 count;		/* of names, or one of the above */
	uint32_t	 names[MARKS];
};

/* The hash of a name, case ignored; never 0. */
uint32_t	 marks_hash(const char *name, size_t len);
/* One more name. */
void		 marks_add(struct marks *, uint32_t hash);
bool		 marks_have(const struct marks *, const uint32_t *hashes,
		    size_t count);
/* Is one of these hashes among those? */
bool		 marks_any(const uint32_t *names, size_t n,
		    const uint32_t *hashes, size_t count);

#endif
