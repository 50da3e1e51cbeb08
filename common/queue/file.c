/*
 * file.c - the first bytes of a queue file.
 *
 * A queue file is, in this order:
 *
 *	preamble	128 bytes, told here
 *	content		the message as on the wire: CRLF, no dots stuffed
 *	envelope	envelope.c; one byte per recipient is overwritten later
 *	journal		journal.c; grows
 *
 * The preamble, little endian:
 *
 *	  0  8 bytes	"PRQUEUE\n"
 *	  8  uint32	version, 1
 *	 12  uint32	0
 *	 16  int64	content: offset	     24  int64	content: length
 *	 32  int64	envelope: offset     40  int64	envelope: length
 *	 48  uint32	CRC-32C of the envelope, its status bytes taken as zero
 *	 52  72 bytes	0
 *	124  uint32	CRC-32C of the 124 bytes before
 *
 * whole-1  Nobody gets a message of which the preamble or the envelope is not
 *          what was committed: the checksums tell, and it is set aside.
 * P1  Checksums detect damage and decide nothing else: whether a file is
 *     complete is said by its mode alone (dirs.c).
 * P2  A preamble that is accepted names ranges that lie behind it, do not
 *     overlap and do not overflow; that they lie within the file is checked
 *     by who has the file.
 */
#include "common/queue/queue.h"

#include <string.h>

#include "common/queue/numbers.h"

static const char	magic[8] = "PRQUEUE\n";
enum {
	VERSION = 1, AT_VERSION = 8,
	AT_CONTENT = 16, AT_CONTENT_LENGTH = 24,
	AT_ENVELOPE = 32, AT_ENVELOPE_LENGTH = 40,
	AT_CRC = 48, AT_OWN_CRC = 124
};

/* Write the preamble's 128 bytes. */
void
queue_preamble_encode(unsigned char to[QUEUE_PREAMBLE],
    const struct queue_layout *layout, uint32_t crc)
{
	memset(to, 0, QUEUE_PREAMBLE);
	memcpy(to, magic, sizeof(magic));
	put32(to + AT_VERSION, VERSION);
	put64(to + AT_CONTENT, (uint64_t)layout->content_offset);
	put64(to + AT_CONTENT_LENGTH, (uint64_t)layout->content_length);
	put64(to + AT_ENVELOPE, (uint64_t)layout->envelope_offset);
	put64(to + AT_ENVELOPE_LENGTH, (uint64_t)layout->envelope_length);
	put32(to + AT_CRC, crc);
	put32(to + AT_OWN_CRC, queue_crc(0, to, AT_OWN_CRC));
}

/* Do content and envelope lie behind the preamble, one after the other? */
static bool
is_sane(const struct queue_layout *l)
{
	const int64_t	far = INT64_MAX / 4;

	return l->content_offset >= QUEUE_PREAMBLE && l->content_offset < far &&
	    l->content_length >= 0 && l->content_length < far &&
	    l->envelope_offset >= l->content_offset + l->content_length &&
	    l->envelope_offset < far &&
	    l->envelope_length > 0 && l->envelope_length < far;
}

/* Read the preamble. */
const char *
queue_preamble_decode(const unsigned char *from, size_t len,
    struct queue_layout *layout, uint32_t *crc)
{
	memset(layout, 0, sizeof(*layout));
	if (len < QUEUE_PREAMBLE)
		return "the file ends in its preamble";
	if (memcmp(from, magic, sizeof(magic)) != 0)
		return "the file is not a queue file";
	if (get32(from + AT_OWN_CRC) != queue_crc(0, from, AT_OWN_CRC))
		return "the preamble is damaged";
	if (get32(from + AT_VERSION) != VERSION)
		return "the queue file has an unknown version";
	layout->content_offset = (int64_t)get64(from + AT_CONTENT);
	layout->content_length = (int64_t)get64(from + AT_CONTENT_LENGTH);
	layout->envelope_offset = (int64_t)get64(from + AT_ENVELOPE);
	layout->envelope_length = (int64_t)get64(from + AT_ENVELOPE_LENGTH);
	if (!is_sane(layout)) {
		memset(layout, 0, sizeof(*layout));
		return "the preamble names impossible places";
	}
	*crc = get32(from + AT_CRC);
	return NULL;
}
