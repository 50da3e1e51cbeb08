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
#include <stdio.h>
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
#include "smtpd/arrival.h"
#include "smtpd/crowd.h"
#include "smtpd/greet.h"
#include "smtpd/hear.h"
#include "smtpd/limits.h"
#include "smtpd/refuse.h"
#include "smtpd/replies.h"
#include "smtpd/restrict.h"
#include "smtpd/settings.h"
#include "smtpd/starttls.h"
#include "smtpd/transcript.h"
#include "smtpd/xclient.h"

enum {
	SESSION_MEMORY = 64 * 1024,
	TRANSACTION_MEMORY = 16 * 1024 * 1024,
	RECIPIENT_MEMORY = 1024,
	UNREAD_MAX = 32 * 1024,
	LAST_WORDS = 2000,		/* milliseconds, for a goodbye */
	GREATEST_MEMORY = 256 * 1024 * 1024	/* cleanup takes no more */
};

const struct param session_params[] = {
	PARAM_STRING("smtpd_banner", set.banner, "$myhostname ESMTP $mail_name",
	    1, 400,
	    "The text after 220; the host name must come first (RFC 5321)."),
	PARAM_TIME("smtpd_timeout", set.timeout, "300s", 1, 3600,
	    "How long a client may take for one command."),
	PARAM_BOOL("smtpd_helo_required", set.helo_required, "no",
	    "Whether MAIL needs HELO or EHLO before it."),
	PARAM_END
};

struct visit {
	struct session		*session;
	TAILQ_ENTRY(visit)	 next;
};
static TAILQ_HEAD(, visit) visits = TAILQ_HEAD_INITIALIZER(visits);
static unsigned	 visit_count;

static void		 turn_away(struct session *, int fd);
WAITS static int	 arrive(struct session *, int fd);
WAITS static void	 receive_client(struct session *);
WAITS static void	 converse(struct session *);
WAITS static void	 part(struct session *, int error);
WAITS static void	 last_words(struct session *);

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
	s->login = "";
	s->fiber = fiber_self();
	s->last_command = "CONNECT";

	visit.session = s;
	TAILQ_INSERT_TAIL(&visits, &visit, next);
	visit_count++;

	if (!crowd_arrived(visit_count))
		turn_away(s, fd);
	else if (arrive(s, fd) == 0) {
		log_info("connect from %s", s->ident);
		receive_client(s);
		log_goodbye(s);
	}

	transaction_end(s);
	client_forget(s);
	hear_forget(s);
	io_close(s->io);
	transcript_send(s);
	TAILQ_REMOVE(&visits, &visit, next);
	visit_count--;
	crowd_departed(visit_count);
	pool_free(pool);
}

/* All slots are in use, by clients who are busy: say so at once, as far as
 * that can be done without waiting. */
static void
turn_away(struct session *s, int fd)
{
	s->io = io_new(fd);
	if (set.tls_wrappermode)
		return;
	io_patience(s->io, 0);
	if (say(s, REPLY_BUSY, site.myhostname) != GONE)
		(void)io_flush(s->io);
}

