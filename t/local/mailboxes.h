/*
 * mailboxes.h - what the tests of mailbox files have in common: a directory,
 * a message in a file, a request to store it.
 */
#ifndef T_LOCAL_MAILBOXES_H
#define T_LOCAL_MAILBOXES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/mem.h"

#include "local/batch.h"

#include "t/common/base/place.h"

static struct pool	*pool;

/* A directory of our own for each test. */
static inline int
set_up(void **state)
{
	(void)state;
	pool = pool_new("test", 0);
	return make_place();
}

static inline int
tear_down(void **state)
{
	(void)state;
	pool_free(pool);
	return remove_place();
}

/* A message in a file, behind `offset` bytes of something else. */
static inline int
message_file(const char *content, int64_t offset)
{
	int	fd = open(".", O_TMPFILE | O_RDWR, 0600);

	assert_int_not_equal(fd, -1);
	assert_int_equal(fs_pwrite(fd, content, strlen(content), offset), 0);
	return fd;
}

/* A request to put this message there. */
static inline struct storing *
storing_of(const char *path, const char *content)
{
	struct store	*what = pool_alloc(pool, sizeof(*what));
	struct storing	*s = pool_alloc(pool, sizeof(*s));

	what->path = pool_strdup(pool, path);
	what->queue_id = pool_strdup(pool, "4abcXYZ");
	what->head = pool_strdup(pool, "Delivered-To: a@b\n");
	what->from_line = pool_strdup(pool,
	    "From s@t Sat Nov 21 23:11:00 2026");
	what->content_offset = 128;
	what->content_length = (int64_t)strlen(content);
	what->locks = LOCK_FCNTL | LOCK_DOTLOCK << LOCK_BITS;
	what->lock_attempts = 20;
	what->lock_delay = 1000;
	what->stale_time = 500 * 1000;
	what->message = message_file(content, 128);
	pool_owns_fd(pool, what->message);
	s->what = what;
	s->host = "host.example";
	s->number = 1;
	s->spool_group = STORE_NO_GROUP;
	return s;
}

/* These messages for a mailbox, as a thread gets them. */
static inline struct batch *
batch_of(void *mailbox, struct storing **all, unsigned count)
{
	struct batch	*b = pool_alloc(pool, sizeof(*b));

	TAILQ_INIT(&b->all);
	b->mailbox = mailbox;
	for (b->count = 0; b->count < count; b->count++) {
		all[b->count]->is_settled = false;
		TAILQ_INSERT_TAIL(&b->all, all[b->count], next);
	}
	return b;
}

/* What a file holds. */
static inline char *
content_of(const char *path)
{
	size_t	len;
	char	*text = fs_read_file(pool, path, 1 << 24, &len);

	assert_non_null(text);
	return text;
}

static inline void
write_file(const char *path, const char *text)
{
	int	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_not_equal(fd, -1);
	assert_int_equal(fs_write(fd, text, strlen(text)), 0);
	close(fd);
}

#endif
