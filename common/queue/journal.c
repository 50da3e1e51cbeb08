/*
 * journal.c - what happened to a message after its commit.
 *
 * The journal begins where the envelope ends and is appended to by qmgr only.
 * A record, little endian:
 *
 *	uint32	length of the body, 1 to 64 KiB
 *	uint32	CRC-32C of the body
 *	body	by journal_fields
 *
 * P1  The first record that is not whole ends the journal: a crash tore it,
 *     its writer was never told that it was stored, and the next record is
 *     written over it.
 */
#include "common/queue/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/fields.h"
#include "common/base/fs.h"
#include "common/queue/numbers.h"

enum {
	RECORD_HEAD = 8,
	RECORD_MAX = 64 * 1024,
	JOURNAL_MAX = 64 * 1024 * 1024,		/* the limit: later is unread */
	TEXT_MAX = 2 * REPLY_MAX
};

static const struct field journal_fields[] = {
	FIELD_INT(struct journal, kind,		JOURNAL_ATTEMPT, 1000),
	FIELD_INT(struct journal, when_us,	0, INT64_MAX),
	FIELD_INT(struct journal, number,	-1, INT64_MAX),
	FIELD_INT(struct journal, outcome,	0, 1000),
	FIELD_STR(struct journal, dsn,		0, TEXT_MAX),
	FIELD_STR(struct journal, text,		0, TEXT_MAX),
	FIELD_STR(struct journal, remote,	0, TEXT_MAX),
	FIELD_STR(struct journal, diagnostic,	0, TEXT_MAX),
	FIELD_END
};

/* "" for a string that was left out. */
static char *
or_empty(char *text)
{
	static char	nothing[1];

	return text != NULL ? text : nothing;
}

/* Append one record. */
const char *
journal_encode(const struct journal *journal, struct str *to)
{
	struct journal	 j = *journal;
	size_t		 place = to->len, len;
	const char	*why;

	j.dsn = or_empty(j.dsn);
	j.text = or_empty(j.text);
	j.remote = or_empty(j.remote);
	j.diagnostic = or_empty(j.diagnostic);

	str_add_mem(to, "\0\0\0\0\0\0\0\0", RECORD_HEAD);
	if (to->is_cut)
		return "the record does not fit";
	if ((why = fields_encode(journal_fields, &j, to, NULL, NULL)) != NULL) {
		str_cut(to, place);
		return why;
	}
	len = to->len - place - RECORD_HEAD;
	put32(to->data + place, (uint32_t)len);
	put32(to->data + place + 4,
	    queue_crc(0, to->data + place + RECORD_HEAD, len));
	return NULL;
}

/* The record at `data`: how many bytes it takes, 0 when it is not whole. */
static size_t
decode_record(struct journal *j, struct pool *pool, const char *data,
    size_t len)
{
	uint32_t	size;

	if (len < RECORD_HEAD)
		return 0;
	size = get32(data);
	if (size == 0 || size > RECORD_MAX || size > len - RECORD_HEAD)
		return 0;
	if (queue_crc(0, data + RECORD_HEAD, size) != get32(data + 4))
		return 0;
	if (fields_decode(journal_fields, j, pool, data + RECORD_HEAD, size,
	    NULL, 0) != NULL)
		return 0;
	return RECORD_HEAD + size;
}

/* All whole records of these bytes; returns how many bytes they take. */
static size_t
decode_all(struct pool *pool, const char *data, size_t len,
    struct journal **records, size_t *count)
{
	struct journal	 one, *list = pool_array(pool, 16, sizeof(one));
	size_t		 used, done = 0, room = 16;

	for (;;) {
		used = decode_record(&one, pool, data + done, len - done);
		if (used == 0)
			break;
		list = pool_grow(pool, list, &room, *count + 1, sizeof(one));
		list[(*count)++] = one;
		done += used;
	}
	*records = list;
	return done;
}

/* Read the journal of an open file. */
const char *
journal_read(struct pool *pool, int fd, const struct queue_layout *layout,
    struct journal **records, size_t *count, int64_t *end)
{
	int64_t		 start;
	struct stat	 st;
	char		*data;
	size_t		 len;
	ssize_t		 n;

	*records = NULL;
	*count = 0;
	*end = start = layout->envelope_offset + layout->envelope_length;
	if (fstat(fd, &st) == -1)
		return strerror(errno);
	if (st.st_size <= start)
		return NULL;
	len = st.st_size - start < JOURNAL_MAX ? (size_t)(st.st_size - start) :
	    JOURNAL_MAX;
	data = mem_alloc(len);
	if ((n = fs_pread(fd, data, len, start)) > 0)
		*end += (int64_t)decode_all(pool, data, (size_t)n, records,
		    count);
	free(data);
	return n == -1 ? strerror(errno) : NULL;
}