/* Who is there? The proxy's header comes before all that io would read. */
WAITS static int
arrive(struct session *s, int fd)
{
	int	result;

	s->is_waiting = true;
	result = client_arrive(s, fd);
	s->is_waiting = false;
	s->io = io_new(fd);
	if (set.sasl_enable)
		io_wipes(s->io);
	/* Replies are short. Whoever does not read them shall not make the
	 * kernel keep megabytes of them, as it does for who is sent much. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){ UNREAD_MAX },
	    sizeof(int));
	if (result == 0)
		client_identify(s);
	return result;
}

/* From the pause before the greeting to the end. */
WAITS static void
receive_client(struct session *s)
{
	int	result;

	io_patience(s->io, crowd_patience());
	/* Who waits for the greeting is here, too. */
	if ((result = limits_client(s)) == DONE &&
	    (result = starttls_wrap(s)) == DONE &&
	    (result = greet_wait(s)) == DONE)
		result = session_greet(s);
	if (result == DONE)
		converse(s);
	else if (result == GONE)
		part(s, errno);
	else
		last_words(s);
}

/* RFC 5321 3.1, 4.3.2. */
int
session_greet(struct session *s)
{
	char	line[REPLY_LINE];
	int	result;

	io_patience(s->io, crowd_patience());
	if ((result = limits_client(s)) != DONE)
		return result;
	/* Nobody else tells those who were not waiting when that began. */
	if (daemon_is_stopping())
		return say(s, REPLY_SHUTTING_DOWN, site.myhostname);
	if (restrict_now(s, STAGE_CLIENT, line) != NULL) {
		s->is_denied = true;
		return refuse(s, "CONNECT", NULL, line) == GONE ? GONE : DONE;
	}
	return greet_say(s);
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
	last_words(s);
}

/* Send the rest, but wait for nobody who does not listen. */
WAITS static void
last_words(struct session *s)
{
	io_patience(s->io, LAST_WORDS);
	io_deadline(s->io, clock_now() + LAST_WORDS);
	if (starttls_may_speak(s))
		(void)io_flush(s->io);
}

/* It was asked to leave (turns.c). */
static void
part_dismissed(struct session *s)
{
	if (s->dismissal == DISMISSED_AS_SLOW) {
		say(s, REPLY_TIMEOUT, site.myhostname);
		log_info("timeout after %s from %s: most sessions are in use",
		    s->last_command, s->ident);
		return;
	}
	say(s, REPLY_BUSY, site.myhostname);
	log_info("idle after %s from %s: others need the session",
	    s->last_command, s->ident);
}

/* The connection is over without QUIT: say why if we can, and log it. */
static void
part(struct session *s, int error)
{
	char	size[40] = "";

	if (s->received > 0)
		snprintf(size, sizeof(size), " (%lld bytes)",
		    (long long)s->received);
	io_patience(s->io, LAST_WORDS);
	if (s->dismissal != NOT_DISMISSED)
		part_dismissed(s);
	else if (error == ETIMEDOUT) {
		say(s, REPLY_TIMEOUT, site.myhostname);
		log_info("timeout after %s%s from %s", s->last_command, size,
		    s->ident);
	} else if (error == ECANCELED)
		say(s, REPLY_SHUTTING_DOWN, site.myhostname);
	else if (error == ECONNABORTED) {
		say(s, REPLY_ENDLESS_LINE, site.myhostname);
		log_info("endless line after %s from %s", s->last_command,
		    s->ident);
	} else
		log_info("lost connection after %s%s from %s",
		    s->last_command, size, s->ident);
	last_words(s);
}

void
transaction_end(struct session *s)
{
	xforward_forget(s);
	if (s->mail == NULL)
		return;
	arrival_abandon(s->mail->arrival);
	pool_free(s->mail->pool);
	s->mail = NULL;
}

/* The ceiling of a transaction: who allows more recipients allows more of it,
 * so that smtpd_recipient_limit is what ends their number. */
static size_t
transaction_memory(void)
{
	int64_t	wanted = set.recipient_limit * RECIPIENT_MEMORY;

	if (wanted < TRANSACTION_MEMORY)
		return TRANSACTION_MEMORY;
	return wanted < GREATEST_MEMORY ? (size_t)wanted : GREATEST_MEMORY;
}

struct transaction *
transaction_begin(struct session *s)
{
	static char	 nothing[1];
	struct pool	*pool;

	CLAIM(s->mail == NULL);
	pool = pool_new("transaction", transaction_memory());
	s->mail = pool_alloc(pool, sizeof(*s->mail));
	s->mail->pool = pool;
	s->mail->sender = s->mail->envelope_id = s->mail->return_what =
	    s->mail->verp = s->mail->author = nothing;
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
