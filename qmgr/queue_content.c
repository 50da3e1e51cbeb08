/*
 * queue_content.c - show the content of a message: header, body, or both, with
 * line ends as on this system.
 */
#include <stdio.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/mail/chars.h"
#include "qmgr/queue.h"

enum { PIECE = 64 * 1024, IS_TEXT = 'N' };

/* Where a line is in the message: a header ends at the first line that is
 * neither a field nor the rest of one. */
struct reader {
	const struct shown *shown;
	int64_t		 at, line_at;		/* in the file */
	bool		 is_new, is_passed;	/* a line's output */
	bool		 is_body, is_start;	/* of a line */
	bool		 has_colon, is_first, was_cr;
	bool		 is_seen;		/* by a terminal */
	unsigned char	 before;		/* the last one */
	char		 line[1024];		/* of a header, so far */
	size_t		 len;
};

/* Would a terminal obey it, alone or as the second byte of a C1 control? */
static bool
is_obeyed(unsigned char before, unsigned char c)
{
	return (c < ' ' && c != '\n' && c != '\t') || c == 0x7f ||
	    (before == 0xc2 && c >= 0x80 && c < 0xa0);
}

/* What stands in front of a line. */
static void
begin_line(struct reader *r)
{
	r->is_passed = !cat_begins(r->shown, r->line_at, IS_TEXT);
	if (!r->is_passed && (r->shown->show & SHOW_LABELS) != 0)
		fputs("regular_text: ", stdout);
}

/* One character that is to be shown: to a program as it is. */
static void
emit(struct reader *r, char c)
{
	bool	is_bad = r->is_seen && is_obeyed(r->before,
		    (unsigned char)c);

	if ((r->shown->show & (r->is_body ? SHOW_BODY : SHOW_HEADER)) != 0) {
		if (r->is_new)
			begin_line(r);
		if (!r->is_passed)
			putchar(is_bad ? '?' : c);
		r->is_new = c == '\n';
	}
	r->before = (unsigned char)c;
}

/* What was kept of the line belongs to this part. */
static void
release(struct reader *r)
{
	size_t	i;

	for (i = 0; i < r->len; i++)
		emit(r, r->line[i]);
	r->len = 0;
}

/* A character of a line of which it is not known what it is. */
static void
take_header(struct reader *r, char c)
{
	bool	is_more = r->is_start && is_blank(c) && !r->is_first;

	if (is_more || c == ':')
		r->has_colon = true;
	else if (c == '\n' || c == ' ' || r->len == sizeof(r->line) - 1)
		r->is_body = !r->has_colon;
	r->line[r->len++] = c;
	if (r->has_colon || r->is_body)
		release(r);
}

/* The next character, line ends as on this system. */
static void
take(struct reader *r, char c)
{
	if (r->is_start)
		r->line_at = r->at;
	if (r->is_body || (r->has_colon && !r->is_start))
		emit(r, c);
	else
		take_header(r, c);
	r->is_start = c == '\n';
	if (r->is_start && !r->is_body) {
		r->has_colon = false;
		r->is_first = false;
	}
}

/* A piece of it: CRLF becomes LF. */
static void
take_piece(struct reader *r, const char *piece, size_t len)
{
	size_t	i;

	for (i = 0; i < len; i++) {
		if (r->was_cr && piece[i] != '\n')
			take(r, '\r');
		r->was_cr = piece[i] == '\r';
		if (!r->was_cr)
			take(r, piece[i]);
		r->at++;
	}
}

/* Header, body, or both. */
int
cat_content(const struct shown *s)
{
	struct reader	*r = pool_alloc(s->pool, sizeof(*r));
	char		*piece = pool_alloc(s->pool, PIECE);
	int64_t		 offset = s->layout.content_offset,
			 left = s->layout.content_length;
	ssize_t		 n;

	*r = (struct reader){ .shown = s, .at = offset, .is_start = true,
	    .is_new = true, .is_first = true,
	    .is_seen = isatty(STDOUT_FILENO) == 1 };
	for (; left > 0; left -= n, offset += n) {
		n = fs_pread(s->fd, piece, left < PIECE ? (size_t)left : PIECE,
		    offset);
		if (n <= 0)
			return -1;
		take_piece(r, piece, (size_t)n);
	}
	r->is_body = r->is_body || r->len > 0;
	release(r);
	return 0;
}
