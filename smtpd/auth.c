/*
 * auth.c - AUTH (RFC 4954): a client shows who it is.
 *
 * Called by commands.c; offer.c asks what EHLO announces. Who knows the users
 * is asked through common/sasl; here are the command, its dialogue, and what
 * becomes of it.
 *
 * P1  What smtpd_sasl_security_options (smtpd_sasl_tls_security_options in
 *     TLS) and smtpd_sasl_mechanism_filter do not allow is neither offered
 *     nor begun. Before TLS there is no AUTH where smtpd_tls_auth_only says
 *     so.
 * P2  Nobody is logged in but by an answer that says who it is; who cannot be
 *     asked lets nobody in (454).
 * P3  What a client sends is neither logged nor kept longer than its answer
 *     takes (P2 of hear.c). Who failed hears no reason, and hears it late.
 */

#include "smtpd/auth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/daemon/daemon.h"
#include "common/mail/chars.h"
#include "common/mail/encode.h"
#include "common/net/match.h"
#include "common/param/site.h"
#include "common/sasl/sasl.h"

#include "smtpd/hear.h"
#include "smtpd/offer.h"
#include "smtpd/rates.h"
#include "smtpd/replies.h"
#include "smtpd/settings.h"
#include "smtpd/starttls.h"
#include "smtpd/transcript.h"

enum {
	STEPS_MAX = 16,			/* SCRAM needs three */
	NAME_ROOM = 255,		/* of who logs in */
	REASON_SHOWN = 120,
	TRIES = 3,			/* RFC 4954 9 */
	BINDING_ROOM = 64
};

const struct param auth_params[] = {
	PARAM_BOOL("smtpd_sasl_auth_enable", set.sasl_enable, "no",
	    "Let clients log in, by AUTH. For services of mail programs, like "
	    "submission."),
	PARAM_STRING("smtpd_sasl_type", set.sasl_type, "postrider", 1, 50,
	    "Who knows the users: postrider (\"postrider user\" makes them), "
	    "or dovecot, whose socket smtpd_sasl_path names. With another "
	    "type, AUTH is answered with 454."),
	PARAM_STRING("smtpd_sasl_path", set.sasl_path, "smtpd", 0, 1000,
	    "Dovecot's socket: a path below the queue directory, an absolute "
	    "one, or inet:host:port."),
	PARAM_STRING("smtpd_sasl_service", set.sasl_service, "smtp", 1, 100,
	    "The name of this service for who knows the users."),
	PARAM_STRING("smtpd_sasl_security_options", set.sasl_options,
	    "noanonymous", 0, 200,
	    "What mechanisms may not be (noplaintext, noactive, nodictionary, "
	    "noanonymous) or must be (forward_secrecy, mutual_auth) without "
	    "TLS. noplaintext takes PLAIN and LOGIN away."),
	PARAM_STRING("smtpd_sasl_tls_security_options", set.sasl_tls_options,
	    "$smtpd_sasl_security_options", 0, 200, "The same in TLS."),
	PARAM_STRING("smtpd_sasl_mechanism_filter", set.sasl_filter,
	    "!external, static:rest", 0, 1000,
	    "Which mechanisms may be offered: names, with ! those that may "
	    "not; static:rest are all others."),
	PARAM_STRING("smtpd_sasl_exceptions_networks", set.sasl_exceptions,
	    "", 0, 100000, "Networks whose clients have no AUTH."),
	PARAM_INT("smtpd_sasl_response_limit", set.sasl_response_limit,
	    "12288", 512, 16384,
	    "The longest response of a client, in base64."),
	PARAM_BOOL("broken_sasl_auth_clients", set.sasl_broken_clients, "no",
	    "Announce AUTH a second time in the form of 1999 (AUTH=PLAIN)."),
	PARAM_BOOL("smtpd_sasl_authenticated_header", set.sasl_header, "no",
	    "Tell in Received: who has logged in."),
	PARAM_END
};

