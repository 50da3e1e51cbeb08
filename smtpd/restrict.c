/*
 * restrict.c - who may send where.
 *
 * Called by session.c, commands.c and envelope.c. A list is read once at start
 * into steps; the first step that permits ends its list, the first that
 * refuses ends all. A name that we do not know, or lists that would let
 * anybody relay, make the service answer 451: we never guess what an
 * administrator meant.
 */

#include "smtpd/restrict.h"

#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/mail/address.h"

#include "smtpd/auth.h"
#include "smtpd/logins.h"
#include "smtpd/settings.h"
#include "smtpd/tls_client.h"

const struct param restrict_params[] = {
	PARAM_STRING("smtpd_client_restrictions", set.client_restrictions, "",
	    0, 10000, "Who may connect: words as in "
	    "smtpd_relay_restrictions."),
	PARAM_STRING("smtpd_helo_restrictions", set.helo_restrictions, "", 0,
	    10000, "Who may go on after HELO or EHLO: words as in "
	    "smtpd_relay_restrictions."),
	PARAM_STRING("smtpd_sender_restrictions", set.sender_restrictions, "",
	    0, 10000, "Who may go on after MAIL: words as in "
	    "smtpd_relay_restrictions."),
	PARAM_BOOL("smtpd_delay_reject", set.delays_reject, "yes",
	    "Ask the lists for client, helo and sender with each recipient "
	    "(and for ETRN), so that the log tells whose mail was refused; "
	    "else at once."),
	PARAM_STRING("smtpd_relay_restrictions", set.relay_restrictions,
	    "${{$compatibility_level} <level {1} ? {} : {permit_mynetworks, "
	    "permit_sasl_authenticated, defer_unauth_destination}}", 0, 10000,
	    "Who may relay: words are tried in order, the first that permits, "
	    "rejects or defers decides. See postrider-smtpd(8) for the words."),
	PARAM_STRING("smtpd_recipient_restrictions",
	    set.recipient_restrictions, "", 0, 10000,
	    "Asked after smtpd_relay_restrictions, in the same way."),
	PARAM_STRING("smtpd_etrn_restrictions", set.etrn_restrictions, "", 0,
	    10000, "Who may send ETRN; everybody, when empty."),
	PARAM_INT("relay_domains_reject_code", set.relay_code, "554", 400,
	    599, "The reply code of \"Relay access denied\"."),
	PARAM_INT("unknown_local_recipient_reject_code", set.unlisted_code,
	    "550", 400, 599, "The reply code for recipients there are not."),
	PARAM_INT("plaintext_reject_code", set.plaintext_code, "450", 400,
	    599, "The reply code of reject_plaintext_session."),
	PARAM_END
};

enum verdict { VERDICT_NONE, VERDICT_PERMIT, VERDICT_REJECT, VERDICT_DEFER,
    VERDICT_RELAY_DENIED, VERDICT_RELAY_DEFERRED, VERDICT_PLAINTEXT,
    VERDICT_NOT_OWNER, VERDICT_UNCERTAIN, VERDICT_BROKEN };

static const struct step {
	const char	*name;
	enum verdict	 verdict;
	enum { ALWAYS, IF_TRUSTED, IF_LOGGED_IN, IF_STRANGE,
	    IF_OURS, IF_CERTIFIED, IF_LISTED, IF_PLAIN,
	    IF_ALIEN, IF_ALIEN_IN, IF_ALIEN_OUT, IF_ALIEN_KNOWN } when;
} known[] = {
	{ "permit_mynetworks",		VERDICT_PERMIT,		IF_TRUSTED },
	{ "permit_sasl_authenticated",	VERDICT_PERMIT,		IF_LOGGED_IN },
	{ "reject_unauth_destination",	VERDICT_RELAY_DENIED,	IF_STRANGE },
	{ "defer_unauth_destination",	VERDICT_RELAY_DEFERRED,	IF_STRANGE },
	{ "permit",			VERDICT_PERMIT,		ALWAYS },
	{ "reject",			VERDICT_REJECT,		ALWAYS },
	{ "defer",			VERDICT_DEFER,		ALWAYS },
	{ "permit_auth_destination",	VERDICT_PERMIT,		IF_OURS },
	{ "permit_tls_clientcerts",	VERDICT_PERMIT,		IF_LISTED },
	{ "permit_tls_all_clientcerts",	VERDICT_PERMIT,		IF_CERTIFIED },
	{ "reject_plaintext_session",	VERDICT_PLAINTEXT,	IF_PLAIN },
	{ "reject_sender_login_mismatch", VERDICT_NOT_OWNER,	IF_ALIEN },
	{ "reject_authenticated_sender_login_mismatch", VERDICT_NOT_OWNER,
	    IF_ALIEN_IN },
	{ "reject_unauthenticated_sender_login_mismatch", VERDICT_NOT_OWNER,
	    IF_ALIEN_OUT },
	{ "reject_known_sender_login_mismatch", VERDICT_NOT_OWNER,
	    IF_ALIEN_KNOWN },
};
enum { KNOWN = sizeof(known) / sizeof(known[0]), STEPS = 64 };

