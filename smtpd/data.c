/*
 * data.c - DATA: the message itself.
 *
 * Called through commands.c. Bytes go from the socket to arrival.c, and are
 * never kept whole; those that are not the message as they are go through the
 * decoder (common/mail/smtp_data.c).
 *
 * P1  Only CRLF.CRLF ends a message (RFC 5321 4.1.1.4); a bare CR or LF does
 *     not, whatever else is done about it.
 * P2  2yz is said only after cleanup answered 2yz (arrival.c).
 * P3  A client that stops in the middle leaves nothing behind.
 * P4  The text of a message is never taken for commands, though it was sent
 *     without waiting for the answer to DATA and the answer was no.
 */

#include "smtpd/data.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/mail/smtp.h"
#include "common/net/match.h"

#include "smtpd/commands.h"
#include "smtpd/arrival.h"
#include "smtpd/replies.h"
#include "smtpd/settings.h"
#include "smtpd/turns.h"

enum {
	DISCARDS = 64,
	PIECE = 4 * 1024		/* that is decoded at a time */
};

const struct param data_params[] = {
	PARAM_INT("smtpd_min_data_rate", set.data_rate, "500", 0, 1000000,
	    "Bytes per second that a client must send, beside smtpd_timeout; "
	    "0 means no such limit."),
	PARAM_BOOL("smtpd_per_request_deadline", set.has_deadline, "yes",
	    "Whether smtpd_timeout is for a whole command or a whole chunk of "
	    "a message, the latter with smtpd_min_data_rate, and not for each "
	    "of its bytes."),
	PARAM_STRING("smtpd_forbid_bare_newline", set.forbid_bare_newline,
	    "normalize", 1, 20,
	    "What to do about a line end without CR in a message: normalize "
	    "it, reject the message, or no (normalize without a note). None "
	    "of them lets it end the message. Unless it is no, such a line "
	    "end does not end a command either."),
	PARAM_STRING("smtpd_forbid_bare_newline_exclusions",
	    set.forbid_bare_newline_exclusions, "$mynetworks", 0, 100000,
	    "Networks whose messages with bare line ends are not rejected."),
	PARAM_INT("smtpd_forbid_bare_newline_reject_code", set.bare_code,
	    "550", 500, 599, "The code with which messages and commands are "
	    "rejected for bare line ends; 521 hangs up as well."),
	PARAM_TIME("smtpd_data_done_timeout", set.data_done_timeout, "300s", 1,
	    3600, "How long cleanup may take to store a message."),
	PARAM_END
};

static struct match	*bare_exclusions;
static bool		 rejects_bare, takes_bare;

void
data_prepare(void)
{
	struct pool	*pool;
	char		*why;

	pool = pool_new("bare newlines", 0);
	bare_exclusions = match_networks(pool,
	    set.forbid_bare_newline_exclusions, &why);
	if (bare_exclusions == NULL)
		die("smtpd_forbid_bare_newline_exclusions: %s", why);
	rejects_bare = text_equal(set.forbid_bare_newline, "reject");
	takes_bare = text_equal(set.forbid_bare_newline, "no");
	if (!rejects_bare && !takes_bare &&
	    !text_equal(set.forbid_bare_newline, "normalize") &&
	    !text_equal(set.forbid_bare_newline, "yes"))
		die("smtpd_forbid_bare_newline = %s: expected normalize, "
		    "reject or no", set.forbid_bare_newline);
}

bool
data_rejects_bare(const struct session *s)
{
	return rejects_bare && !match_address(bare_exclusions, &s->address);
}

bool
data_takes_bare(const struct session *s)
{
	return takes_bare || match_address(bare_exclusions, &s->address);
}

int
data_fill(struct session *s)
{
	int	got, error;

	turn_begin(s, true);
	got = io_fill(s->io, ARRIVAL_ROOM);
	error = got == 0 ? ECONNRESET : errno;
	turn_end(s);
	errno = s->dismissal != NOT_DISMISSED ? ECANCELED : error;
	return got == 1 && s->dismissal == NOT_DISMISSED ? 0 : -1;
}