static struct match		*exceptions;
static struct sasl_server	*server;
/* What the options forbid and need, in clear and in TLS. */
static struct rules {
	unsigned	 forbidden, needed;
} in_clear, in_tls;

/* --- settings ------------------------------------------------------------- */

static void
read_options(const char *parameter, const char *options, struct rules *rules)
{
	if (sasl_security_parse(options, &rules->forbidden,
	    &rules->needed) == -1)
		die("%s = %s: expected noplaintext, noactive, nodictionary, "
		    "noanonymous, forward_secrecy or mutual_auth", parameter,
		    options);
}

void
auth_prepare(void)
{
	char	*why;

	read_options("smtpd_sasl_security_options", set.sasl_options,
	    &in_clear);
	read_options("smtpd_sasl_tls_security_options", set.sasl_tls_options,
	    &in_tls);
	exceptions = match_networks(pool_new("exceptions", 0),
	    set.sasl_exceptions, &why);
	if (exceptions == NULL)
		die("smtpd_sasl_exceptions_networks: %s", why);
	if (!set.sasl_enable)
		return;
	if (sasl_filter_has_tables(set.sasl_filter)) {
		log_error("smtpd_sasl_mechanism_filter = %s: files and tables "
		    "are not supported here; AUTH is answered with 454",
		    set.sasl_filter);
		if (daemon_is_checking())
			die("nobody could log in");
	}
	if (strcmp(set.sasl_type, "postrider") != 0 &&
	    strcmp(set.sasl_type, "dovecot") != 0) {
		log_error("smtpd_sasl_type = %s: expected postrider or "
		    "dovecot; AUTH is answered with 454", set.sasl_type);
		if (daemon_is_checking())
			die("nobody could log in");
	}
}

void
auth_start(void)
{
	struct pool	*pool = pool_new("SASL", 0);
	const char	*why = "";

	/* P1: without its tables, a filter would let more pass. */
	if (set.sasl_enable && !sasl_filter_has_tables(set.sasl_filter)) {
		to_auth = link_new("auth", site_processes("auth"), NULL);
		server = sasl_server_new(set.sasl_type, pool_printf(pool,
		    "%s/inet", daemon_service()), to_resolve, to_auth, &why);
		if (server == NULL)
			log_error("smtpd_sasl_type = %s: %s; AUTH is answered "
			    "with 454", set.sasl_type, why);
	}
}

/* --- what is offered ------------------------------------------------------ */

/* Is there AUTH for this client at all? */
static bool
is_for(const struct session *s)
{
	return set.sasl_enable && !match_address(exceptions, &s->address) &&
	    !offer_discards(s, "AUTH");
}

/* Bytes that bind a login to this TLS session. */
static const unsigned char *
bind_to(const struct session *s, struct pool *pool, enum tls_binding what,
    size_t *len)
{
	unsigned char	*bytes = pool_alloc(pool, BINDING_ROOM);

	*len = s->tls != NULL ? tls_bind(s->tls->stream, what, bytes) : 0;
	return bytes;
}

/* The client, as who knows the users wants to know it. */
static struct sasl_peer *
peer_of(const struct session *s, struct pool *pool)
{
	struct sasl_peer	*p = pool_alloc(pool, sizeof(*p));
	char			*text = pool_alloc(pool, INETADDR_TEXT);

	p->service = set.sasl_service;
	p->client_address = s->address_text;
	p->client_port = s->address.port;
	p->server_address = inetaddr_print(&s->server, text, INETADDR_TEXT);
	p->server_port = s->server.port;
	p->local_name = s->tls != NULL ? s->tls->summary.sni : "";
	p->is_encrypted = s->tls != NULL;
	p->exporter = bind_to(s, pool, TLS_EXPORTER, &p->exporter_length);
	p->end_point = bind_to(s, pool, TLS_SERVER_END_POINT,
	    &p->end_point_length);
	return p;
}

/* The word of the list that this is, in any case of letters; NULL. */
static const char *
find_word(struct pool *pool, const char *list, const char *word)
{
	size_t	len;

	for (; *list != '\0'; list += len) {
		list += strspn(list, " ");
		len = strcspn(list, " ");
		if (len > 0 && text_equal_mem(word, list, len))
			return pool_strndup(pool, list, len);
	}
	return NULL;
}