/* A list, and what its refusals speak of. */
static struct list {
	const char		*parameter, *subject;
	char			**value;
	const struct step	*steps[STEPS];
	size_t			 count;
	bool			 is_broken;
} lists[STAGES] = {
	[STAGE_CLIENT] = { .parameter = "smtpd_client_restrictions",
	    .subject = "Client host", .value = &set.client_restrictions },
	[STAGE_HELO] = { .parameter = "smtpd_helo_restrictions",
	    .subject = "Helo command", .value = &set.helo_restrictions },
	[STAGE_SENDER] = { .parameter = "smtpd_sender_restrictions",
	    .subject = "Sender address", .value = &set.sender_restrictions },
	[STAGE_RELAY] = { .parameter = "smtpd_relay_restrictions",
	    .subject = "Recipient address", .value = &set.relay_restrictions },
	[STAGE_RECIPIENT] = { .parameter = "smtpd_recipient_restrictions",
	    .subject = "Recipient address",
	    .value = &set.recipient_restrictions },
	[STAGE_ETRN] = { .parameter = "smtpd_etrn_restrictions",
	    .subject = "Etrn command", .value = &set.etrn_restrictions },
};
static bool	 is_open;	/* anybody could relay */

/* --- reading -------------------------------------------------------------- */

/* The step of this name, or NULL. */
static const struct step *
find_step(const char *name)
{
	size_t	i;

	for (i = 0; i < KNOWN; i++)
		if (text_equal(name, known[i].name))
			return &known[i];
	return NULL;
}

/* One list; an unknown name breaks the service, and says so. */
static void
read_list(struct list *list)
{
	struct pool		*pool = pool_new(list->parameter, 0);
	const struct step	*step;
	char		       **words;
	size_t			 count, i;

	words = text_words(pool, *list->value, &count);
	for (i = 0; i < count; i++) {
		step = find_step(words[i]);
		if (step == NULL || list->count == STEPS) {
			log_error("%s: \"%s\" is not supported: every "
			    "%s is answered with 451", list->parameter,
			    words[i], list == &lists[STAGE_ETRN] ? "ETRN" :
			    "recipient");
			list->is_broken = true;
			break;
		}
		list->steps[list->count++] = step;
	}
	pool_free(pool);
}

/* Is there a step that refuses every stranger, or will all be refused? */
static bool
refuses(const struct list *list)
{
	const struct step	*step;
	size_t			 i;

	for (i = 0; i < list->count; i++) {
		step = list->steps[i];
		if (step->verdict != VERDICT_PERMIT &&
		    (step->when == ALWAYS || step->when == IF_STRANGE))
			return true;
	}
	return list->is_broken;
}

void
restrict_prepare(void)
{
	struct list	*list;

	for (list = lists; list < lists + STAGES; list++)
		read_list(list);
	if (!refuses(&lists[STAGE_RELAY]) &&
	    !refuses(&lists[STAGE_RECIPIENT])) {
		log_error("smtpd_relay_restrictions and "
		    "smtpd_recipient_restrictions would let anybody relay: "
		    "one needs reject_unauth_destination, "
		    "defer_unauth_destination, reject or defer; every "
		    "recipient is answered with 451");
		is_open = true;
	}
}

/* --- asking --------------------------------------------------------------- */

