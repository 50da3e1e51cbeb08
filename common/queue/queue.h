#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/ipc/packets.h"

/*
 * The queue: ids (id.c), files (file.c), envelopes (envelope.c), directories
 * (dirs.c). The format and the promises are told at the head of each .c.
 */

/* --- id.c: names of messages ------------------------------------------- */

/* A fresh id: time in microseconds and the caller's worker number, letters
 * and digits, sorted by time, at most QUEUE_ID_MAX. Unlike any other that
 * this process made. */
char		*queue_id_new(char to[QUEUE_ID_MAX + 1], unsigned worker);
bool		 queue_id_is_valid(const char *);
/* Might this worker have made it, not longer ago than that (milliseconds)? */
bool		 queue_id_is_of(const char *, unsigned worker, int64_t age);
int64_t		 queue_id_time(const char *);		/* microseconds, -1 */
/* The hash directory of an id: "00" to "ff", from fast-moving digits. */
char		*queue_id_hash(char to[3], const char *id);
bool		 queue_is_hash(const char *name);	/* one of these? */

/* --- file.c: one message ----------------------------------------------- */

enum { QUEUE_PREAMBLE = 128 };

/* What the preamble says. */
struct queue_layout {
	int64_t	 content_offset, content_length;
	int64_t	 envelope_offset, envelope_length;
};

/* Encode the preamble for this layout; crc is that of the envelope with all
 * status bytes taken as zero. */
void		 queue_preamble_encode(unsigned char to[QUEUE_PREAMBLE],
		    const struct queue_layout *, uint32_t crc);
/* NULL, or what is wrong with it. */
const char	*queue_preamble_decode(const unsigned char *, size_t len,
		    struct queue_layout *, uint32_t *crc);

/* --- crc.c ------------------------------------------------------------- */

/* CRC-32C of these bytes; `before` is that of the bytes in front, or 0. */
uint32_t	 queue_crc(uint32_t before, const void *, size_t);
/* The same where the processor cannot, which is everywhere tested. */
uint32_t	 queue_crc_by_table(uint32_t before, const void *, size_t);

/* --- envelope.c: sender, recipients, options --------------------------- */

/* Each has an odd number of bits: one that flips on a disk makes no other. */
enum recipient_status { RECIPIENT_TO_DO = 'R', RECIPIENT_DONE = 'X',
    RECIPIENT_FAILED = 'F',
    /* done, and the sender is still to be told of it, and how */
    RECIPIENT_DELIVERED = 'd', RECIPIENT_RELAYED = 'p',
    RECIPIENT_EXPANDED = 'E',
    /* failed, likewise; the reason is in the journal */
    RECIPIENT_OWED = 'b' };

struct envelope_recipient {
	struct recipient_row	 row;
	unsigned char		 status;
	int64_t			 status_offset;	/* of the byte in the file */
};

struct envelope {
	struct mail			 mail;	/* without its recipients */
	struct envelope_recipient	*recipients;
	size_t				 count;
};

/* The bytes of an envelope; every status RECIPIENT_TO_DO, but for rows with
 * NOTIFY_EXPANDED, which are RECIPIENT_EXPANDED. NULL or why. */
const char	*envelope_encode(const struct mail *,
		    const struct recipient_row *, size_t count, struct str *to);

/* The envelope from its bytes; `offset` is its place in the file. */
const char	*envelope_decode(struct envelope *, struct pool *,
		    const void *data, size_t len, int64_t offset,
		    uint32_t expected_crc);
uint32_t	 envelope_crc(const void *data, size_t len);

/* Preamble and envelope of an open queue file. */
const char	*envelope_read(struct envelope *, struct queue_layout *,
		    struct pool *, int fd);
/* Only what stands in front of the recipients; the checksum is not looked at,
 * since it is that of all. */
const char	*envelope_read_mail(struct mail *, struct pool *, int fd);

/*
 * The journal: records after the envelope, appended by qmgr only. Each has a
 * length and a CRC; a torn last one is ignored and overwritten.
 */
enum journal_kind { JOURNAL_ATTEMPT = 1, JOURNAL_OUTCOME, JOURNAL_WARNED,
    JOURNAL_HELD };
struct journal {
	int64_t	 kind, when_us;
	int64_t	 number;	/* recipient, or -1 */
	int64_t	 outcome;
	char	*dsn, *text, *remote, *diagnostic;
};
const char	*journal_encode(const struct journal *, struct str *to);
/* Every record, oldest first, of at most 64 MiB; *end where to append. */
const char	*journal_read(struct pool *, int fd,
		    const struct queue_layout *, struct journal **records,
		    size_t *count, int64_t *end);

/* --- dirs.c: the numbered promises about directories ------------------- */

enum queue_dir { QUEUE_MAILDROP, QUEUE_INCOMING, QUEUE_DEFERRED, QUEUE_HOLD,
    QUEUE_CORRUPT, QUEUE_DIRS };

/* Open the directories below `queue_fd` that this process uses (bits 1 <<
 * enum queue_dir). 0, or -1. */
int		 queue_open(int queue_fd, unsigned which);
const char	*queue_dir_name(enum queue_dir);
int		 queue_dir_fd(enum queue_dir);

/* "incoming/ID" or "deferred/3f/ID" relative to the queue directory. */
char		*queue_path(struct pool *, enum queue_dir, const char *id);

/* A new file, mode 0600, read and write, EEXIST if the name is taken. It is
 * locked until it is closed, which says that somebody is writing it. */
int		 queue_create(const char *id);		/* in incoming */
/* The lock (flock) of an unfinished file, without waiting: its writer's, or
 * that of who would like to remove it. -1: EAGAIN somebody else has it, ENOENT
 * the file has no name any more. */
int		 queue_lock(int fd);
/* Remove a file of incoming/ that is not complete and that nobody is writing
 * any more: 1 removed, 0 it is alive or gone, -1. */
int		 queue_reap(const char *id);
int		 queue_open_file(enum queue_dir, const char *id, int flags);
int		 queue_move(const char *id, enum queue_dir from,
		    enum queue_dir to);		/* makes the hash directory */
int		 queue_remove(enum queue_dir, const char *id);

/* The complete bit: owner's execute. */
bool		 queue_is_complete(mode_t);
int		 queue_set_complete(int fd);
/* The mark of a message that an administrator wants returned to its sender at
 * the next attempt: group's execute. Only complete files get it. */
bool		 queue_is_expired(mode_t);
int		 queue_set_expired(int fd);
/* The mark of a message that an administrator wants to pass cleanup again:
 * others' execute. */
bool		 queue_is_renewed(mode_t);
int		 queue_set_renewed(int fd);
/* mtime: when to try next (microseconds). */
int		 queue_set_time(enum queue_dir, const char *id,
		    int64_t when_us);

/*
 * Walk a directory: each name with its stat in turn, a few at a time so that
 * the caller can yield between calls. 1 an entry, 0 the end, -1 error.
 */
struct queue_walk;
struct queue_walk *queue_walk_start(enum queue_dir);
int		 queue_walk_next(struct queue_walk *, char id[QUEUE_ID_MAX + 1],
		    mode_t *, int64_t *mtime_us, int64_t *size);
/* The same walk by names alone: complete or not is for the caller to see. */
int		 queue_walk_name(struct queue_walk *,
		    char id[QUEUE_ID_MAX + 1]);
void		 queue_walk_end(struct queue_walk *);

#endif