/* Keep as many whole words as there is room for. */
static void
keep_mechanisms(struct session *s, const char *list)
{
	size_t	len = strlen(list);

	if (len >= sizeof(s->mechanisms)) {
		len = sizeof(s->mechanisms) - 1;
		while (len > 0 && list[len] != ' ')
			len--;
	}
	memcpy(s->mechanisms, list, len);
	s->mechanisms[len] = '\0';
}

void
auth_learn(struct session *s)
{
	const struct rules	*rules = s->tls != NULL ? &in_tls : &in_clear;
	struct pool		*pool;

	s->mechanisms[0] = '\0';
	if (!is_for(s) || server == NULL || starttls_forbids_auth(s))
		return;
	pool = pool_new("mechanisms", 0);
	keep_mechanisms(s, sasl_mechanisms(server, pool, peer_of(s, pool),
	    rules->forbidden, rules->needed, set.sasl_filter));
	pool_free(pool);
}

bool
auth_is_offered(const struct session *s)
{
	return s->mechanisms[0] != '\0';
}

bool
auth_is_offered_twice(const struct session *s)
{
	return set.sasl_broken_clients && auth_is_offered(s) &&
	    !offer_discards(s, "AUTH");
}

bool
auth_is_missing(const struct session *s)
{
	return s->login[0] == '\0' && is_for(s);
}

/* --- what becomes of it --------------------------------------------------- */

void
auth_forget(struct session *s)
{
	s->login = "";
	s->login_method[0] = s->mechanisms[0] = '\0';
}

/* A comment may hold this; what may not be in it becomes '?'. */
char *
auth_trace(const struct session *s, struct pool *pool)
{
	char	*text, *at;

	if (!set.sasl_header || s->login[0] == '\0')
		return pool_strdup(pool, "");
	text = pool_printf(pool, "(Authenticated sender: %s)", s->login);
	for (at = text + 1; at[1] != '\0'; at++)
		if (strchr("()\\", *at) != NULL || is_8bit(*at) ||
		    is_control((unsigned char)*at))
			*at = '?';
	return text;
}

const char *
auth_note(const struct session *s, struct pool *pool)
{
	const char	*note = "";

	if (s->login[0] == '\0')
		return note;
	if (s->login_method[0] != '\0')
		note = pool_printf(pool, ", sasl_method=%s", s->login_method);
	note = pool_printf(pool, "%s, sasl_username=%s", note, s->login);
	return s->mail->author[0] == '\0' ? note : pool_printf(pool,
	    "%s, sasl_sender=%s", note, s->mail->author);
}

/* --- one attempt ---------------------------------------------------------- */

struct attempt {
	struct session		*session;
	struct pool		*pool;		/* with secrets: wiped */
	const char		*mechanism;	/* as it was offered */
	struct sasl_exchange	*exchange;
	struct sasl_step	 step;
};

/* Strict base64 (RFC 4648 4)? "" is. */
static bool
is_base64(const char *text)
{
	size_t	 len = strlen(text);
	char	*room = mem_alloc(len + 1);
	bool	 is_good = base64_decode(room, text, len) >= 0;

	explicit_bzero(room, len + 1);
	free(room);
	return is_good;
}

/* 334, which may be longer than any sentence of ours. */
WAITS static int
say_challenge(struct session *s, const char *text)
{
	transcript_said(s, "334");
	if (io_write(s->io, "334 ", 4) == -1 ||
	    io_write(s->io, text, strlen(text)) == -1 ||
	    io_write(s->io, "\r\n", 2) == -1)
		return GONE;
	return DONE;
}

