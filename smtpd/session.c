/*
 * session.c - a visit from greeting to goodbye, in reading order.
 *
 * Called by main.c on a fiber per client. A session owns its socket and its
 * pool; a transaction owns its own pool. What is said to the client is in
 * replies.c, what the client may say is in commands.c.
 *
 * P1  Replies are sent before we wait for the next command, never later.
 * P2  However a session ends, its transaction is ended by transaction_end().
 * P3  A session's memory is bounded, whatever the client does.
 */

#include "smtpd/session.h"

#include <errno.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "common/fiber/fiber.h"
#include "common/param/site.h"

#include "smtpd/client.h"
#include "smtpd/commands.h"
#include "smtpd/limits.h"
#include "smtpd/replies.h"
#include "smtpd/settings.h"
#include "smtpd/transcript.h"

enum {
	SESSION_MEMORY = 64 * 1024,
	TRANSACTION_MEMORY = 16 * 1024 * 1024
};

const struct param session_params[] = {
	PARAM_STRING("smtpd_banner", set.banner, "$myhostname ESMTP $mail_name",
	    1, 400,
	    "The text after 220; the host name must come first (RFC 5321)."),
	PARAM_TIME("smtpd_timeout", set.timeout, "300s", 1, 3600,
	    "How long a client may take for one command."),
	PARAM_TIME("smtpd_overload_timeout", set.overload_timeout, "30s", 1,
	    3600, "The same while most sessions are in use."),
	PARAM_BOOL("smtpd_helo_required", set.helo_required, "no",
	    "Whether MAIL needs HELO or EHLO before it."),
	PARAM_STRING("smtpd_discard_ehlo_keywords", set.discard_ehlo_keywords,
	    "", 0, 1000,
	    "EHLO keywords that are not announced, for instance \"dsn, etrn\"."),
	PARAM_END
};

struct visit {
	struct session		*session;
	TAILQ_ENTRY(visit)	 next;
};
static TAILQ_HEAD(, visit) visits = TAILQ_HEAD_INITIALIZER(visits);
static unsigned	 visit_count;

WAITS static int	 greet(struct session *);
WAITS static void	 converse(struct session *);
WAITS static int	 hear(struct session *, char **line);
WAITS static void	 part(struct session *, int error);

/* The whole of it. */
void
session_run(int fd)
{
	struct session	*s;
	struct pool	*pool;
	struct visit	 visit;

	pool = pool_new("session", SESSION_MEMORY);
	s = pool_alloc(pool, sizeof(*s));
	s->pool = pool;
	s->io = io_new(fd);
	s->fiber = fiber_self();
	s->last_command = "CONNECT";

	visit.session = s;
	TAILQ_INSERT_TAIL(&visits, &visit, next);
	visit_count++;
	limits_slots_changed(visit_count);

	if (client_identify(s) == 0) {
		log_info("connect from %s", s->ident);
		if (greet(s) == DONE)
			converse(s);
		log_goodbye(s);
	}

	transaction_end(s);
	client_forget(s);
	io_close(s->io);
	transcript_send(s);
	TAILQ_REMOVE(&visits, &visit, next);
	visit_count--;
	limits_slots_changed(visit_count);
	pool_free(pool);
}

/* 220, or why not now (RFC 5321 3.1, 4.3.2). */
static int
greet(struct session *s)
{
	io_patience(s->io, limits_patience());
	if (daemon_is_stopping()) {
		say(s, REPLY_SHUTTING_DOWN, site.myhostname);
		io_flush(s->io);
		return REFUSED;
	}
	if (limits_client(s) == REFUSED) {
		io_flush(s->io);
		return REFUSED;
	}
	return say(s, REPLY_GREETING, set.banner);
}

/* Hear and answer commands until one side has had enough. */
static void
converse(struct session *s)
{
	char	*line;
	int	 heard;

	while (!s->is_over) {
		heard = hear(s, &line);
		if (heard == GONE) {
			part(s, errno);
			return;
		}
		if (heard == DONE) {
			transcript_heard(s, line);
			if (command_run(s, line) == GONE) {
				part(s, errno);
				return;
			}
		}
		if (limits_errors(s) == REFUSED)
			break;
		if (daemon_is_stopping() && s->mail == NULL && !s->is_over) {
			say(s, REPLY_SHUTTING_DOWN, site.myhostname);
			break;
		}
	}
	io_flush(s->io);
}

/*
 * One command line. Replies go out when no whole line is left to work on, so
 * that a pipelined group is answered in one segment (RFC 2920 3.2).
 * REFUSED: too long, and told so.
 */
static int
hear(struct session *s, char **line)
{
	const char	*unread;
	size_t		 len;
	bool		 bare_lf;
	int		 got;

	io_patience(s->io, limits_patience());
	len = io_peek(s->io, &unread);
	if (memchr(unread, '\n', len) == NULL && io_flush(s->io) == -1)
		return GONE;

	io_deadline(s->io, clock_now() + limits_patience());
	s->is_waiting = true;
	got = io_line(s->io, line, &len, (size_t)site.line_length_limit,
	    &bare_lf);
	s->is_waiting = false;
	io_deadline(s->io, NEVER);

	if (got == -1 && errno == EMSGSIZE) {
		s->errors++;
		return say(s, REPLY_LINE_TOO_LONG) == GONE ? GONE : REFUSED;
	}
	if (got <= 0) {
		if (got == 0)
			errno = ECONNRESET;
		return GONE;
	}
	if (bare_lf)
		s->had_bare_lf = true;
	/* A NUL would hide what follows it from us and not from others. */
	if (memchr(*line, '\0', len) != NULL) {
		s->errors++;
		return say(s, REPLY_UNKNOWN_COMMAND) == GONE ? GONE : REFUSED;
	}
	return DONE;
}

/* The connection is over without QUIT: say why if we can, and log it. */
static void
part(struct session *s, int error)
{
	if (error == ETIMEDOUT) {
		say(s, REPLY_TIMEOUT, site.myhostname);
		log_info("timeout after %s from %s", s->last_command,
		    s->ident);
	} else if (error == ECANCELED)
		say(s, REPLY_SHUTTING_DOWN, site.myhostname);
	else
		log_info("lost connection after %s from %s", s->last_command,
		    s->ident);
	io_flush(s->io);
}

void
transaction_end(struct session *s)
{
	if (s->mail == NULL)
		return;
	pool_free(s->mail->pool);
	s->mail = NULL;
}

struct transaction *
transaction_begin(struct session *s)
{
	static char	 nothing[1];
	struct pool	*pool;

	CLAIM(s->mail == NULL);
	pool = pool_new("transaction", TRANSACTION_MEMORY);
	s->mail = pool_alloc(pool, sizeof(*s->mail));
	s->mail->pool = pool;
	s->mail->sender = s->mail->envelope_id = s->mail->return_what =
	    s->mail->verp = nothing;
	return s->mail;
}

unsigned
session_count(void)
{
	return visit_count;
}

/* The system stops: those who wait for a command hear 421 now. */
void
session_end_idle(void)
{
	struct visit	*v;

	TAILQ_FOREACH(v, &visits, next)
		if (v->session->is_waiting && v->session->mail == NULL)
			fiber_cancel(v->session->fiber);
}
