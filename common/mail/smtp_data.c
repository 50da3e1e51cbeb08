/*
 * smtp_data.c - the bytes of a message on their way in and out of SMTP.
 *
 * Both directions give the same answer however the input is cut. Most text
 * passes as it is (plain.c); a piece that does not is read line by line, with
 * memchr(). The place of the next LF is kept, so that a flood of CRs costs one
 * search and not one per CR.
 *
 * D1  Nothing but CR LF "." CR LF ends a message ("." CR LF at its start).
 *     What other programs once took for it (LF "." LF, and seven more) has
 *     let strangers smuggle a second message into the first.
 * D2  No bare CR and no bare LF is ever sent, and "." CR LF only at the end.
 */
#include "common/mail/smtp.h"

#include <string.h>

#include "common/mail/plain.h"

/* What is read line by line before plain text is looked for again. */
enum { PIECE = 512 };

/* Where the next line begins, inside a line, or behind part of a line end. */
enum {
	AT_LINE_START,
	IN_LINE,
	BEHIND_CR,		/* the CR was passed on */
	BEHIND_DOT,		/* a dot at the line's start is held */
	BEHIND_DOT_CR		/* dot and CR are held */
};

/* The first such byte, or the end. */
static const char *
find(const char *from, char c, const char *end)
{
	const char	*found = memchr(from, c, (size_t)(end - from));

	return found != NULL ? found : end;
}

/* Before the first byte of a message. */
void
smtp_data_start(struct smtp_data *d)
{
	*d = (struct smtp_data){ .state = AT_LINE_START };
}

/*
 * Decide about the byte where a line begins or ends. Returns how many bytes
 * were consumed, 0 when only the state has changed; what is passed on goes
 * to *out.
 */
static size_t
step(struct smtp_data *d, char c, char **out)
{
	switch (d->state) {
	case AT_LINE_START:
		d->state = c == '.' ? BEHIND_DOT : IN_LINE;
		return c == '.';
	case BEHIND_DOT:
		d->state = c == '\r' ? BEHIND_DOT_CR : IN_LINE;
		return c == '\r';
	case BEHIND_DOT_CR:
		d->is_over = c == '\n';
		if (!d->is_over)
			*(*out)++ = '\r';
		d->state = BEHIND_CR;
		return d->is_over;
	case BEHIND_CR:
		if (c != '\n') {
			d->bare_cr++;
			d->state = IN_LINE;
			return 0;
		}
		*(*out)++ = c;
		d->state = AT_LINE_START;
		return 1;
	default:				/* IN_LINE, at a CR or LF */
		*(*out)++ = c;
		if (c == '\r')
			d->state = BEHIND_CR;
		else
			d->bare_lf++;
		return 1;
	}
}

/* May this be the next byte of text that passes as it is? */
static bool
is_fit(const struct smtp_data *d, char c)
{
	switch (d->state) {
	case AT_LINE_START:
		return c != '.' && c != '\n';
	case IN_LINE:
		return c != '\n';
	case BEHIND_CR:
		return c == '\n';
	default:
		return false;
	}
}

/* Text that passes as it is. */
size_t
smtp_data_plain(struct smtp_data *d, const char *in, size_t len)
{
	size_t	n;

	if (len == 0 || !is_fit(d, *in) ||
	    (n = plain_text(in + 1, len - 1)) == 0)
		return 0;
	d->state = in[n] == '\n' ? AT_LINE_START :
	    in[n] == '\r' ? BEHIND_CR : IN_LINE;
	return n + 1;
}

/* Take bytes line by line; where it stopped. */
static const char *
decode_lines(struct smtp_data *d, const char *at, const char *end, char **out)
{
	const char	*lf = NULL, *stop;
	char		*to = *out;

	while (at < end && !d->is_over) {
		if (d->state == IN_LINE) {
			if (lf == NULL || lf < at)
				lf = find(at, '\n', end);
			stop = find(at, '\r', lf);
			memcpy(to, at, (size_t)(stop - at));
			to += stop - at;
			if ((at = stop) == end)
				break;
		}
		at += step(d, *at, &to);
	}
	*out = to;
	return at;
}

/* The end of the next piece. */
static const char *
end_of_piece(const char *at, const char *end)
{
	return end - at > PIECE ? at + PIECE : end;
}