/* What is asked about: a recipient, a domain of ETRN, or neither yet. */
struct matter {
	const struct session		*session;
	const char			*address;	/* or NULL */
	const struct recipient_answer	*to;		/* or NULL */
};

/* Does the step apply to this client and recipient, as far as that is known
 * without a question? Without a recipient, no step applies that permits by it;
 * for ETRN each that refuses by it does. */
static bool
applies_at_once(const struct step *step, enum stage stage,
    const struct matter *m)
{
	switch (step->when) {
	case ALWAYS:
		return true;
	case IF_TRUSTED:
		return m->session->is_trusted;
	case IF_LOGGED_IN:
		return m->session->login[0] != '\0';
	case IF_STRANGE:
		return m->to == NULL ? stage == STAGE_ETRN : !m->to->is_final;
	case IF_OURS:
		return m->to != NULL && m->to->is_final;
	case IF_CERTIFIED:
		return tls_client_is_trusted(m->session);
	case IF_PLAIN:
		return m->session->tls == NULL;
	case IF_LISTED:
	case IF_ALIEN:
	case IF_ALIEN_IN:
	case IF_ALIEN_OUT:
	case IF_ALIEN_KNOWN:
		break;
	}
	return false;
}

/* Does it apply, whoever has to be asked? LOOKUP_FOUND is yes. */
WAITS static enum lookup_result
applies(const struct step *step, enum stage stage, const struct matter *m)
{
	switch (step->when) {
	case IF_LISTED:
		return tls_client_is_listed(m->session);
	case IF_ALIEN:
		return logins_break(m->session, LOGIN_ALL);
	case IF_ALIEN_IN:
		return logins_break(m->session, LOGIN_AUTHENTICATED);
	case IF_ALIEN_OUT:
		return logins_break(m->session, LOGIN_UNAUTHENTICATED);
	case IF_ALIEN_KNOWN:
		return logins_break(m->session, LOGIN_KNOWN);
	default:
		return applies_at_once(step, stage, m) ? LOOKUP_FOUND :
		    LOOKUP_NOT_FOUND;
	}
}

/* The first step that decides. */
WAITS static enum verdict
ask_list(enum stage stage, const struct matter *m)
{
	const struct list	*list = &lists[stage];
	enum lookup_result	 result;
	size_t			 i;

	if (list->is_broken)
		return VERDICT_BROKEN;
	for (i = 0; i < list->count; i++) {
		result = applies(list->steps[i], stage, m);
		if (result == LOOKUP_NOT_FOUND)
			continue;
		if (result == LOOKUP_TEMPORARY)
			return VERDICT_UNCERTAIN;
		if (m->session->detail > 1)
			log_info("%s: %s: %s decides", m->session->ident,
			    list->parameter, list->steps[i]->name);
		return list->steps[i]->verdict;
	}
	return VERDICT_NONE;
}

/* What a refusal is about: "<SUBJECT>: Sender address rejected". */
static const char *
subject_of(enum stage stage, const struct matter *m)
{
	switch (stage) {
	case STAGE_CLIENT:
		return m->session->ident;
	case STAGE_HELO:
		return m->session->helo;
	case STAGE_SENDER:
		return m->session->mail->sender;
	default:
		return m->address;
	}
}

/* The sender's address is somebody else's. */
static const char *
refuse_sender(const struct session *s, char line[REPLY_LINE])
{
	if (s->login[0] == '\0')
		return reply_text(line, REPLY_NOT_LOGGED_IN, s->mail->sender);
	return reply_text(line, REPLY_NOT_OWNER, s->mail->sender, s->login);
}

/*
 * Would the list let this client in, had it logged in, and refuses it now
 * whomever it writes to? Then 530 says more than "Access denied" (RFC 4954 6).
 */
static bool
wants_login(const struct list *list, const struct session *s)
{
	const struct matter	 m = { s, NULL, NULL };
	const struct step	*step;
	bool			 would_help = false;
	size_t			 i;

	if (list->is_broken || !auth_is_missing(s))
		return false;
	for (i = 0; i < list->count; i++) {
		step = list->steps[i];
		if (step->when == IF_LOGGED_IN)
			would_help = true;
		else if (step->when == ALWAYS)
			return would_help && step->verdict == VERDICT_REJECT;
		else if (step->verdict == VERDICT_PERMIT && (step->when ==
		    IF_OURS || step->when == IF_LISTED ||
		    applies_at_once(step, STAGE_CLIENT, &m)))
			return false;
	}
	return false;
}

