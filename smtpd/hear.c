/*
 * hear.c - one command line from the client.
 *
 * Called by session.c. Replies go out when no whole line is left to work on,
 * so that a pipelined group is answered in one segment (RFC 2920 3.2).
 *
 * P1  For those outside smtpd_forbid_bare_newline_exclusions nothing but CRLF
 *     ends a command (RFC 5321 2.3.8), unless smtpd_forbid_bare_newline is no.
 *     A line with an LF in the middle is refused as a whole.
 */

#include "smtpd/hear.h"

#include <errno.h>
#include <string.h>

#include "common/param/site.h"

#include "smtpd/data.h"
#include "smtpd/limits.h"
#include "smtpd/replies.h"
#include "smtpd/settings.h"

enum { RUBBISH_MAX = 64 * 1024 };

/*
 * Read up to CRLF, or to the LF that this client may end its lines with.
 * *is_cut: there were other LFs before, and only the rest is in the line.
 */
WAITS static int
read_line(struct session *s, char **line, size_t *len, bool *is_cut)
{
	size_t	seen = 0;
	bool	bare_lf = false;
	int	got;

	*is_cut = false;
	for (;;) {
		got = io_line(s->io, line, len,
		    (size_t)site.line_length_limit, &bare_lf);
		if (got != 1 || !bare_lf)
			return got;
		s->had_bare_lf = true;
		if (data_takes_bare(s))
			return got;
		*is_cut = true;
		if ((seen += *len + 1) > RUBBISH_MAX) {
			errno = ECONNABORTED;
			return -1;
		}
		/* Earlier commands have been answered: tell before we wait. */
		if (io_flush(s->io) == -1)
			return -1;
	}
}

/* The line is no command. */
WAITS static int
refuse_line(struct session *s, int result)
{
	s->errors++;
	return result == GONE ? GONE : REFUSED;
}

/* Say that an LF does not end a line. */
WAITS static int
refuse_bare(struct session *s)
{
	int	code = data_rejects_bare(s) ? (int)set.bare_code : 500;

	if (code == 521)
		s->is_over = true;
	return refuse_line(s, say(s, REPLY_BARE_LF, code, site.myhostname));
}

/* Wait for the line as long as a client may take for it. */
WAITS static int
wait_for_line(struct session *s, char **line, size_t *len, bool *is_cut)
{
	const char	*unread;
	size_t		 have;
	int		 got;

	io_patience(s->io, limits_patience());
	have = io_peek(s->io, &unread);
	if (memchr(unread, '\n', have) == NULL && io_flush(s->io) == -1)
		return -1;
	if (set.has_deadline)
		io_deadline(s->io, clock_now() + limits_patience());
	s->is_waiting = true;
	got = read_line(s, line, len, is_cut);
	s->is_waiting = false;
	io_deadline(s->io, NEVER);
	if (got == 0)
		errno = ECONNRESET;
	return got == 0 ? -1 : got;
}

int
hear(struct session *s, char **line)
{
	size_t	len;
	bool	is_cut;

	if (wait_for_line(s, line, &len, &is_cut) == -1)
		return errno != EMSGSIZE ? GONE :
		    refuse_line(s, say(s, REPLY_LINE_TOO_LONG));
	if (is_cut)
		return refuse_bare(s);
	/* A NUL would hide what follows it from us and not from others. */
	if (memchr(*line, '\0', len) != NULL)
		return refuse_line(s, say(s, REPLY_UNKNOWN_COMMAND));
	return DONE;
}