/* Take bytes from the wire until they are used up or the message is over. */
size_t
smtp_data_decode(struct smtp_data *d, const char *in, size_t len, char *out,
    size_t *out_len)
{
	const char	*at = in, *end = in + len;
	char		*to = out;
	size_t		 n;

	while (at < end && !d->is_over) {
		n = smtp_data_plain(d, at, (size_t)(end - at));
		memcpy(to, at, n);
		to += n;
		at = decode_lines(d, at + n, end_of_piece(at + n, end), &to);
	}
	*out_len = (size_t)(to - out);
	return (size_t)(at - in);
}

/* Before the first byte of a message goes out. */
void
smtp_stuff_start(struct smtp_stuff *s)
{
	s->had_cr = s->is_chunk = false;
	s->at_line_start = true;
}

/* End a line. */
static char *
put_crlf(struct smtp_stuff *s, char *to)
{
	*to++ = '\r';
	*to++ = '\n';
	s->at_line_start = true;
	return to;
}

/* A CR was held and no LF has come: it becomes a space. */
static char *
put_bare_cr(struct smtp_stuff *s, char *to)
{
	*to++ = ' ';
	s->had_cr = false;
	s->at_line_start = false;
	return to;
}

/* Text that is sent as it is. A CR at its end waits for its LF. */
size_t
smtp_stuff_plain(struct smtp_stuff *s, const char *in, size_t len)
{
	size_t	n;

	if (len == 0 || s->had_cr || *in == '\n')
		return 0;
	if (s->is_chunk)
		n = plain_lines(in + 1, len - 1);
	else if (s->at_line_start && *in == '.')
		return 0;
	else
		n = plain_text(in + 1, len - 1);
	if (n == 0)
		return 0;
	if (in[n] != '\r')
		n++;
	s->at_line_start = in[n - 1] == '\n';
	return n;
}

/* Send bytes line by line: LF is a line end with or without its CR. */
static char *
encode_lines(struct smtp_stuff *s, const char *at, const char *end, char *to)
{
	const char	*lf = NULL, *stop;

	while (at < end) {
		if (s->had_cr && *at != '\n')
			to = put_bare_cr(s, to);
		if (s->at_line_start && *at == '.' && !s->is_chunk)
			*to++ = '.';
		if (lf == NULL || lf < at)
			lf = find(at, '\n', end);
		stop = find(at, '\r', lf);
		if (stop > at) {
			memcpy(to, at, (size_t)(stop - at));
			to += stop - at;
			s->at_line_start = false;
		}
		if ((at = stop) == end)
			break;
		s->had_cr = *at == '\r';
		if (*at++ == '\n')
			to = put_crlf(s, to);
	}
	return to;
}

/* Send a run of a message. */
size_t
smtp_stuff_encode(struct smtp_stuff *s, const char *in, size_t len, char *out)
{
	const char	*at = in, *end = in + len, *stop;
	char		*to = out;
	size_t		 n;

	while (at < end) {
		n = smtp_stuff_plain(s, at, (size_t)(end - at));
		memcpy(to, at, n);
		at += n;
		stop = end_of_piece(at, end);
		to = encode_lines(s, at, stop, to + n);
		at = stop;
	}
	return (size_t)(to - out);
}

/* End the last line if it is not ended, and the message. */
size_t
smtp_stuff_finish(struct smtp_stuff *s, char *out)
{
	char	*to = out;

	if (s->had_cr)
		to = put_bare_cr(s, to);
	if (!s->at_line_start)
		to = put_crlf(s, to);
	if (s->is_chunk)
		return (size_t)(to - out);
	*to++ = '.';
	to = put_crlf(s, to);
	return (size_t)(to - out);
}

/* Text in which each has it, and nothing else is strange. */
size_t
crlf_plain(struct crlf *c, const char *in, size_t len)
{
	size_t	n;

	if (len == 0 || (*in == '\n' && !c->had_cr) ||
	    (n = plain_lines(in + 1, len - 1)) == 0)
		return 0;
	c->had_cr = in[n] == '\r';
	return n + 1;
}

/* Give each LF its CR. */
size_t
crlf_encode(struct crlf *c, const char *in, size_t len, char *out)
{
	const char	*at = in, *end = in + len, *lf;
	char		*to = out;

	while (at < end) {
		lf = find(at, '\n', end);
		memcpy(to, at, (size_t)(lf - at));
		to += lf - at;
		if (lf > at)
			c->had_cr = lf[-1] == '\r';
		if ((at = lf) == end)
			break;
		if (!c->had_cr)
			*to++ = '\r';
		*to++ = '\n';
		c->had_cr = false;
		at++;
	}
	return (size_t)(to - out);
}
