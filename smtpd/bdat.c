/*
 * bdat.c - BDAT: a message in chunks of known size (RFC 3030).
 *
 * Called through commands.c. A chunk is octets: dots mean nothing in it, and
 * CRLF.CRLF is text. The first one opens the way to cleanup, the last one is
 * answered when cleanup has answered.
 *
 * P1  The octets of a refused chunk are read and thrown away before the
 *     answer; they are never taken for commands. When nobody can tell how
 *     many they are, the client is sent away.
 * P2  After a chunk was refused no other is taken before the next
 *     transaction.
 * P3  Memory does not grow with the size or the number of chunks.
 *
 * BINARYMIME is not offered: where the next host takes DATA only, binary
 * parts would have to be encoded anew, which no signature survives.
 */

#include <errno.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/param/site.h"

#include "smtpd/commands.h"
#include "smtpd/arrival.h"
#include "smtpd/data.h"
#include "smtpd/limits.h"
#include "smtpd/refuse.h"
#include "smtpd/replies.h"
#include "smtpd/settings.h"
#include "smtpd/turns.h"

/* What a command says, and how much of it is still to come. */
struct chunk {
	int64_t		 size, left;
	bool		 is_last;
	const char	*why;		/* what is wrong with it, or NULL */
};

static const char	syntax[] = "BDAT size [LAST]";

/* "86 LAST": -1 when there is no telling how long the chunk is. */
static int
parse(struct chunk *c, char *args)
{
	char	*rest = text_trim(args);
	size_t	 digits = strspn(rest, "0123456789");
	char	 end = rest[digits];

	*c = (struct chunk){ .size = 0 };
	if (digits == 0 || (end != '\0' && end != ' ' && end != '\t'))
		return -1;
	rest[digits] = '\0';
	if (text_integer(rest, 0, INT64_MAX, &c->size) != NULL)
		return -1;
	c->left = c->size;
	if (end == '\0')
		return 0;
	rest = text_trim(rest + digits + 1);
	c->is_last = text_equal(rest, "LAST");
	if (!c->is_last)
		c->why = syntax;
	return 0;
}

/*
 * Read the next octets of the chunk, at most ARRIVAL_ROOM: how many, -1 when
 * the client is gone. Answers to what came before go out before we wait: the
 * client may be waiting for them.
 */
WAITS static ssize_t
next_octets(struct session *s, struct chunk *c, const char **in)
{
	size_t	len;

	while ((len = io_peek(s->io, in)) == 0)
		if (turn_flush(s, true) == -1 || data_fill(s) == -1)
			return -1;
	if (len > ARRIVAL_ROOM)
		len = ARRIVAL_ROOM;
	return (int64_t)len > c->left ? (ssize_t)c->left : (ssize_t)len;
}

/* Read the chunk into the message, or into nothing (P1). */
WAITS static int
receive(struct session *s, struct chunk *c, struct arrival *to)
{
	const char	*in;
	ssize_t		 len;
	int		 result = 0;

	while (c->left > 0) {
		if ((len = next_octets(s, c, &in)) == -1)
			return -1;
		if (to != NULL) {
			result = arrival_write(to, in, (size_t)len, false);
			to->bytes += len;
		}
		io_consume(s->io, (size_t)len);
		turn_credit(s, len);
		c->left -= len;
		if (result == -1)
			return -1;
	}
	return 0;
}

/* P2. The transaction is spoilt, and over if this was the last chunk: what is
 * behind it in the pipeline is the rest of a message, and not one. */
static void
spoil(struct session *s, const struct chunk *c)
{
	if (s->mail == NULL)
		return;
	arrival_abandon(s->mail->arrival);
	s->mail->is_failed = true;
	if (c->is_last)
		transaction_end(s);
}

/* Say no, with the chunk out of the way. One without an end is not waited
 * for. */
