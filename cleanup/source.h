#ifndef CLEANUP_SOURCE_H
#define CLEANUP_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/fiber/fiber.h"

/*
 * A file that somebody else gave us. Whatever is done with it may hang for as
 * long as he likes: that is done on a thread, each user has a few of them, and
 * nobody waits for it for ever.
 */
struct source;

/* Before the sandbox. */
void		 source_before(void);
void		 source_start(void);

/* The source takes the descriptor. */
struct source	*source_new(int fd, uid_t);
/* May this user bring one more? Not while very many of his hang. */
bool		 source_is_welcome(uid_t);
/* Close what came for nothing. */
void		 source_discard(int fd, uid_t);
/* Its length, once; -1: EINVAL it is no regular file, ETIMEDOUT, ECANCELED
 * ... What was read on the occasion is not read again. */
WAITS int64_t	 source_length(struct source *);
/* As pread(2), at most SOURCE_PIECE bytes; -1 also with ETIMEDOUT. */
enum { SOURCE_PIECE = 32 * 1024 };
WAITS ssize_t	 source_read(struct source *, void *to, size_t len,
		    int64_t offset);
/* All of it, as far as the file goes: bytes, or -1. */
WAITS ssize_t	 source_read_all(struct source *, void *to, size_t len,
		    int64_t offset);
/* It is closed when nothing hangs in it any more; nobody waits for that. */
void		 source_close(struct source *);

#endif
