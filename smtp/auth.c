/*
 * auth.c - AUTH as a client (RFC 4954).
 *
 * Called by open.c after the last EHLO; who we are was found by login.c, and
 * what a mechanism says is common/sasl's.
 *
 * H1  A secret is shown only by a mechanism that the options for this
 *     conversation (in clear, under TLS, with a verified host) allow.
 * H2  Mail for which there is a login is not sent without it: no AUTH offered,
 *     no mechanism, a refusal all defer it, or bounce it if
 *     smtp_sasl_auth_soft_bounce says so and the host refused for good.
 * H3  No log and no transcript shows a secret, nor a host that repeats it in
 *     the exchange.
 * H4  It is wiped: from our pools here, from the io's buffers, from packets.
 */
#include "smtp/auth.h"

#include <errno.h>
#include <string.h>

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/daemon/daemon.h"
#include "common/ipc/lookup.h"
#include "common/sasl/sasl.h"

#include "smtp/login.h"
#include "smtp/refusals.h"
#include "smtp/settings.h"

enum {
	COMMAND_MAX = 512,		/* RFC 5321 4.5.3.1.4, with CRLF */
	BINDING = 64,
	MECHANISMS_MAX = 2000,		/* bytes of what EHLO lists */
	ASK_TIME = 30 * 1000
};

const struct param auth_params[] = {
	PARAM_BOOL("smtp_sasl_auth_enable", set.sasl.is_enabled, "no",
	    "Log in to hosts that smtp_sasl_password_maps or "
	    "smtp_sasl_token_maps know."),
	PARAM_STRING("smtp_sasl_security_options", set.sasl.options[0],
	    "noplaintext, noanonymous", 0, 200,
	    "What mechanisms must be like in a conversation without TLS: "
	    "noplaintext, noactive, nodictionary, noanonymous, "
	    "forward_secrecy, mutual_auth."),
	PARAM_STRING("smtp_sasl_tls_security_options", set.sasl.options[1],
	    "$smtp_sasl_security_options", 0, 200,
	    "The same under TLS."),
	PARAM_STRING("smtp_sasl_tls_verified_security_options",
	    set.sasl.options[2], "$smtp_sasl_tls_security_options", 0, 200,
	    "The same under TLS with a host whose certificate was verified."),
	PARAM_STRING("smtp_sasl_mechanism_filter", set.sasl.filter, "", 0, 0,
	    "The mechanisms to use, if not all: names, !names, tables; the "
	    "first that fits decides."),
	PARAM_BOOL("smtp_sasl_auth_soft_bounce", set.sasl.is_soft, "yes",
	    "Mail waits when a host refuses our login for good; with no it "
	    "is returned."),
	PARAM_END
};

/* The parameters of set.sasl.options, and what they say. */
static const char *const	option_names[3] = {
	"smtp_sasl_security_options", "smtp_sasl_tls_security_options",
	"smtp_sasl_tls_verified_security_options"
};
static struct {
	unsigned	 forbidden, needed;
	bool		 is_wrong;
} rules[3];

/* --- settings ------------------------------------------------------------- */

void
auth_prepare(void)
{
	size_t	i;

	for (i = 0; i < 3; i++) {
		rules[i].is_wrong = sasl_security_parse(set.sasl.options[i],
		    &rules[i].forbidden, &rules[i].needed) == -1;
		if (!rules[i].is_wrong)
			continue;
		if (daemon_is_checking())
			die("%s = %s: unknown word",
			    settings_name(option_names[i]),
			    set.sasl.options[i]);
		log_error("%s = %s: unknown word",
		    settings_name(option_names[i]), set.sasl.options[i]);
	}
	if (set.sasl.is_enabled && set.sasl.password_maps[0] == '\0' &&
	    set.sasl.token_maps[0] == '\0')
		log_warning("%s is yes, but %s is empty",
		    settings_name("smtp_sasl_auth_enable"),
		    settings_name("smtp_sasl_password_maps"));
}

