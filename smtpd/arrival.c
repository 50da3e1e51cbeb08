/*
 * arrival.c - the text of a message on its way to cleanup.
 *
 * Called by data.c and bdat.c, which differ in how they know where it ends.
 * Bytes are passed on as they come and never kept whole; the queue holds
 * CRLF only.
 *
 * P1  2yz is said only after cleanup answered 2yz, which it does only when
 *     the message is on stable storage.
 */

#include "smtpd/arrival.h"

#include <errno.h>
#include <string.h>

#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "common/ipc/overrides.h"
#include "common/param/site.h"
#include "common/queue/queue.h"

#include "smtpd/auth.h"
#include "smtpd/commands.h"
#include "smtpd/data.h"
#include "smtpd/refuse.h"
#include "smtpd/replies.h"
#include "smtpd/settings.h"
#include "smtpd/starttls.h"
#include "smtpd/xclient.h"

enum {
	EXCESS = 8 * 1024 * 1024,
	CLEANUP_PATIENCE = 30 * 1000,
	PIECE = 4 * 1024		/* that is repaired at a time */
};

/* RFC 3848. EHLO alone tells of TLS and AUTH: there is no SMTPS. */
static char *
protocol_of(const struct session *s)
{
	if (!s->is_extended)
		return pool_strdup(s->mail->pool, "SMTP");
	return pool_printf(s->mail->pool, "ESMTP%s%s", s->tls != NULL ? "S" :
	    "", s->login[0] != '\0' ? "A" : "");
}

/* What Received tells beyond that, each on a line of its own. */
static char *
extra_of(const struct session *s)
{
	char	*tls = starttls_trace(s), *login = auth_trace(s, s->mail->pool);

	if (*tls == '\0' || *login == '\0')
		return *tls != '\0' ? tls : login;
	return pool_printf(s->mail->pool, "%s\n%s", tls, login);
}

/* The envelope, as cleanup wants it. */
WAITS static struct posting *
open_posting(struct session *s, char *queue_id)
{
	struct mail	mail;

	memset(&mail, 0, sizeof(mail));
	mail.sender = s->mail->sender;
	mail.origin = "smtpd";
	mail.client_name = (char *)s->name;
	mail.client_address = s->address_text;
	mail.client_port = s->address.port;
	mail.helo = s->helo;
	mail.protocol = protocol_of(s);
	mail.full_name = "";
	mail.extra = extra_of(s);
	mail.login = (char *)s->login;
	mail.forwarded = xforward_text(s);
	mail.envelope_id = s->mail->envelope_id;
	mail.return_what = s->mail->return_what;
	mail.verp = s->mail->verp;
	mail.filter = overrides_filter();
	mail.queue_id = queue_id_new(queue_id, (unsigned)daemon_pid());
	mail.uid = -1;
	mail.flags = s->mail->flags | overrides_flags() | xforward_flags(s) |
	    (s->shown_port > 0 ? MAIL_SHOWS_PORT : 0) |
	    (s->is_trusted ? MAIL_IS_TRUSTED : 0) |
	    (set.hides_client ? MAIL_HIDES_CLIENT : 0);
	mail.arrival_us = clock_wall_us();
	mail.size_hint = s->mail->size_hint;
	mail.recipients = s->mail->recipients;
	mail.count = s->mail->count;
	return posting_open(s->mail->pool, to_cleanup, &mail,
	    clock_now() + CLEANUP_PATIENCE);
}

struct arrival *
arrival_open(struct session *s)
{
	struct arrival	*c = pool_alloc(s->mail->pool, sizeof(*c));

	c->session = s;
	if ((c->posting = open_posting(s, c->queue_id)) == NULL)
		return NULL;
	return s->mail->arrival = c;
}

/* Bytes for cleanup. After it has given up we go on reading, since the client
 * will not listen before the end of what it sends. */
WAITS static int
pass_on(struct arrival *c, const char *text, size_t len)
{
	if (c->is_lost || posting_write(c->posting, text, len,
	    clock_now() + CLEANUP_PATIENCE) == 0)
		return 0;
	if (errno == ECANCELED)
		return -1;
	c->is_lost = true;
	return 0;
}