/* A challenge and the response to it: DONE, or REFUSED (told), or GONE. */
WAITS static int
challenge(struct attempt *a, const char *text, char **response)
{
	struct session	*s = a->session;
	int		 result;

	if (say_challenge(s, text) == GONE)
		return GONE;
	if ((result = hear_response(s, response)) != DONE)
		return result;
	transcript_heard_secret(s);
	if (strcmp(*response, "*") == 0) {
		log_warning("%s: SASL %s authentication aborted", s->ident,
		    a->mechanism);
		return say(s, REPLY_AUTH_ABORTED);
	}
	return is_base64(*response) ? DONE : say(s, REPLY_AUTH_MALFORMED);
}

/* Challenges and responses, until it is known what comes of them. */
WAITS static int
go_on(struct attempt *a)
{
	char	*response;
	int	 n, result;

	for (n = 0; a->step.result == SASL_CONTINUE; n++) {
		result = challenge(a, a->step.text, &response);
		if (result != DONE)
			return result;
		if (n == STEPS_MAX) {
			a->step.result = SASL_UNAVAILABLE;
			a->step.text = "it does not come to an end";
			break;
		}
		sasl_continue(a->exchange, a->pool, response, &a->step);
	}
	return DONE;
}

/* The line that fail2ban reads. */
static void
log_failure(const struct attempt *a)
{
	const struct sasl_step	*step = &a->step;

	log_warning("%s: SASL %s authentication failed: %.*s, "
	    "sasl_username=%.*s", a->session->ident, a->mechanism,
	    REASON_SHOWN, *step->text != '\0' ? step->text :
	    "(reason unavailable)", NAME_ROOM,
	    *step->user != '\0' ? step->user : "(unavailable)");
}

/* Wrong. The answer comes late, since guessing shall take long; the first
 * failures are not counted, whatever smtpd_hard_error_limit says. */
WAITS static int
refuse_login(struct attempt *a, enum reply reply)
{
	struct session	*s = a->session;

	log_failure(a);
	s->is_forgiven = ++s->refused_logins < TRIES;
	if (fiber_sleep(set.error_sleep) == -1)
		return GONE;
	return say(s, reply);
}

/* A name that can stand in a log, a header and a packet. */
static bool
is_name(const char *name)
{
	const char	*at;

	for (at = name; *at != '\0'; at++)
		if (is_control((unsigned char)*at))
			return false;
	return at > name && (size_t)(at - name) <= NAME_ROOM &&
	    utf8_is_valid(name, (size_t)(at - name));
}

/* Nobody can tell. */
WAITS static int
postpone(struct attempt *a, const char *why)
{
	log_warning("%s: SASL %s authentication is not available: %.*s",
	    a->session->ident, a->mechanism, REASON_SHOWN, why);
	return say(a->session, REPLY_AUTH_LATER);
}

/* Right. What the mechanism says last goes before that (RFC 4954 4), and is
 * answered by nothing. */
WAITS static int
log_in(struct attempt *a)
{
	struct session	*s = a->session;
	char		*response;
	int		 result;

	if (!is_name(a->step.text))
		return postpone(a, "a name that is none");
	if (a->step.final != NULL) {
		result = challenge(a, a->step.final, &response);
		if (result != DONE)
			return result;
		if (*response != '\0')
			return say(s, REPLY_AUTH_MALFORMED);
	}
	s->login = pool_strdup(s->pool, a->step.text);
	snprintf(s->login_method, sizeof(s->login_method), "%s",
	    a->mechanism);
	return say(s, REPLY_AUTH_OK);
}

/* What has come of it. */
WAITS static int
settle(struct attempt *a)
{
	struct session	*s = a->session;

	switch (a->step.result) {
	case SASL_OK:
		return log_in(a);
	case SASL_REFUSED:
		return refuse_login(a, REPLY_AUTH_FAILED);
	case SASL_MALFORMED:
		return refuse_login(a, REPLY_AUTH_MALFORMED);
	case SASL_UNKNOWN:
		return say(s, REPLY_AUTH_UNKNOWN);
	case SASL_TOO_WEAK:
		return say(s, s->tls == NULL ? REPLY_AUTH_NEEDS_TLS :
		    REPLY_AUTH_TOO_WEAK);
	case SASL_CONTINUE:
	case SASL_UNAVAILABLE:
		break;
	}
	return postpone(a, a->step.text);
}

