/*
 * data.c - DATA: the message itself.
 *
 * Called through commands.c. Bytes go from the socket through the decoder
 * (common/mail/smtp.c) into packets for cleanup, and are never kept whole.
 *
 * P1  Only CRLF.CRLF ends a message (RFC 5321 4.1.1.4); a bare CR or LF does
 *     not, whatever else is done about it.
 * P2  2yz is said only after cleanup answered 2yz, which it does only when
 *     the message is on stable storage.
 * P3  A client that stops in the middle leaves nothing behind.
 * P4  The text of a message is never taken for commands, though it was sent
 *     without waiting for the answer to DATA and the answer was no.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/ipc/overrides.h"
#include "common/ipc/posting.h"
#include "common/mail/smtp.h"
#include "common/net/match.h"
#include "common/param/site.h"

#include "smtpd/commands.h"
#include "smtpd/data.h"
#include "smtpd/limits.h"
#include "smtpd/replies.h"
#include "smtpd/session.h"
#include "smtpd/settings.h"

enum {
	INPUT_ROOM = 32 * 1024,
	EXCESS = 8 * 1024 * 1024,
	DISCARDS = 64,
	CLEANUP_PATIENCE = 30 * 1000
};

const struct param data_params[] = {
	PARAM_INT("smtpd_min_data_rate", set.data_rate, "500", 0, 1000000,
	    "Bytes per second that a client must send, beside smtpd_timeout; "
	    "0 means no such limit."),
	PARAM_STRING("smtpd_forbid_bare_newline", set.forbid_bare_newline,
	    "normalize", 1, 20,
	    "What to do about a line end without CR in a message: normalize "
	    "it, reject the message, or no (normalize without a note). None "
	    "of them lets it end the message."),
	PARAM_STRING("smtpd_forbid_bare_newline_exclusions",
	    set.forbid_bare_newline_exclusions, "$mynetworks", 0, 100000,
	    "Networks whose messages with bare line ends are not rejected."),
	PARAM_TIME("smtpd_data_done_timeout", set.data_done_timeout, "300s", 1,
	    3600, "How long cleanup may take to store a message."),
	PARAM_END
};

static struct match	*bare_exclusions;
static bool		 rejects_bare;

/* A message on its way in. */
struct delivery {
	struct session		*session;
	struct posting		*posting;
	struct smtp_data	 decoder;
	struct crlf		 repair;
	char			*decoded, *repaired;
	int64_t			 bytes;		/* from the wire */
	bool			 is_lost;	/* cleanup gave up or refused */
};

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
	if (!rejects_bare && !text_equal(set.forbid_bare_newline,
	    "normalize") && !text_equal(set.forbid_bare_newline, "no") &&
	    !text_equal(set.forbid_bare_newline, "yes"))
		die("smtpd_forbid_bare_newline = %s: expected normalize, "
		    "reject or no", set.forbid_bare_newline);
}

/* The envelope, as cleanup wants it. */
WAITS static struct posting *
open_posting(struct session *s)
{
	struct mail	mail;

	memset(&mail, 0, sizeof(mail));
	mail.sender = s->mail->sender;
	mail.origin = "smtpd";
	mail.client_name = (char *)s->name;
	mail.client_address = s->address_text;
	mail.helo = s->helo;
	mail.protocol = s->is_extended ? "ESMTP" : "SMTP";
	mail.full_name = mail.login = mail.extra = "";
	mail.envelope_id = s->mail->envelope_id;
	mail.return_what = s->mail->return_what;
	mail.verp = s->mail->verp;
	mail.uid = -1;
	mail.flags = s->mail->flags | overrides_flags() |
	    (s->is_trusted ? MAIL_IS_TRUSTED : 0);
	mail.arrival_us = clock_wall_us();
	mail.size_hint = s->mail->size_hint;
	mail.recipients = s->mail->recipients;
	mail.count = s->mail->count;
	return posting_open(s->mail->pool, to_cleanup, &mail,
	    clock_now() + CLEANUP_PATIENCE);
}

/*
 * Decode what is in the buffer and pass it on. After cleanup has given up we
 * go on reading, since the client will not listen before its final dot.
 */
