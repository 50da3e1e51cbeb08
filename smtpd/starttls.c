/*
 * starttls.c - TLS in a session: before the greeting or by STARTTLS (RFC 3207).
 *
 * Called by session.c, commands.c, offer.c and arrival.c. The handshake and
 * all that is encrypted are in common/tls; here is what it means for SMTP.
 *
 * P1  Nothing that came in clear is acted upon inside TLS: who sends anything
 *     behind STARTTLS before he is answered is sent away.
 * P2  What was said before TLS is forgotten: the name, the transaction, who
 *     logged in (RFC 3207 4.2).
 * P3  Where TLS is mandatory nothing is taken without; where it cannot be had
 *     through our own fault, clients hear 454 and try again.
 */

#include "smtpd/starttls.h"

#include <errno.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/daemon/daemon.h"
#include "common/param/site.h"

#include "smtpd/auth.h"
#include "smtpd/commands.h"
#include "smtpd/crowd.h"
#include "smtpd/handshakes.h"
#include "smtpd/hear.h"
#include "smtpd/limits.h"
#include "smtpd/rates.h"
#include "smtpd/replies.h"
#include "smtpd/settings.h"
#include "smtpd/tls_settings.h"
#include "smtpd/turns.h"

/* --- the handshake -------------------------------------------------------- */

/* The line of the log about a handshake that went well. */
static void
tell(const struct session *s, struct pool *pool)
{
	static const char *const	trusts[] = {
		[TLS_ANONYMOUS] = "Anonymous", [TLS_UNTRUSTED] = "Untrusted",
		[TLS_TRUSTED] = "Trusted", [TLS_VERIFIED] = "Verified"
	};
	const struct tls_summary	*t = &s->tls->summary;

	if (set.tls_loglevel > 0)
		log_info("%s TLS connection %s from %s%s%s: %s",
		    trusts[t->trust], t->is_resumed ? "reused" : "established",
		    s->ident, *t->sni != '\0' ? " to " : "", t->sni,
		    tls_describe(pool, t));
	if (set.tls_loglevel < 2 || t->trust == TLS_ANONYMOUS)
		return;
	log_info("%s: subject_CN=%s, issuer_CN=%s, fingerprint=%s, "
	    "pkey_fingerprint=%s", s->ident, t->peer_name, t->issuer,
	    t->fingerprint, t->key_fingerprint);
	if (*t->doubt != '\0')
		log_info("client certificate verification failed for %s: %s",
		    s->ident, t->doubt);
}

/* Wait until it is our turn; the client may take smtpd_starttls_timeout for
 * what follows, less when most sessions are in use, and is told to go like any
 * other who waits when the system stops. */
WAITS static int
negotiate(struct session *s, struct cover *cover, const char **why)
{
	struct tls_wishes	 wishes;
	int64_t			 patience = crowd_hasten(set.tls_timeout);
	int			 result;

	if (handshake_await(clock_now() + patience) == -1) {
		*why = strerror(errno);
		return -1;
	}
	tls_server_wishes(&wishes);
	turn_begin(s, false);
	io_patience(s->io, patience);
	io_deadline(s->io, clock_now() + patience);
	result = tls_start(s->io, tls_server_context(), &wishes, s->pool,
	    &cover->stream, &cover->summary, why);
	turn_end(s);
	return result;
}

/* Shake hands. */
WAITS static int
shake(struct session *s)
{
	struct cover	*cover = pool_alloc(s->pool, sizeof(*cover));
	const char	*why;
	int		 result;

	if (set.tls_loglevel > 1)
		log_info("setting up TLS connection from %s", s->ident);
	s->is_waiting = true;
	result = negotiate(s, cover, &why);
	s->is_waiting = false;
	if (result == 0) {
		s->tls = cover;
		return DONE;
	}
	log_info("SSL_accept error from %s: %s", s->ident, why);
	/* Neither in clear nor encrypted would anything be understood. */
	errno = ECONNRESET;
	return GONE;
}

/* Is the client's certificate what smtpd_tls_req_ccert wants? */
static void
judge(struct session *s)
{
	if (!tls_needs_certificate() || s->tls->summary.trust >= TLS_TRUSTED)
		return;
	s->tls->is_too_weak = true;
	log_info("NOQUEUE: abort: TLS from %s: %s", s->ident,
	    s->tls->summary.trust == TLS_ANONYMOUS ?
	    "no client certificate presented" :
	    "client certificate not trusted");
}

/* P2. What XCLIENT said of the connection is not the client's, and stays. */
static void
forget(struct session *s)
{
	transaction_end(s);
	s->helo[0] = '\0';
	s->is_extended = s->takes_utf8 = s->may_starttls = false;
	auth_forget(s);
	s->junk = 0;
}

/* A handshake, and what follows from it. */
WAITS static int
begin(struct session *s)
{
	struct pool	*pool;

	if (shake(s) == GONE)
		return GONE;
	forget(s);
	pool = pool_new("TLS summary", 0);
	tell(s, pool);
	pool_free(pool);
	judge(s);
	if (!s->tls->summary.is_resumed)
		rates_count_tls(s);
	return DONE;
}