WAITS static int
turn_down(struct session *s, struct chunk *c, const char *line)
{
	int	result;

	if (arrival_is_endless(c->size)) {
		s->is_over = true;
		io_discard_input(s->io);
	} else if (receive(s, c, NULL) == -1)
		return GONE;
	result = refuse(s, "BDAT", NULL, line);
	spoil(s, c);
	return result;
}

/* Is this no time for a chunk? The reply, or NULL. */
static const char *
untimely(const struct session *s, char line[REPLY_LINE])
{
	if (!extension_is_offered(s, "CHUNKING"))
		return reply_text(line, REPLY_NO_COMMAND, "BDAT");
	if (!s->is_extended)
		return reply_text(line, REPLY_NEED_EHLO_FIRST);
	if (s->mail == NULL)
		return reply_text(line, REPLY_NEED_MAIL);
	if (s->mail->is_failed)
		return reply_text(line, REPLY_BDAT_FAILED);
	if (s->mail->count == 0)
		return reply_text(line, s->mail->had_rcpt ?
		    REPLY_NO_RECIPIENTS : REPLY_NEED_RCPT);
	return NULL;
}

/* Would the message be greater than we take? */
static bool
is_too_big(const struct session *s, const struct chunk *c)
{
	int64_t	before = s->mail->arrival == NULL ? 0 :
		    s->mail->arrival->bytes;

	return site.message_size_limit > 0 &&
	    c->size > site.message_size_limit - before;
}

/* More of the same message is to come. */
WAITS static int
go_on(struct session *s, struct chunk *c)
{
	int	result;

	if (!s->mail->arrival->is_lost)
		return say(s, REPLY_CHUNK_OK, (long long)c->size);
	result = arrival_settle(s->mail->arrival);
	spoil(s, c);
	return result;
}

/* A last line without an end gets one, as from DATA. */
WAITS static int
finish(struct session *s)
{
	struct arrival	*to = s->mail->arrival;
	bool		 had_cr = to->repair.had_cr;
	int		 result, error;

	if (to->bytes > 0 && !to->is_ended && arrival_write(to,
	    had_cr ? "\n" : "\r\n", had_cr ? 1 : 2, true) == -1)
		return GONE;
	result = arrival_settle(to);
	error = errno;
	transaction_end(s);
	errno = error;
	return result;
}

/* Take the chunk. */
WAITS static int
take(struct session *s, struct chunk *c)
{
	char	line[REPLY_LINE];
	int	error;

	if (s->mail->arrival == NULL && arrival_open(s) == NULL)
		return errno == ECANCELED ? GONE :
		    turn_down(s, c, reply_text(line, REPLY_NO_SERVICE));
	if (receive(s, c, s->mail->arrival) == -1) {
		error = errno;
		s->received = s->mail->arrival->bytes;
		arrival_abandon(s->mail->arrival);
		errno = error;
		return GONE;
	}
	return c->is_last ? finish(s) : go_on(s, c);
}

/* RFC 3030 2. */
int
command_bdat(struct session *s, char *args)
{
	struct chunk	c;
	char		line[REPLY_LINE];

	s->received = 0;
	if (parse(&c, args) == -1) {
		s->is_over = true;
		io_discard_input(s->io);
		return refuse(s, "BDAT", NULL, reply_text(line,
		    REPLY_BAD_SYNTAX, syntax));
	}
	/* What was in the pipeline behind a refused chunk is no new error,
	 * though not free of cost for ever. */
	if (s->mail != NULL && s->mail->is_failed) {
		limits_junk(s);
		s->is_forgiven = true;
	}
	if (untimely(s, line) != NULL)
		return turn_down(s, &c, line);
	if (c.why != NULL)
		return turn_down(s, &c, reply_text(line, REPLY_BAD_SYNTAX,
		    c.why));
	if (is_too_big(s, &c))
		return turn_down(s, &c, reply_text(line, REPLY_TOO_BIG));
	return take(s, &c);
}
