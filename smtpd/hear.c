/*
 * hear.c - one command line from the client.
 *
 * Called by session.c. Replies go out when no whole line is left to work on,
 * so that a pipelined group is answered in one segment (RFC 2920 3.2).
 *
 * P1  For those outside smtpd_forbid_bare_newline_exclusions nothing but CRLF
 *     ends a command (RFC 5321 2.3.8), unless smtpd_forbid_bare_newline is no.
 *     A line with an LF in the middle is refused as a whole.
 * P2  The line of AUTH, and each response to it, is in one place of our memory
 *     until the next line is waited for; then it is wiped.
 */

#include "smtpd/hear.h"

#include <errno.h>
#include <string.h>

#include "common/base/text.h"
#include "common/param/site.h"

#include "smtpd/auth.h"
#include "smtpd/data.h"
#include "smtpd/replies.h"
#include "smtpd/settings.h"
#include "smtpd/turns.h"

enum { RUBBISH_MAX = 64 * 1024, GLANCE = 4096, SHOWN = 100,
    AUTH_WORDS = 64, UNSENT_MAX = 8 * 1024 };

/*
 * Read up to CRLF, or to the LF that this client may end its lines with.
 * *is_cut: there were other LFs before, and only the rest is in the line.
 */
WAITS static int
read_line(struct session *s, char **line, size_t *len, size_t limit,
    bool *is_cut)
{
	size_t	seen = 0;
	bool	bare_lf = false;
	int	got;

	*is_cut = false;
	for (;;) {
		got = io_line(s->io, line, len, limit, &bare_lf);
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

/* The line is no command. P1 of bdat.c: if it was to be one with octets behind
 * it, nobody may take those for commands. */
WAITS static int
refuse_line(struct session *s, int result)
{
	s->errors++;
	if (s->hears_chunk)
		s->is_over = true;
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

/* Is it AUTH, or BDAT, with something behind it that comes? Reads as much of
 * the line as tells. */
WAITS static void
look_ahead(struct session *s, bool *is_auth, bool *is_chunk)
{
	const char	*unread;
	size_t		 have;

	*is_auth = *is_chunk = false;
	while ((have = io_peek(s->io, &unread)) < 5 &&
	    memchr(unread, '\n', have) == NULL)
		if (io_fill(s->io, GLANCE) != 1)
			return;		/* io_line() will tell why */
	if (have < 5 || (unread[4] != ' ' && unread[4] != '\t'))
		return;
	*is_auth = set.sasl_enable && text_equal_mem("AUTH", unread, 4);
	*is_chunk = text_equal_mem("BDAT", unread, 4);
}

/* Take the line away from where others follow it. */
static void
keep_secret(struct session *s, char **line, size_t len)
{
	char	*kept;

	s->secret = pool_new("secret", 0);
	pool_make_secret(s->secret);
	kept = pool_strndup(s->secret, *line, len);
	explicit_bzero(*line, len);
	*line = kept;
}

/* Read a command, or a response, which AUTH's line is like. */
WAITS static int
read_either(struct session *s, char **line, size_t *len, bool is_response,
    bool *is_cut)
{
	size_t	limit = (size_t)site.line_length_limit;
	bool	is_auth = false;
	int	got;

	if (!is_response)
		look_ahead(s, &is_auth, &s->hears_chunk);
	if (is_response)
		limit = (size_t)set.sasl_response_limit;
	else if (is_auth && limit < (size_t)set.sasl_response_limit +
	    AUTH_WORDS)
		limit = (size_t)set.sasl_response_limit + AUTH_WORDS;
	got = read_line(s, line, len, limit, is_cut);
	if (got == 1 && (is_auth || is_response))
		keep_secret(s, line, *len);
	if (got == -1 && errno == EMSGSIZE && is_auth)
		errno = EOVERFLOW;
	return got;
}

/* Is there no line to work on before the answers so far have to go out? Many
 * go before they fill the buffer, which would wait outside a turn. */
static bool
must_flush(struct session *s)
{
	const char	*unread;
	size_t		 have = io_peek(s->io, &unread);

	return memchr(unread, '\n', have) == NULL ||
	    io_pending(s->io) > UNSENT_MAX;
}

/* Wait for the line as long as a client may take for it, and for reading what
 * it was told. */
WAITS static int
wait_for_line(struct session *s, char **line, size_t *len, bool is_response,
    bool *is_cut)
{
	int	got = -1;

	hear_forget(s);
	turn_begin(s, s->mail != NULL && s->mail->arrival != NULL);
	if (!must_flush(s) || io_flush(s->io) != -1) {
		s->is_waiting = true;
		got = read_either(s, line, len, is_response, is_cut);
		s->is_waiting = false;
	}
	turn_end(s);
	if (s->dismissal != NOT_DISMISSED) {
		errno = ECANCELED;	/* though a line came at last */
		return -1;
	}
	if (got == 0)
		errno = ECONNRESET;
	return got == 0 ? -1 : got;
}

int
hear(struct session *s, char **line)
{
	size_t	len;
	bool	is_cut;

	if (wait_for_line(s, line, &len, false, &is_cut) == -1) {
		if (errno == EMSGSIZE)
			return refuse_line(s, say(s, REPLY_LINE_TOO_LONG));
		if (errno == EOVERFLOW)
			return refuse_line(s, say(s, REPLY_AUTH_TOO_LONG));
		return GONE;
	}
	if (is_cut)
		return refuse_bare(s);
	/* A NUL would hide what follows it from us and not from others. */
	if (memchr(*line, '\0', len) != NULL)
		return refuse_line(s, say(s, REPLY_UNKNOWN_COMMAND));
	return DONE;
}

int
hear_response(struct session *s, char **line)
{
	size_t	len;
	bool	is_cut;

	if (wait_for_line(s, line, &len, true, &is_cut) == -1)
		return errno != EMSGSIZE ? GONE :
		    say(s, REPLY_AUTH_TOO_LONG);
	if (is_cut || memchr(*line, '\0', len) != NULL)
		return say(s, REPLY_AUTH_MALFORMED);
	return DONE;
}

bool
hear_is_secret(const struct session *s)
{
	return s->secret != NULL;
}

void
hear_forget(struct session *s)
{
	pool_free(s->secret);
	s->secret = NULL;
}

int
hear_shown(const char *text, size_t len)
{
	size_t	i;

	if (len > SHOWN)
		len = SHOWN;
	for (i = 0; i + 4 < len; i++)
		if ((i == 0 || text[i - 1] == '\n') &&
		    text_equal_mem("AUTH", text + i, 4))
			return (int)i + 4;
	return (int)len;
}
