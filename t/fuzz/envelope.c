/*
 * envelope.c - fuzz: a queue file's preamble and envelope, after a crash or
 * a bad disk.
 *
 * First byte: 0 is a whole file as it is, 1 a file whose checksums are made
 * right, anything else an envelope alone with its checksum right.
 */
#include "t/fuzz/fuzz.h"

#include <endian.h>

#include "common/queue/queue.h"

/* Every recipient's status stands where it is said to. */
static void
check_places(const struct envelope *e, const uint8_t *data, size_t len,
    int64_t offset)
{
	size_t	i;

	for (i = 0; i < e->count; i++) {
		MUST(e->recipients[i].status_offset >= offset &&
		    e->recipients[i].status_offset < offset + (int64_t)len);
		MUST(data[e->recipients[i].status_offset - offset] ==
		    e->recipients[i].status);
	}
}

/* An envelope that was taken, written again: the same bytes but for the
 * statuses, which the checksum does not see. */
static void
write_again(struct pool *pool, const struct envelope *e, size_t len,
    uint32_t crc)
{
	struct recipient_row	*rows;
	struct str		 again;
	size_t			 i;

	rows = pool_array(pool, e->count, sizeof(*rows));
	for (i = 0; i < e->count; i++)
		rows[i] = e->recipients[i].row;
	str_init(&again, pool, 0);
	MUST(envelope_encode(&e->mail, rows, e->count, &again) == NULL);
	MUST(again.len == len && envelope_crc(again.data, again.len) == crc);
}

/* An envelope alone. */
static void
try_envelope(struct pool *pool, const uint8_t *data, size_t len)
{
	const int64_t	 offset = 1000;
	uint32_t	 crc;
	struct envelope	 e;
	uint8_t		*copy = (uint8_t *)pool_strndup(pool, data, len);

	crc = envelope_crc(copy, len);
	if (envelope_decode(&e, pool, copy, len, offset, crc) != NULL)
		return;
	check_places(&e, copy, len, offset);
	write_again(pool, &e, len, crc);
	MUST(envelope_decode(&e, pool, copy, len, offset, crc + 1) != NULL);
}

/* Make both checksums right. */
static void
correct(uint8_t *file, size_t len)
{
	struct queue_layout	l;
	uint32_t		crc, own;

	own = htole32(queue_crc(0, file, 124));
	memcpy(file + 124, &own, 4);
	if (queue_preamble_decode(file, len, &l, &crc) != NULL)
		return;
	if (l.envelope_offset + l.envelope_length > (int64_t)len)
		return;
	crc = htole32(envelope_crc(file + l.envelope_offset,
	    (size_t)l.envelope_length));
	memcpy(file + 48, &crc, 4);
	own = htole32(queue_crc(0, file, 124));
	memcpy(file + 124, &own, 4);
}

/* A whole file. */
static void
try_file(struct pool *pool, const uint8_t *data, size_t len, int is_right)
{
	struct queue_layout	 l;
	struct envelope		 e;
	uint8_t			*copy;
	int			 fd;

	copy = (uint8_t *)pool_strndup(pool, data, len);
	if (is_right && len >= QUEUE_PREAMBLE)
		correct(copy, len);
	fd = input_file(copy, len);
	if (envelope_read(&e, &l, pool, fd) == NULL) {
		MUST(l.envelope_offset + l.envelope_length <= (int64_t)len);
		MUST(l.content_offset + l.content_length <=
		    l.envelope_offset);
		check_places(&e, copy, len, 0);
	}
	close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input	 in = { data, len };
	unsigned	 how = input_byte(&in);
	struct pool	*pool = pool_new("fuzz", 0);

	if (how < 2)
		try_file(pool, in.at, in.left, how == 1);
	else
		try_envelope(pool, in.at, in.left);
	pool_free(pool);
	return 0;
}