WAITS static int
pass_on(struct delivery *d, const char *in, size_t len)
{
	size_t		 used, n;
	int64_t		 bare_before;
	const char	*out;

	bare_before = d->decoder.bare_lf;
	used = smtp_data_decode(&d->decoder, in, len, d->decoded, &n);
	d->bytes += (int64_t)used;
	out = d->decoded;

	/* The queue holds CRLF only; the common case needs no second pass. */
	if (d->decoder.bare_lf != bare_before) {
		n = crlf_encode(&d->repair, d->decoded, n, d->repaired);
		out = d->repaired;
	} else if (n > 0)
		d->repair.had_cr = out[n - 1] == '\r';

	io_consume(d->session->io, used);
	if (!d->is_lost && posting_write(d->posting, out, n,
	    clock_now() + CLEANUP_PATIENCE) == -1) {
		if (errno == ECANCELED)
			return -1;
		d->is_lost = true;
	}
	return 0;
}

/* Whoever was refused may bring his message to its end, since he does not
 * listen before; one without an end he may not. */
static bool
is_endless(const struct delivery *d)
{
	return d->is_lost && d->bytes / 8 > site.message_size_limit + EXCESS;
}

/*
 * Read until the final dot. The deadline moves on with what has arrived, so
 * that a byte every few minutes does not keep a session for ever.
 */
WAITS static int
receive(struct delivery *d)
{
	struct io	*io = d->session->io;
	const char	*in;
	size_t		 len;
	int64_t		 start, patience;
	int		 got;

	start = clock_now();
	patience = limits_patience();
	io_patience(io, patience);
	while (!d->decoder.is_over) {
		if (is_endless(d)) {
			d->session->is_over = true;
			break;
		}
		if ((len = io_peek(io, &in)) == 0) {
			if (set.data_rate > 0)
				io_deadline(io, start + patience +
				    d->bytes * 1000 / set.data_rate);
			if ((got = io_fill(io, INPUT_ROOM)) <= 0) {
				if (got == 0)
					errno = ECONNRESET;
				return -1;
			}
			continue;
		}
		if (len > INPUT_ROOM)
			len = INPUT_ROOM;
		if (pass_on(d, in, len) == -1)
			return -1;
	}
	io_deadline(io, NEVER);
	return 0;
}

/* The final dot has come: what becomes of the message? */
WAITS static int
settle(struct delivery *d)
{
	struct session	*s = d->session;
	struct queued	 answer;
	char		 line[REPLY_LINE];

	if (d->decoder.bare_lf > 0)
		s->had_bare_lf = true;
	if (d->decoder.bare_lf > 0 && rejects_bare &&
	    !match_address(bare_exclusions, &s->address)) {
		posting_abandon(d->posting);
		log_info("NOQUEUE: reject: END-OF-MESSAGE from %s: %s; "
		    "from=<%s> proto=%s helo=<%s>", s->ident,
		    reply_text(line, REPLY_BARE_LF, site.myhostname),
		    s->mail->sender, s->is_extended ? "ESMTP" : "SMTP",
		    s->helo);
		return say_line(s, line);
	}

	if (posting_finish(d->posting, &answer,
	    clock_now() + set.data_done_timeout) == -1) {
		if (errno == ECANCELED)
			return GONE;
		log_warning("cleanup did not answer for a message from %s",
		    s->ident);
		return say(s, REPLY_NO_SERVICE);
	}
	reply_soften(line, answer.reply);
	if (answer.code / 100 == 2)
		log_info("%s: client=%s", answer.queue_id, s->ident);
	else if (*answer.queue_id == '\0')	/* else cleanup has told */
		log_info("NOQUEUE: reject: END-OF-MESSAGE from %s: %s; "
		    "from=<%s> proto=%s helo=<%s>", s->ident, line,
		    s->mail->sender, s->is_extended ? "ESMTP" : "SMTP",
		    s->helo);
	s->junk = 0;
	return say_line(s, line);
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
	struct delivery	d;
	int		result;

	memset(&d, 0, sizeof(d));
	d.session = s;
	if ((d.posting = open_posting(s)) == NULL)
		return errno == ECANCELED ? GONE :
		    turn_away(s, say(s, REPLY_NO_SERVICE));
	d.decoded = pool_alloc(s->mail->pool, INPUT_ROOM + 2);
	d.repaired = pool_alloc(s->mail->pool, 2 * (INPUT_ROOM + 2));
	smtp_data_start(&d.decoder);

	if (say(s, REPLY_GO_AHEAD) == GONE || io_flush(s->io) == -1 ||
	    receive(&d) == -1) {
		result = errno;
		posting_abandon(d.posting);
		errno = result;
		return GONE;
	}
	return settle(&d);
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
	if (s->mail->count == 0)
		return turn_away(s, say(s, REPLY_NEED_RCPT));

	result = take_message(s);
	error = errno;
	transaction_end(s);
	errno = error;
	return result;
}
