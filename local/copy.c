/*
 * copy.c - a message from the queue file into a mailbox or a command, line
 * ends changed.
 *
 * Called by mbox.c, maildir.c and running.c on a thread. What is read is
 * looked at line by line; a piece at the end of the buffer that might mean
 * something with the bytes behind it (CR, or the beginning of "From ") waits
 * for them.
 */
#include "local/copy.h"

#include <errno.h>
#include <string.h>

#include "common/base/fs.h"

enum { FROM = 5 };		/* strlen("From ") */

/* Begin. The struct is large: its buffers are not cleared. */
void
copy_open(struct copy *c, int from, int64_t at, int64_t length, int to)
{
	c->from = from;
	c->at = at;
	c->left = length;
	c->to = to;
	c->quotes_from = c->quotes_dot = false;
	c->eol = "\n";
	c->sink = NULL;
	c->is_line_start = true;
	c->held = c->filled = 0;
	c->written = 0;
}

/* Write what has been gathered. */
int
copy_flush(struct copy *c)
{
	if ((c->sink != NULL ? c->sink(c->context, c->out, c->filled) :
	    fs_write(c->to, c->out, c->filled)) == -1)
		return -1;
	c->written += (int64_t)c->filled;
	c->filled = 0;
	return 0;
}

/* Gather bytes for writing. */
static int
put(struct copy *c, const char *data, size_t len)
{
	size_t	n;

	while (len > 0) {
		if (c->filled == COPY_OUTPUT && copy_flush(c) == -1)
			return -1;
		n = COPY_OUTPUT - c->filled;
		if (n > len)
			n = len;
		memcpy(c->out + c->filled, data, n);
		c->filled += n;
		data += n;
		len -= n;
	}
	return 0;
}

/* Gather a text. */
int
copy_text(struct copy *c, const char *text)
{
	return put(c, text, strlen(text));
}

/* Gather lines. */
int
copy_lines(struct copy *c, const char *text)
{
	const char	*end;

	for (; (end = strchr(text, '\n')) != NULL; text = end + 1)
		if (put(c, text, (size_t)(end - text)) == -1 ||
		    copy_text(c, c->eol) == -1)
			return -1;
	return copy_text(c, text);
}

/* Read until the buffer is full or the message is over. */
static int
fill(struct copy *c)
{
	size_t	want = COPY_INPUT - c->held;
	ssize_t	n;

	if ((int64_t)want > c->left)
		want = (size_t)c->left;
	if ((n = fs_pread(c->from, c->in + c->held, want, c->at)) == -1)
		return -1;
	if ((size_t)n < want) {
		errno = EIO;		/* the queue file was cut */
		return -1;
	}
	c->held += want;
	c->at += (int64_t)want;
	c->left -= (int64_t)want;
	return 0;
}

/*
 * Write the next piece of a line from data: how many bytes of it are done, 0
 * when more input must come first, -1 with errno.
 */
static ssize_t
put_piece(struct copy *c, const char *data, size_t len)
{
	const char	*end = memchr(data, '\n', len);
	size_t		 n = end != NULL ? (size_t)(end - data) : len;

	if (c->is_line_start && c->quotes_from) {
		if (len < FROM && c->left > 0)
			return 0;
		if (n >= FROM && memcmp(data, "From ", FROM) == 0 &&
		    put(c, ">", 1) == -1)
			return -1;
	}
	if (c->is_line_start && c->quotes_dot && data[0] == '.' &&
	    put(c, ".", 1) == -1)
		return -1;
	if (end == NULL) {
		if (data[n - 1] == '\r' && c->left > 0 && --n == 0)
			return 0;
		c->is_line_start = false;
		return put(c, data, n) == -1 ? -1 : (ssize_t)n;
	}
	if (put(c, data, n > 0 && data[n - 1] == '\r' ? n - 1 : n) == -1 ||
	    copy_text(c, c->eol) == -1)
		return -1;
	c->is_line_start = true;
	return (ssize_t)n + 1;
}

/* Read, change and gather until the message is over. */
int
copy_message(struct copy *c)
{
	size_t	used;
	ssize_t	n = 0;

	while (c->left > 0 || c->held > 0) {
		if (fill(c) == -1)
			return -1;
		for (used = 0; used < c->held; used += (size_t)n)
			if ((n = put_piece(c, c->in + used,
			    c->held - used)) <= 0)
				break;
		if (n == -1)
			return -1;
		c->held -= used;
		memmove(c->in, c->in + used, c->held);
	}
	return c->is_line_start ? 0 : copy_text(c, c->eol);
}