/* An attempt with a mechanism that was offered. */
WAITS static int
attempt(struct attempt *a, const char *initial)
{
	int	result;

	a->exchange = sasl_begin(server, a->pool, peer_of(a->session,
	    a->pool), a->mechanism, initial, &a->step);
	if ((result = go_on(a)) == DONE)
		result = settle(a);
	sasl_end(a->exchange);
	return result;
}

/* --- the command ---------------------------------------------------------- */

/* May it be said now? */
WAITS static int
check(struct session *s)
{
	if (!is_for(s))
		return say(s, REPLY_NO_COMMAND, "AUTH");
	if (!s->is_extended)
		return say(s, REPLY_NEED_EHLO_FIRST);
	if (s->mail != NULL)
		return say(s, REPLY_IN_TRANSACTION);
	if (s->login[0] != '\0')
		return say(s, REPLY_AUTH_TWICE);
	if (starttls_forbids_auth(s))
		return say(s, REPLY_AUTH_NEEDS_TLS);
	return rates_auth(s);
}

/* A mechanism that was not offered: because nobody can be asked, because there
 * is no TLS, or because it does not exist. */
WAITS static int
refuse_mechanism(struct session *s, struct pool *pool, const char *word)
{
	struct sasl_peer	*peer = peer_of(s, pool);
	const char		*all = "";

	if (server != NULL)
		all = sasl_mechanisms(server, pool, peer, 0, 0,
		    "static:rest");
	if (*all == '\0') {
		log_warning("%s: no SASL mechanisms: who knows the users does "
		    "not answer", s->ident);
		return say(s, REPLY_AUTH_LATER);
	}
	if (s->tls != NULL)
		return say(s, REPLY_AUTH_UNKNOWN);
	peer->is_encrypted = true;
	all = sasl_mechanisms(server, pool, peer, in_tls.forbidden,
	    in_tls.needed, set.sasl_filter);
	return say(s, find_word(pool, all, word) != NULL ?
	    REPLY_AUTH_NEEDS_TLS : REPLY_AUTH_UNKNOWN);
}

/* The words of the command: DONE, or what was said about them. *initial is
 * NULL without an initial response, "" for "=". */
WAITS static int
read_words(struct session *s, char *args, char **mechanism, char **initial)
{
	char	*end;

	*mechanism = text_trim(args);
	*initial = NULL;
	if (**mechanism == '\0')
		return say(s, REPLY_BAD_SYNTAX, "AUTH mechanism");
	end = *mechanism + strcspn(*mechanism, " \t");
	if (*end == '\0')
		return DONE;
	*end++ = '\0';
	*initial = end + strspn(end, " \t");
	if ((*initial)[strcspn(*initial, " \t")] != '\0')
		return say(s, REPLY_BAD_SYNTAX, "AUTH mechanism");
	if (strcmp(*initial, "=") == 0)
		**initial = '\0';
	else if (strlen(*initial) > (size_t)set.sasl_response_limit)
		return say(s, REPLY_AUTH_TOO_LONG);
	else if (!is_base64(*initial))
		return say(s, REPLY_AUTH_MALFORMED);
	return DONE;
}

/* RFC 4954 4. */
int
command_auth(struct session *s, char *args)
{
	struct attempt	 a = { .session = s };
	char		*word, *initial;
	int		 result;

	s->has_auth = true;
	if ((result = check(s)) != DONE ||
	    (result = read_words(s, args, &word, &initial)) != DONE)
		return result;
	if (!auth_is_offered(s))
		auth_learn(s);		/* they may be back */
	a.pool = pool_new("AUTH", 0);
	pool_make_secret(a.pool);
	a.mechanism = find_word(a.pool, s->mechanisms, word);
	result = a.mechanism != NULL ? attempt(&a, initial) :
	    refuse_mechanism(s, a.pool, word);
	pool_free(a.pool);
	return result;
}