/* Which of the three are for this conversation (H1). */
static size_t
rules_for(const struct connection *c)
{
	return !c->is_encrypted ? 0 : c->tls.trust != TLS_VERIFIED ? 1 : 2;
}

/* --- what is offered ------------------------------------------------------ */

/* All lines of EHLO's answer that begin with AUTH. */
void
auth_learn(struct connection *c, const char *ehlo)
{
	const char	*line, *end;
	struct str	 words;

	str_init(&words, c->pool, MECHANISMS_MAX);
	for (line = ehlo; *line != '\0'; line = end + (*end != '\0')) {
		end = line + strcspn(line, "\n");
		if (end - line < 5 || !text_starts(line, "AUTH") ||
		    strchr(" =", line[4]) == NULL)
			continue;
		str_add_char(&words, ' ');
		str_add_mem(&words, line + 5, (size_t)(end - line) - 5);
	}
	c->mechanisms = words.data;
}

/* Does the filter let it through? Files and tables are resolve's. 1, 0, or -1:
 * it cannot be asked. */
WAITS static int
passes_tables(struct delivery *d, char *mechanism)
{
	struct key_row		 key = { mechanism };
	struct ask_lookup	 ask = {
		.service = pool_strdup(d->pool, settings_service()),
		.parameter = pool_strdup(d->pool,
		    settings_name("smtp_sasl_mechanism_filter")),
		.how = LOOKUP_DOMAIN, .keys = &key, .count = 1
	};
	struct found		 found;

	if (lookup_ask(to_resolve, &ask, clock_now() + ASK_TIME, d->pool,
	    &found) == -1 || found.result == LOOKUP_TEMPORARY)
		return -1;
	return found.result == LOOKUP_FOUND;
}

/* The filter as words: of what is offered, what its tables let through; NULL:
 * they cannot be asked. Only names that we could use are worth a question. */
WAITS static const char *
filtered(struct delivery *d, const struct connection *c)
{
	struct str	 left;
	char		**words;
	size_t		 i, count;
	int		 passes;

	if (!sasl_filter_has_tables(set.sasl.filter))
		return set.sasl.filter;
	words = text_words(d->pool, c->mechanisms, &count);
	str_init(&left, d->pool, MECHANISMS_MAX);
	for (i = 0; i < count; i++) {
		if (!sasl_client_knows(words[i]))
			continue;
		if ((passes = passes_tables(d, words[i])) == -1)
			return NULL;
		if (passes == 1)
			str_addf(&left, " %s", words[i]);
	}
	/* An empty filter would let them all through. */
	return left.len > 0 ? left.data : "none";
}

/* --- failures ------------------------------------------------------------- */

/* We cannot, or do not want to: mail waits. */
static int
give_up(struct delivery *d, const struct connection *c, struct failure *f,
    const char *why)
{
	f->dsn = "4.7.0";
	f->why = pool_printf(d->pool, "SASL authentication failed; cannot "
	    "authenticate to server %s: %s", c->name, why);
	return -1;
}

/* Something of ours is wrong. */
static int
give_up_here(struct delivery *d, const struct connection *c,
    struct failure *f, const char *why)
{
	(void)give_up(d, c, f, why);
	f->is_ours = f->is_final = true;
	return -1;
}

/* Nothing was heard. */
static int
broke(struct delivery *d, struct connection *c, struct failure *f)
{
	int	error = errno;

	c->is_broken = true;
	f->why = connection_complaint(c, d->pool, error);
	f->dsn = "4.4.2";
	f->is_timeout = error == ETIMEDOUT;
	f->is_ours = false;
	return -1;
}

/* The host does not want us. 5yz is for good if we are to believe it; then
 * the other hosts of the next hop are not asked either. */
