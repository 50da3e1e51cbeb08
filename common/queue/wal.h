#ifndef QUEUE_WAL_H
#define QUEUE_WAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/ipc/packets.h"
#include "common/queue/queue.h"

/*
 * wal.c - write-ahead logs: messages that are committed together, until each
 * is delivered or gets a file of its own. cleanup writes them, qmgr marks and
 * releases them. Calls return -1 with errno.
 */
enum {
	WAL_FILES = 64,			/* their numbers */
	WAL_RECORD = 64,		/* bytes in front of each image */
	WAL_ALIGN = 256
};

struct wal {
	int		 fd;
	unsigned	 number;
	int64_t		 size, records;	/* bytes; where records begin */
	uint64_t	 generation;	/* 0: none was begun */
};

/* What a record says; its image is what a queue file would have held. */
struct wal_record {
	char		 id[QUEUE_ID_MAX + 1];
	int64_t		 at, image, length;	/* offsets and bytes */
	uint32_t	 crc, batch;
};

/* Open a log that exists, for reading and writing. EINVAL: its head is
 * damaged; ENODATA: its maker has died before there was one. */
int		 wal_open(struct wal *, unsigned number);
/* Read its head again: the generation may be another one. */
int		 wal_refresh(struct wal *);
/* A new log of so many bytes, all of them written; EEXIST. It is locked. */
int		 wal_create(struct wal *, unsigned number, int64_t size);
void		 wal_close(struct wal *);
int		 wal_remove(unsigned number);
/* Remove one that has no head, if nobody is making it: 0, or -1. */
int		 wal_reap(unsigned number);
/* "wal.0" to "wal.63"? */
bool		 wal_is_name(const char *);
/* False when somebody has removed it while it is open. */
bool		 wal_has_name(const struct wal *);

/* The lock says that somebody writes. -1: EWOULDBLOCK, somebody else does. */
int		 wal_lock(const struct wal *);
/* Is nobody writing it? */
bool		 wal_is_left(const struct wal *);

/* Begin anew, with nothing in it; on stable storage when it is 0. Only the
 * one who has the lock may, and only when it is released. */
int		 wal_begin(struct wal *);
/* The writer will append no more in this generation. */
int		 wal_seal(const struct wal *);
bool		 wal_is_sealed(const struct wal *);
/* Everything in this generation is delivered or in a file. */
int		 wal_release(const struct wal *);
bool		 wal_is_released(const struct wal *);

/* --- records ----------------------------------------------------------- */

/* The bytes that a record needs with its image. */
int64_t		 wal_room(size_t len);
/* The head of the record for this image, which is to stand behind it. Batches
 * are numbered, one for each write. */
void		 wal_encode(const struct wal *, unsigned char to[WAL_RECORD],
		    uint32_t batch, const char *id, const void *image,
		    size_t len);
/* Write records that were prepared, at an offset, and sync them: -1 also when
 * only some of it was written. One at a time in each log: after an error
 * nobody knows what of them is there. */
int		 wal_write(const struct wal *, struct iovec *, int count,
		    int64_t at);

/* The record at this place, or EINVAL: there is none of this generation. */
int		 wal_read(const struct wal *, int64_t at, struct wal_record *);
/* The first record there or behind it: 0; 1, when the disk did not give all
 * that stands in front of it. -1: EINVAL there is none; EIO none was found, and
 * not all could be read. */
int		 wal_seek(const struct wal *, int64_t at, struct wal_record *);
/* Where the one behind it would be. */
int64_t		 wal_after(const struct wal_record *);
/* Its image; `to` has room for it. EBADMSG: it is damaged. */
int		 wal_image(const struct wal *, const struct wal_record *,
		    void *to);

/* Marks: the message at this place is delivered, or has a file. */
int		 wal_mark(const struct wal *, int64_t at);
bool		 wal_is_marked(const struct wal *, int64_t at);

/* All that stand there, in so many bytes. */
int		 wal_mark_all(const struct wal *, int64_t at, int64_t len);

/* --- wal_note.c --------------------------------------------------------- */

/* Which records of a log that may be written are committed. */
struct wal_proof {
	int64_t		 end;		/* those in front of it */
	uint32_t	 batch;
};

/* The writer: records in front of this are committed. */
int		 wal_note(const struct wal *, int64_t end);
/* A reader: before he reads the first one, and of each that he has read, one
 * behind the other from the beginning, marked or not. */
void		 wal_prove(const struct wal *, struct wal_proof *);
void		 wal_prove_more(struct wal_proof *, const struct wal_record *);

/* --- wal_copy.c --------------------------------------------------------- */

/* All of them block: on a thread. */

/* A queue file, in incoming/, of the record's image: its descriptor, neither
 * complete nor synced; EEXIST; EBADMSG unless damage is no matter. */
int		 wal_copy(const struct wal *, const struct wal_record *,
		    bool takes_damaged);
/* The same of an image in memory; EBADMSG: it is shorter. */
int		 wal_copy_memory(const char *id, int from, size_t len);
/* A file of the message that was found in this directory. If it is what the
 * record says, but for what was crossed off, it is synced: 0. One that a power
 * cut has damaged is removed: 1. Or -1. */
int		 wal_keep_found(const struct wal *, const struct wal_record *,
		    enum queue_dir);

#endif