/* The next bytes with line ends as they should be; how many were taken. */
static size_t
repair(struct arrival *c, const char **text, size_t *len)
{
	size_t	n = crlf_plain(&c->repair, *text, *len);

	if (n > 0) {
		*len = n;
		return n;
	}
	if (c->repaired == NULL)
		c->repaired = pool_room(c->session->mail->pool, 2 * PIECE);
	n = *len < PIECE ? *len : PIECE;
	*len = crlf_encode(&c->repair, *text, n, c->repaired);
	c->bare_lf += (int64_t)(*len - n);
	*text = c->repaired;
	return n;
}

/* Most of it needs no repair, and no copy. */
int
arrival_write(struct arrival *c, const char *in, size_t len, bool is_clean)
{
	const char	*text;
	size_t		 n, used;

	if (len == 0)
		return 0;
	c->is_ended = in[len - 1] == '\n';
	if (is_clean) {
		c->repair.had_cr = in[len - 1] == '\r';
		return pass_on(c, in, len);
	}
	for (; len > 0; in += used, len -= used) {
		text = in;
		n = len;
		used = repair(c, &text, &n);
		if (pass_on(c, text, n) == -1)
			return -1;
	}
	return 0;
}

void
arrival_abandon(struct arrival *c)
{
	if (c == NULL || c->posting == NULL)
		return;
	posting_abandon(c->posting);
	c->posting = NULL;
}

/* smtpd_forbid_bare_newline = reject. */
WAITS static int
refuse_bare(struct arrival *c)
{
	char	line[REPLY_LINE];

	arrival_abandon(c);
	if (set.bare_code == 521)
		c->session->is_over = true;
	return refuse(c->session, "END-OF-MESSAGE", NULL, reply_text(line,
	    REPLY_BARE_LF, (int)set.bare_code, site.myhostname));
}

/* A port may take less than cleanup does, and who sends need not say SIZE. */
WAITS static int
refuse_size(struct arrival *c)
{
	char	line[REPLY_LINE];

	arrival_abandon(c);
	return refuse(c->session, "END-OF-MESSAGE", NULL, reply_text(line,
	    REPLY_TOO_BIG));
}

/* Who brings it. Readers of the log expect to hear that before qmgr begins: so
 * it is said before cleanup gets the end of the message. */
static void
tell(const struct session *s, const char *queue_id)
{
	log_info("%s: client=%s%s", queue_id, s->ident, xforward_note(s));
}

int
arrival_settle(struct arrival *c)
{
	struct session	*s = c->session;
	struct posting	*posting = c->posting;
	struct queued	 answer;
	char		 line[REPLY_LINE];

	if (c->bare_lf > 0)
		s->had_bare_lf = true;
	if (c->bare_lf > 0 && data_rejects_bare(s))
		return refuse_bare(c);
	if (site.message_size_limit > 0 && c->bytes > site.message_size_limit)
		return refuse_size(c);

	c->posting = NULL;
	tell(s, c->queue_id);
	if (posting_finish(posting, &answer,
	    clock_now() + set.data_done_timeout) == -1) {
		if (errno == ECANCELED)
			return GONE;
		log_warning("cleanup did not answer for a message from %s",
		    s->ident);
		return say(s, REPLY_NO_SERVICE);
	}
	envelope_note_answer(&answer);
	reply_soften(line, answer.reply);
	if (answer.code / 100 == 2 && strcmp(answer.queue_id, c->queue_id) != 0)
		tell(s, answer.queue_id);	/* it had to be another one */
	s->junk = 0;
	/* With an id cleanup has told why. */
	if (answer.code / 100 != 2 && *answer.queue_id == '\0')
		return refuse(s, "END-OF-MESSAGE", NULL, line);
	return say_line(s, line);
}

bool
arrival_is_endless(int64_t bytes)
{
	return bytes / 8 > site.message_size_limit + EXCESS;
}