/* --- STARTTLS ------------------------------------------------------------- */

/* Tell once, and again after it has been better. */
static void
tell_trouble(const char *why)
{
	static bool	was_told;

	if (why != NULL && !was_told)
		log_warning("smtpd_tls_security_level = %s, but STARTTLS is "
		    "not offered: %s", set.tls_level, why);
	was_told = why != NULL;
}

void
starttls_learn(struct session *s)
{
	const char	*why;

	s->may_starttls = false;
	if (s->tls != NULL || !tls_is_wanted())
		return;
	why = tls_trouble();
	tell_trouble(why);
	s->may_starttls = why == NULL;
}

bool
starttls_is_offered(const struct session *s)
{
	return s->may_starttls;
}

/* We cannot, now. */
WAITS static int
postpone(struct session *s, const char *why)
{
	log_warning("no TLS for %s: %s", s->ident, why);
	return say(s, REPLY_NO_TLS);
}

/* Why STARTTLS cannot be begun now: REFUSED (told), GONE, else DONE. */
WAITS static int
check(struct session *s)
{
	const char	*why;

	if (s->tls != NULL)
		return say(s, REPLY_TLS_TWICE);
	if (!tls_is_wanted())
		return say(s, REPLY_NO_COMMAND, "STARTTLS");
	if (!s->is_extended)
		return say(s, REPLY_NEED_EHLO_FIRST);
	if ((why = tls_trouble()) != NULL)
		return postpone(s, why);
	s->may_starttls = true;		/* if not when EHLO was answered */
	if (!extension_is_offered(s, "STARTTLS"))
		return say(s, REPLY_NO_COMMAND, "STARTTLS");
	return rates_new_tls(s);
}

/* P1. The last moment to look is before the answer: from then on the bytes of
 * the handshake may come. */
WAITS static int
refuse_pipelined(struct session *s)
{
	const char	*unread;
	size_t		 len;

	if (!io_has_input(s->io))
		return DONE;
	len = io_peek(s->io, &unread);
	log_info("improper command pipelining after STARTTLS from %s: %.*s",
	    s->ident, hear_shown(unread, len), unread);
	io_discard_input(s->io);
	s->is_over = true;
	return say(s, REPLY_OUT_OF_STEP);
}

/* RFC 3207 4. */
int
command_starttls(struct session *s, char *args)
{
	int	result;

	if (*text_trim(args) != '\0')
		return say(s, REPLY_NO_ARGUMENT, "STARTTLS");
	if ((result = check(s)) != DONE ||
	    (result = refuse_pipelined(s)) != DONE)
		return result;
	if (say(s, REPLY_READY_FOR_TLS) == GONE ||
	    turn_flush(s, false) == -1)
		return GONE;
	return begin(s);
}

/* --- TLS before all else -------------------------------------------------- */

int
starttls_wrap(struct session *s)
{
	const char	*why;

	if (!set.tls_wrappermode)
		return DONE;
	if ((why = tls_trouble()) != NULL) {
		log_warning("no TLS for %s: %s", s->ident, why);
		return REFUSED;
	}
	if (rates_new_tls(s) != DONE)
		return REFUSED;
	return begin(s);
}

bool
starttls_may_speak(const struct session *s)
{
	return s->tls != NULL || !set.tls_wrappermode;
}

/* --- what TLS is asked for ------------------------------------------------ */

/* Is it one of the commands that need no TLS (RFC 3207 4)? */
static bool
is_free(const char *verb)
{
	static const char *const	verbs[] = { "EHLO", "NOOP", "QUIT",
					    "STARTTLS" };
	size_t				i;

	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i], verb) == 0)
			return true;
	return false;
}

int
starttls_admit(struct session *s, const char *verb)
{
	const char	*why;

	if (s->tls != NULL)
		return s->tls->is_too_weak && strcmp(verb, "QUIT") != 0 ?
		    say(s, REPLY_TLS_TOO_WEAK) : DONE;
	if (!tls_is_mandatory() || is_free(verb))
		return DONE;
	/* P3: 530 would have the mail returned that a client brings. */
	if ((why = tls_trouble()) != NULL)
		return postpone(s, why);
	return say(s, REPLY_NEED_TLS);
}

bool
starttls_wants_name(const struct session *s)
{
	return s->tls != NULL && !set.tls_wrappermode;
}

bool
starttls_forbids_auth(const struct session *s)
{
	return s->tls == NULL && (set.tls_auth_only || tls_is_mandatory());
}

char *
starttls_trace(const struct session *s)
{
	static char	 nothing[1];

	if (s->tls == NULL || !set.tls_received)
		return nothing;
	return pool_printf(s->mail->pool, "%s\ntls %s",
	    tls_trace(s->mail->pool, &s->tls->summary,
	    tls_asks_certificate()), s->tls->summary.cipher);
}