static int
refused(struct delivery *d, struct connection *c, struct failure *f,
    const struct smtp_reply *reply)
{
	bool	is_permanent = reply->code / 100 == 5 && !set.sasl.is_soft;
	char	class = is_permanent ? '5' : '4';
	char	*dsn;

	dsn = pool_strdup(d->pool, reply->dsn[0] != '\0' ? reply->dsn :
	    reply->code == 535 ? "5.7.8" : "4.7.0");
	dsn[0] = class;
	f->dsn = dsn;
	f->why = pool_printf(d->pool, "SASL authentication failed; server %s "
	    "said: %s", c->name, connection_said(d->pool, reply));
	f->diagnostic = pool_printf(d->pool, "smtp; %s",
	    connection_said(d->pool, reply));
	f->is_permanent = f->is_final = is_permanent;
	if (reply->code == 535)
		refusals_note(c, d->login, f->dsn, f->why, is_permanent);
	return -1;
}

/* --- the exchange --------------------------------------------------------- */

/* A line that may end with a secret, and what others may see of it. */
WAITS static int
say(struct connection *c, const char *shown, const char *line)
{
	const char	*last = strrchr(line, ' ');

	c->hidden[0] = strcmp(shown, line) == 0 ? NULL :
	    last != NULL ? last + 1 : line;
	if (connection_say_hidden(c, shown, line) == -1)
		return -1;
	return connection_flush(c, set.helo_timeout);
}

/* AUTH, with the initial response if there is one and the command has room
 * for it; RFC 4954 4: a longer one waits for a challenge. *later is that. */
WAITS static int
say_auth(struct connection *c, struct pool *pool, struct sasl_client *client,
    const char **later)
{
	const char	*name = sasl_client_mechanism(client);
	const char	*initial = sasl_client_initial(client);
	struct str	 line;

	*later = NULL;
	str_init(&line, pool, 0);
	str_addf(&line, "AUTH %s", name);
	if (initial != NULL &&
	    line.len + 1 + strlen(initial) + 2 <= COMMAND_MAX) {
		str_add_char(&line, ' ');
		str_add(&line, initial);
		return say(c, pool_printf(pool, "AUTH %s ...", name),
		    line.data);
	}
	*later = initial != NULL && strcmp(initial, "=") == 0 ? "" : initial;
	return say(c, line.data, line.data);
}

/* What to say to a challenge: "*" when it is none, with *wrong. */
static const char *
answer_to(struct sasl_client *client, const struct smtp_reply *reply,
    const char **later, const char **wrong)
{
	const char	*said = *later;

	if (said != NULL && reply->text.data[0] == '\0') {
		*later = NULL;
		return said;
	}
	said = sasl_client_answer(client, reply->text.data, wrong);
	if (said != NULL)
		*wrong = NULL;
	return said != NULL ? said : "*";
}

/* From AUTH to the last answer: 0 with that in *reply, or -1. *wrong: why the
 * exchange was cancelled, or NULL. */
WAITS static int
exchange(struct connection *c, struct pool *pool, struct sasl_client *client,
    struct smtp_reply *reply, const char **wrong)
{
	const char	*later, *said;

	*wrong = NULL;
	c->doing = "performing the SASL exchange";
	if (say_auth(c, pool, client, &later) == -1)
		return -1;
	for (;;) {
		if (connection_hear(c, pool, reply, set.helo_timeout) == -1)
			return -1;
		if (reply->code != 334 || *wrong != NULL)
			return 0;
		said = answer_to(client, reply, &later, wrong);
		if (say(c, *wrong != NULL ? "*" : "...", said) == -1)
			return -1;
	}
}

/* What the last answer means. */
WAITS static int
conclude(struct delivery *d, struct connection *c,
    struct sasl_client *client, const struct smtp_reply *reply,
    const char *wrong, struct failure *f)
{
	if (sasl_client_complaint(client)[0] != '\0')
		log_info("%s: SASL %s error answer: %s", c->relay,
		    sasl_client_mechanism(client),
		    sasl_client_complaint(client));
	if (wrong != NULL)
		return give_up(d, c, f, wrong);
	if (reply->code / 100 == 4 || reply->code / 100 == 5)
		return refused(d, c, f, reply);
	if (reply->code / 100 != 2) {
		c->is_broken = true;
		transcript_blame(c->dialogue, "protocol");
		return give_up(d, c, f, "its answer is none");
	}
	/* RFC 5802 3: who takes our proof and has none is an impostor. */
	if (!sasl_client_is_satisfied(client))
		return give_up(d, c, f, "the server did not show that it "
		    "knows the password");
	c->is_authenticated = true;
	return 0;
}

