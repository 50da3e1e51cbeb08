#ifndef BASE_FIELDS_H
#define BASE_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/base/str.h"

/*
 * The table language that describes a struct: packets, records of the queue
 * file and control data are declared once, with their bounds, and coded by
 * one encoder and one decoder that trust nobody.
 *
 * Members and their C types:
 *	FIELD_INT	int64_t, min..max
 *	FIELD_BOOL	bool
 *	FIELD_STR	char *, min..max bytes, no NUL inside, never NULL
 *	FIELD_OPT	char *, as STR but may be NULL (an empty one stays "")
 *	FIELD_DATA	struct bytes, min..max bytes, any content
 *	FIELD_LIST	pointer to an array + size_t count, at most max rows,
 *			each row a struct with a table of its own
 *	FIELD_FD	int, a descriptor that travels beside the bytes; -1 is
 *			allowed by FIELD_OPT_FD only
 *
 * Encoded, in the table's order: one byte kind, then INT 8 bytes little
 * endian; BOOL 1 byte; STR/OPT/DATA 4 bytes length (OPT: 0xffffffff is NULL)
 * and the bytes, STR and OPT followed by one NUL that the length does not
 * count; LIST 4 bytes row count and the rows; FD 1 byte (1 present, 0 not).
 * Nothing may follow the last field.
 */
enum field_kind {
	FIELD_KIND_END, FIELD_KIND_INT, FIELD_KIND_BOOL, FIELD_KIND_STR,
	FIELD_KIND_OPT, FIELD_KIND_DATA, FIELD_KIND_LIST, FIELD_KIND_FD,
	FIELD_KIND_OPT_FD
};

struct bytes {
	const void	*data;
	size_t		 len;
};

struct field {
	const char		*name;
	enum field_kind		 kind;
	size_t			 offset;
	size_t			 count_offset;	/* LIST: of the size_t */
	int64_t			 min, max;
	const struct field	*rows;		/* LIST: table of a row */
	size_t			 row_size;	/* LIST: sizeof a row */
};

#define FIELD_INT(type, member, min, max) \
	{ #member, FIELD_KIND_INT, offsetof(type, member), 0, min, max, \
	    NULL, 0 }
#define FIELD_BOOL(type, member) \
	{ #member, FIELD_KIND_BOOL, offsetof(type, member), 0, 0, 1, NULL, 0 }
#define FIELD_STR(type, member, min, max) \
	{ #member, FIELD_KIND_STR, offsetof(type, member), 0, min, max, \
	    NULL, 0 }
#define FIELD_OPT(type, member, max) \
	{ #member, FIELD_KIND_OPT, offsetof(type, member), 0, 0, max, NULL, 0 }
#define FIELD_DATA(type, member, min, max) \
	{ #member, FIELD_KIND_DATA, offsetof(type, member), 0, min, max, \
	    NULL, 0 }
#define FIELD_LIST(type, member, count, max, table, row) \
	{ #member, FIELD_KIND_LIST, offsetof(type, member), \
	    offsetof(type, count), 0, max, table, sizeof(row) }
#define FIELD_FD(type, member) \
	{ #member, FIELD_KIND_FD, offsetof(type, member), 0, 0, 0, NULL, 0 }
#define FIELD_OPT_FD(type, member) \
	{ #member, FIELD_KIND_OPT_FD, offsetof(type, member), 0, 0, 0, NULL, 0 }
#define FIELD_END	{ NULL, FIELD_KIND_END, 0, 0, 0, 0, NULL, 0 }

/*
 * Append the struct to `to`. Descriptors go to fds[0..*nfds-1] (room for 4);
 * with nfds NULL there may be none. On failure `to` is as it was.
 * Returns NULL, or a sentence naming the field that breaks its bounds (our
 * own mistake, or input nobody checked: the caller decides which).
 */
const char	*fields_encode(const struct field *, const void *object,
		    struct str *to, int *fds, size_t *nfds);

/*
 * Fill the struct from bytes. Strings and lists are copied into the pool; DATA
 * points into `data`. Descriptors are taken from fds in order. Returns NULL or
 * a sentence; then the struct is empty, every descriptor still the caller's.
 */
const char	*fields_decode(const struct field *, void *object,
		    struct pool *, const void *data, size_t len,
		    const int *fds, size_t nfds);

/* The same for a record that others follow, without descriptors: *used bytes
 * were taken. */
const char	*fields_decode_part(const struct field *, void *object,
		    struct pool *, const void *data, size_t len, size_t *used);

#endif
