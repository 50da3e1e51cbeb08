/*
 * wal_note.c - which records of a log that is still written are committed.
 *
 * A record can be read while its write is under way. As long as that can fail
 * its message is nobody's: the sender may be told to try again. The write of a
 * record has said 0
 *
 *	- when there is a record of another write behind it: there is one write
 *	  at a time, and none behind one that has failed (cleanup/batch.c P1);
 *	- when its writer has noted so, for the time when no other write comes;
 *	- when he has sealed the log.
 *
 * When he has left it none is under way any more: whom he has refused he has
 * marked before, and if he was killed nobody was told anything.
 *
 * The note stands at 3072 of the log:
 *
 *	    0  uint64	generation
 *	    8  int64	an offset: records in front of it are committed
 *	   16  uint32	CRC-32C of the 16 bytes before
 *
 * It is not synced, which would be one sync more for each write: after a power
 * cut nobody writes the log, and the note says nothing new.
 *
 * wal-4  Who finds a message in a log that is still written takes it only when
 *        its write has said 0: nobody gets one that is refused.
 */
#include "common/queue/wal.h"

#include "common/base/fs.h"
#include "common/queue/numbers.h"
#include "common/queue/queue.h"

enum { AT_NOTE = 3072, NOTE = 20, NOTE_END = 8, NOTE_CRC = 16 };

/* Say it. */
int
wal_note(const struct wal *w, int64_t end)
{
	unsigned char	raw[NOTE];

	put64(raw, w->generation);
	put64(raw + NOTE_END, (uint64_t)end);
	put32(raw + NOTE_CRC, queue_crc(0, raw, NOTE_CRC));
	return fs_pwrite(w->fd, raw, sizeof(raw), AT_NOTE);
}

/* What was noted of this generation; 0: nothing. It may be half of the next
 * one, whose writer is at it. */
static int64_t
noted(const struct wal *w)
{
	unsigned char	raw[NOTE];

	return fs_pread(w->fd, raw, sizeof(raw), AT_NOTE) ==
	    (ssize_t)sizeof(raw) && get64(raw) == w->generation &&
	    get32(raw + NOTE_CRC) == queue_crc(0, raw, NOTE_CRC) ?
	    (int64_t)get64(raw + NOTE_END) : 0;
}

/* Before the first record is read: a write that ends later is not known to. */
void
wal_prove(const struct wal *w, struct wal_proof *p)
{
	*p = (struct wal_proof){ .end = wal_is_sealed(w) || wal_is_left(w) ?
	    INT64_MAX : noted(w) };
}

/* The next record: if it is of another write than the one before. */
void
wal_prove_more(struct wal_proof *p, const struct wal_record *r)
{
	if (r->batch != p->batch && r->at > p->end)
		p->end = r->at;
	p->batch = r->batch;
}