/* --- the whole ------------------------------------------------------------ */

/* Who we are, as common/sasl wants it. */
static struct sasl_credentials
credentials(struct delivery *d, struct connection *c,
    unsigned char exporter[BINDING], unsigned char end_point[BINDING])
{
	struct sasl_credentials	who = {
		.user = d->login->user, .authorize = "",
		.password = d->login->is_token ? NULL : d->login->secret,
		.token = d->login->is_token ? d->login->secret : NULL,
		.host = c->host, .port = c->target.address.port,
		.is_encrypted = c->is_encrypted,
		.exporter = exporter, .end_point = end_point
	};

	if (c->is_encrypted) {
		who.exporter_length = tls_bind(c->stream, TLS_EXPORTER,
		    exporter);
		who.end_point_length = tls_bind(c->stream,
		    TLS_SERVER_END_POINT, end_point);
	}
	return who;
}

/* A mechanism for what is offered and allowed; NULL with the failure told. */
WAITS static struct sasl_client *
choose(struct delivery *d, struct connection *c, struct pool *pool,
    struct failure *f)
{
	unsigned char		 exporter[BINDING], end_point[BINDING];
	struct sasl_credentials	 who = credentials(d, c, exporter, end_point);
	const char		*allowed = filtered(d, c), *why;
	size_t			 which = rules_for(c);
	struct sasl_client	*client;

	if (allowed == NULL) {
		(void)give_up_here(d, c, f, pool_printf(d->pool, "%s cannot "
		    "be asked now",
		    settings_name("smtp_sasl_mechanism_filter")));
		return NULL;
	}
	if (rules[which].is_wrong) {
		(void)give_up_here(d, c, f, pool_printf(d->pool, "unknown "
		    "word in %s", settings_name(option_names[which])));
		return NULL;
	}
	client = sasl_client_new(pool, c->mechanisms, allowed,
	    rules[which].forbidden, rules[which].needed, &who, &why);
	if (client != NULL)
		return client;
	log_info("%s: host offers AUTH%s%s; %s = %s", c->relay,
	    c->mechanisms, c->mechanisms[0] == '\0' ? " not at all" : "",
	    settings_name(option_names[which]), set.sasl.options[which]);
	(void)give_up(d, c, f, why);
	return NULL;
}

/* With everything that is secret in a pool of its own (H4). */
WAITS static int
log_in(struct delivery *d, struct connection *c, struct pool *pool,
    struct failure *f)
{
	struct smtp_reply	 reply;
	struct sasl_client	*client;
	const char		*wrong;
	int			 result;

	if ((client = choose(d, c, pool, f)) == NULL)
		return -1;
	io_wipes(c->io);
	c->is_authenticating = true;
	c->hidden[1] = d->login->secret;
	result = exchange(c, pool, client, &reply, &wrong);
	c->is_authenticating = false;
	result = result == -1 ? broke(d, c, f) :
	    conclude(d, c, client, &reply, wrong, f);
	c->hidden[0] = c->hidden[1] = NULL;
	sasl_client_end(client);
	return result;
}

int
auth_run(struct delivery *d, struct connection *c, struct failure *f)
{
	struct pool	*pool;
	const char	*why;
	int		 result;

	if (d->login == NULL || c->avoids_auth)
		return 0;
	if (c->mechanisms == NULL)
		c->mechanisms = "";
	/* What one sender's login is good for tells nothing of the site. */
	f->is_ours = d->login == d->sender_login;
	if (refusals_find(d, c, f))
		return -1;
	if (d->login->secret == NULL &&
	    (why = login_fetch(d, d->login, c->host)) != NULL)
		return give_up_here(d, c, f, why);
	pool = pool_new("auth", 0);
	pool_make_secret(pool);
	result = log_in(d, c, pool, f);
	pool_free(pool);
	f->is_ours &= result == -1;
	return result;
}