/* A message by DATA on its way in. */
struct delivery {
	struct arrival		*arrival;
	struct smtp_data	 decoder;
	char			*decoded;
	int64_t			 bytes;		/* from the wire */
};

/* Decode some of what is in the buffer: the message's next bytes, and how many
 * were used. Most are in the buffer as they are. */
static size_t
decode(struct delivery *d, const char **text, size_t *len)
{
	size_t	used = smtp_data_plain(&d->decoder, *text, *len);

	if (used > 0) {
		*len = used;
		return used;
	}
	used = smtp_data_decode(&d->decoder, *text,
	    *len < PIECE ? *len : PIECE, d->decoded, len);
	*text = d->decoded;
	return used;
}

/* Pass some of what is in the buffer on. */
WAITS static int
pass_on(struct delivery *d, struct io *io, const char *text, size_t len)
{
	int64_t	bare_before = d->decoder.bare_lf;
	size_t	used = decode(d, &text, &len);

	d->bytes += (int64_t)used;
	turn_credit(d->arrival->session, (int64_t)used);
	d->arrival->bytes += (int64_t)len;
	if (arrival_write(d->arrival, text, len,
	    d->decoder.bare_lf == bare_before) == -1)
		return -1;
	io_consume(io, used);
	return 0;
}

/* Read until the final dot. */
WAITS static int
receive(struct delivery *d, struct session *s)
{
	const char	*in;
	size_t		 len;

	while (!d->decoder.is_over) {
		if (d->arrival->is_lost && arrival_is_endless(d->bytes)) {
			s->is_over = true;
			break;
		}
		if ((len = io_peek(s->io, &in)) == 0) {
			if (data_fill(s) == -1)
				return -1;
			continue;
		}
		if (pass_on(d, s->io, in, len) == -1)
			return -1;
	}
	return 0;
}

/* RFC 2920 3.1: nothing follows DATA before its answer. When that is no, what
 * follows all the same is the text of the message: it is thrown away, and the
 * client sent away. */
WAITS static int
turn_away(struct session *s, int result)
{
	int	i;

	if (result != REFUSED || !io_has_input(s->io))
		return result;
	log_info("improper command pipelining after DATA from %s", s->ident);
	for (i = 0; i < DISCARDS && io_has_input(s->io); i++)
		io_discard_input(s->io);
	s->is_over = true;
	return result;
}

/* Hear the message and say what becomes of it; the transaction is there and
 * has recipients. */
WAITS static int
take_message(struct session *s)
{
	struct delivery	d = { .bytes = 0 };
	int		result;

	s->received = 0;
	if ((d.arrival = arrival_open(s)) == NULL)
		return errno == ECANCELED ? GONE :
		    turn_away(s, say(s, REPLY_NO_SERVICE));
	d.decoded = pool_room(s->mail->pool, PIECE + 2);
	smtp_data_start(&d.decoder);

	if (say(s, REPLY_GO_AHEAD) == GONE || turn_flush(s, true) == -1 ||
	    receive(&d, s) == -1) {
		result = errno;
		s->received = d.bytes;
		arrival_abandon(d.arrival);
		errno = result;
		return GONE;
	}
	return arrival_settle(d.arrival);
}

/* RFC 5321 4.1.1.4. */
int
command_data(struct session *s, char *args)
{
	int	result, error;

	if (*text_trim(args) != '\0')
		return turn_away(s, say(s, REPLY_NO_ARGUMENT, "DATA"));
	if (s->mail == NULL)
		return turn_away(s, say(s, REPLY_NEED_MAIL));
	if (s->mail->arrival != NULL || s->mail->is_failed)
		return turn_away(s, say(s, REPLY_AFTER_BDAT, "DATA"));
	if (s->mail->count == 0)
		return turn_away(s, say(s, s->mail->had_rcpt ?
		    REPLY_NO_RECIPIENTS : REPLY_NEED_RCPT));

	result = take_message(s);
	error = errno;
	transaction_end(s);
	errno = error;
	return result;
}
