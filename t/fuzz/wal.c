/*
 * wal.c - fuzz: a write-ahead log as it is found after a crash.
 *
 * The input is what stands where records begin. First byte: 0 is that as it
 * is; else what looks like the head of a record gets this log's generation,
 * and its checksum, and with an odd number what it says of its image, too. The
 * log is read as qmgr does: each record lies inside, behind the one before,
 * and has an id; what is handed out is what the checksums say.
 */
#include "t/fuzz/fuzz.h"

#include <endian.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "common/queue/queue.h"
#include "common/queue/wal.h"

enum {
	SIZE = 256 * 1024,
	CRC = 4, BODY = 8, GENERATION = 8, LENGTH = 16, IMAGE_CRC = 20
};

/* A log of our own, in a directory that nobody else has. */
static void
make_log(struct wal *w)
{
	char	place[] = "/tmp/fuzz-wal-XXXXXX";
	int	root;

	MUST(mkdtemp(place) != NULL);
	MUST((root = open(place, O_RDONLY | O_DIRECTORY)) != -1);
	MUST(mkdirat(root, "incoming", 0700) == 0);
	MUST(queue_open(root, 1u << QUEUE_INCOMING) == 0);
	MUST(wal_create(w, 0, SIZE) == 0 && wal_begin(w) == 0);
	MUST(wal_remove(0) == 0 && unlinkat(root, "incoming",
	    AT_REMOVEDIR) == 0);
	rmdir(place);
	close(root);
}

/* Checksums that let heads through. */
static void
correct(const struct wal *w, uint8_t *data, size_t len, bool of_image)
{
	uint64_t	generation = htole64(w->generation);
	uint32_t	n;
	size_t		at;

	for (at = 0; at + WAL_RECORD <= len; at += WAL_ALIGN) {
		if (memcmp(data + at, "PRwr", CRC) != 0)
			continue;
		memcpy(data + at + GENERATION, &generation,
		    sizeof(generation));
		memcpy(&n, data + at + LENGTH, sizeof(n));
		n = le32toh(n);
		if (of_image && n <= len - at - WAL_RECORD) {
			n = htole32(queue_crc(0, data + at + WAL_RECORD, n));
			memcpy(data + at + IMAGE_CRC, &n, sizeof(n));
		}
		n = htole32(queue_crc(0, data + at + BODY,
		    WAL_RECORD - BODY));
		memcpy(data + at + CRC, &n, sizeof(n));
	}
}

/* One record's image; it has exactly its room. */
static void
read_image(const struct wal *w, const struct wal_record *r)
{
	unsigned char	*image = mem_alloc((size_t)r->length + 1);

	if (wal_image(w, r, image) == 0)
		MUST(queue_crc_by_table(0, image, (size_t)r->length) ==
		    r->crc);
	free(image);
}

/* As qmgr reads it after a crash. */
static void
read_all(const struct wal *w)
{
	struct wal_record	r;
	int64_t			at = w->records;

	for (; wal_seek(w, at, &r) == 0; at = wal_after(&r)) {
		MUST(r.at >= at && r.at % WAL_ALIGN == 0);
		MUST(r.image == r.at + WAL_RECORD && r.length >= 0 &&
		    r.image + r.length <= w->size);
		MUST(queue_id_is_valid(r.id) && strcmp(r.id, "..") != 0);
		MUST(!wal_is_marked(w, r.at));
		read_image(w, &r);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct wal	 w;
	struct input		 in = { data, len };
	unsigned		 how = input_byte(&in);
	uint8_t			*copy;

	if (w.generation == 0)
		make_log(&w);
	copy = mem_alloc(in.left + 1);
	memcpy(copy, in.at, in.left);
	if (how != 0)
		correct(&w, copy, in.left, how % 2 != 0);
	MUST(fs_pwrite(w.fd, copy, in.left, w.records) == 0);
	read_all(&w);
	memset(copy, 0, in.left);
	MUST(fs_pwrite(w.fd, copy, in.left, w.records) == 0);
	free(copy);
	return 0;
}