const char *
restrict_login(const struct session *s, char line[REPLY_LINE])
{
	enum stage	stage;

	for (stage = STAGE_CLIENT; stage <= STAGE_RECIPIENT; stage++)
		if (wants_login(&lists[stage], s))
			return reply_text(line, REPLY_NEED_LOGIN);
	return NULL;
}

/* One list: NULL, or the refusal. */
WAITS static const char *
ask(enum stage stage, const struct matter *m, char line[REPLY_LINE])
{
	switch (ask_list(stage, m)) {
	case VERDICT_NONE:
	case VERDICT_PERMIT:
		return NULL;
	case VERDICT_BROKEN:
		break;
	case VERDICT_RELAY_DENIED:
		return reply_text(line, REPLY_RELAY_DENIED,
		    (int)set.relay_code, m->address);
	case VERDICT_RELAY_DEFERRED:
		return reply_text(line, REPLY_RELAY_DEFERRED, m->address);
	case VERDICT_REJECT:
		return reply_text(line, REPLY_REJECTED, subject_of(stage, m),
		    lists[stage].subject);
	case VERDICT_DEFER:
		return reply_text(line, REPLY_DEFERRED, subject_of(stage, m),
		    lists[stage].subject);
	case VERDICT_PLAINTEXT:
		return reply_text(line, REPLY_PLAIN_SESSION,
		    (int)set.plaintext_code);
	case VERDICT_NOT_OWNER:
		return refuse_sender(m->session, line);
	case VERDICT_UNCERTAIN:
		return reply_text(line, REPLY_LOOKUP_FAILED,
		    subject_of(stage, m));
	}
	return reply_text(line, REPLY_MISCONFIGURED);
}

const char *
restrict_now(const struct session *s, enum stage stage, char line[REPLY_LINE])
{
	const struct matter	m = { s, NULL, NULL };

	return set.delays_reject ? NULL : ask(stage, &m, line);
}

/* A client that has not said HELO cannot be refused for it. */
static bool
is_due(const struct session *s, enum stage stage)
{
	if (stage >= STAGE_RELAY)
		return true;
	return set.delays_reject &&
	    (stage != STAGE_HELO || s->helo[0] != '\0');
}

/* Is one of the lists about mail not understood? */
static bool
is_broken(void)
{
	enum stage	stage;

	for (stage = STAGE_CLIENT; stage <= STAGE_RECIPIENT; stage++)
		if (lists[stage].is_broken)
			return true;
	return false;
}

const char *
restrict_recipient(const struct session *s, const char *address,
    const struct recipient_answer *to, char line[REPLY_LINE])
{
	const struct matter	m = { s, address, to };
	enum stage		stage;

	if (is_open || is_broken())
		return reply_text(line, REPLY_MISCONFIGURED);
	for (stage = STAGE_CLIENT; stage <= STAGE_RECIPIENT; stage++)
		if (is_due(s, stage) && ask(stage, &m, line) != NULL)
			return line;
	return NULL;
}

/* The words of RFC 1985 for what the list says. */
WAITS static const char *
ask_etrn(const struct matter *m, char line[REPLY_LINE])
{
	switch (ask_list(STAGE_ETRN, m)) {
	case VERDICT_NONE:
	case VERDICT_PERMIT:
		return NULL;
	case VERDICT_BROKEN:
		return reply_text(line, REPLY_MISCONFIGURED);
	case VERDICT_DEFER:
	case VERDICT_UNCERTAIN:
		return reply_text(line, REPLY_ETRN_LATER, m->address);
	default:
		return reply_text(line, REPLY_ETRN_DENIED, m->address);
	}
}

const char *
restrict_etrn(const struct session *s, const char *domain,
    char line[REPLY_LINE])
{
	const struct matter	m = { s, domain, NULL };
	enum stage		stage;

	for (stage = STAGE_CLIENT; stage <= STAGE_HELO; stage++)
		if (is_due(s, stage) && ask(stage, &m, line) != NULL)
			return line;
	return ask_etrn(&m, line);
}
