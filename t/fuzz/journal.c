/*
 * journal.c - fuzz: the journal at the end of a queue file.
 *
 * First byte: 0 is a journal as it is; else each record of the input gets
 * the checksum that lets it through. Records that were read, written again,
 * are the bytes that they came from.
 */
#include "t/fuzz/fuzz.h"

#include <endian.h>

#include "common/queue/queue.h"

enum { HEAD = 8 };

/* Correct the checksum of every record whose length fits. */
static void
correct(uint8_t *data, size_t len)
{
	uint32_t	size, crc;

	while (len >= HEAD) {
		memcpy(&size, data, 4);
		size = le32toh(size);
		if (size > len - HEAD)
			break;
		crc = htole32(queue_crc(0, data + HEAD, size));
		memcpy(data + 4, &crc, 4);
		data += HEAD + size;
		len -= HEAD + size;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct queue_layout	 layout = { 0, 0, 0, 0 };
	struct input				 in = { data, len };
	unsigned				 how = input_byte(&in);
	struct pool				*pool = pool_new("fuzz", 0);
	struct journal				*records;
	struct str				 again;
	size_t					 count, i;
	int64_t					 end;
	uint8_t					*copy;
	int					 fd;

	copy = (uint8_t *)pool_strndup(pool, in.at, in.left);
	if (how != 0)
		correct(copy, in.left);
	fd = input_file(copy, in.left);
	MUST(journal_read(pool, fd, &layout, &records, &count, &end) == NULL);
	MUST(end >= 0 && end <= (int64_t)in.left);
	str_init(&again, pool, 0);
	for (i = 0; i < count; i++)
		MUST(journal_encode(&records[i], &again) == NULL);
	MUST(again.len == (size_t)end &&
	    memcmp(again.data, copy, again.len) == 0);
	close(fd);
	pool_free(pool);
	return 0;
}
