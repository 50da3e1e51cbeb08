/*
 * post.c - mail of our own making on its way into cleanup.
 *
 * Called by bounce.c for reports and by postmaster.c for transcripts.
 */
#include "qmgr/post.h"

#include <errno.h>

#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/mail/encode.h"
#include "common/param/site.h"

enum {
	PIECE = 32 * 1024,
	LINE = 57,			/* bytes: 76 characters in base64 */
	LINES = 512			/* at a time */
};

static struct link	*to_cleanup;

/* Connect when it is needed. */
void
post_start(void)
{
	to_cleanup = link_new("cleanup", site_processes("cleanup"), NULL);
}

/* The envelope. */
struct posting *
post_open(struct pool *pool, const char *sender, const char *to,
    int64_t flags)
{
	static char		nothing[1];
	struct recipient_row	row = { .address = (char *)(uintptr_t)to,
				    .original = nothing, .orcpt = nothing };
	struct mail		mail = {
	    .sender = (char *)(uintptr_t)sender,
	    .origin = (char *)(uintptr_t)"bounce", .client_name = nothing,
	    .client_address = nothing, .helo = nothing, .protocol = nothing,
	    .full_name = nothing, .envelope_id = nothing,
	    .return_what = nothing, .login = nothing, .extra = nothing,
	    .verp = nothing, .uid = -1, .flags = MAIL_IS_BOUNCE | flags,
	    .arrival_us = clock_wall_us(), .recipients = &row, .count = 1 };

	return posting_open(pool, to_cleanup, &mail,
	    clock_now() + POST_PATIENCE);
}

/* What was put together in memory. */
int
post_text(struct posting *p, const struct str *text)
{
	if (text->is_cut) {
		errno = EFBIG;
		return -1;
	}
	return posting_write(p, text->data, text->len,
	    clock_now() + POST_PATIENCE);
}

/* What is in a file. */
int
post_copy(struct posting *p, struct pool *pool, int fd, int64_t offset,
    int64_t length)
{
	char	*piece = pool_alloc(pool, PIECE);
	ssize_t	 n;

	for (; length > 0; length -= n, offset += n) {
		n = fs_pread(fd, piece, length < PIECE ? (size_t)length :
		    PIECE, offset);
		if (n == 0)
			errno = EIO;		/* shorter than it was */
		if (n <= 0)
			return -1;
		if (posting_write(p, piece, (size_t)n,
		    clock_now() + POST_PATIENCE) == -1)
			return -1;
	}
	return 0;
}

/* Lines of base64. */
static void
add_lines(struct str *to, const char *data, size_t len)
{
	size_t	n;

	for (; len > 0; data += n, len -= n) {
		n = len < LINE ? len : LINE;
		base64_encode(to, data, n);
		str_add(to, "\r\n");
	}
}

/* What is in a file, for those who can read ASCII only. A read is short at the
 * file's end alone (fs.h), so that lines stay whole until there. */
int
post_encoded(struct posting *p, struct pool *pool, int fd, int64_t offset,
    int64_t length)
{
	char		*piece = pool_alloc(pool, LINE * LINES);
	struct str	 text;
	ssize_t		 n;

	str_init(&text, pool, 0);
	for (; length > 0; length -= n, offset += n) {
		n = fs_pread(fd, piece, length < LINE * LINES ?
		    (size_t)length : LINE * LINES, offset);
		if (n == 0)
			errno = EIO;
		if (n <= 0)
			return -1;
		str_clear(&text);
		add_lines(&text, piece, (size_t)n);
		if (post_text(p, &text) == -1)
			return -1;
	}
	return 0;
}
