/*
 * open.c - a conversation begins: connection, greeting, hello.
 *
 * Called by session.c's users through connection_open(). What EHLO offers is
 * believed unless smtp_discard_ehlo_keywords or its maps say not to.
 */

#include <errno.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/daemon/peers.h"
#include "common/ipc/lookup.h"
#include "common/mail/address.h"
#include "common/mail/origin.h"
#include "common/net/dial.h"
#include "common/param/site.h"

#include "smtp/auth.h"
#include "smtp/delivery.h"
#include "smtp/lmtp.h"
#include "smtp/pix.h"
#include "smtp/settings.h"
#include "smtp/starttls.h"

enum { CONNECTION_MEMORY = 64 * 1024, ASK_TIME = 30 * 1000 };

const struct param session_params[] = {
	PARAM_STRING("smtp_bind_address", set.bind_address, "", 0, 100,
	    "The IPv4 address to connect from."),
	PARAM_STRING("smtp_bind_address6", set.bind_address6, "", 0, 100,
	    "The IPv6 address to connect from."),
	PARAM_BOOL("smtp_bind_address_enforce", set.enforces_bind, "no",
	    "Mail waits while that address cannot be used; else another one "
	    "is taken, with a warning."),
	PARAM_STRING("smtp_helo_name", set.helo_name, "$myhostname", 1, 255,
	    "The name we give in EHLO; the address that we connect from takes "
	    "its place when it is no full name, ends in .localdomain, or has "
	    "an underscore."),
	PARAM_BOOL("smtp_always_send_ehlo", set.always_ehlo, "yes",
	    "Say EHLO even if the greeting does not promise ESMTP."),
	PARAM_BOOL("smtp_never_send_ehlo", set.never_ehlo, "no",
	    "Say HELO only."),
	PARAM_BOOL("smtp_skip_4xx_greeting", set.skips_4xx, "yes",
	    "A host that greets with 4xx is left for the next one."),
	PARAM_BOOL("smtp_skip_5xx_greeting", set.skips_5xx, "yes",
	    "A host that greets with 5xx is left for the next one."),
	PARAM_STRING("smtp_discard_ehlo_keywords", set.discard_ehlo_keywords,
	    "", 0, 1000, "Extensions not to use though they are offered."),
	PARAM_STRING("smtp_discard_ehlo_keyword_address_maps",
	    set.discard_ehlo_maps, "", 0, 0, "Tables that say by the host's "
	    "address which extensions not to use."),
	PARAM_BOOL("smtp_skip_quit_response", set.skips_quit_answer, "yes",
	    "Do not wait for the answer to QUIT."),
	PARAM_TIME("smtp_connect_timeout", set.connect_timeout, "30s", 0, 3600,
	    "How long to wait for a connection; 0 means as long as the system "
	    "does."),
	PARAM_TIME("smtp_helo_timeout", set.helo_timeout, "300s", 1, 3600,
	    "How long to wait for the greeting and for EHLO's answer."),
	PARAM_TIME("smtp_mail_timeout", set.mail_timeout, "300s", 1, 3600,
	    "How long to wait for the answer to MAIL FROM."),
	PARAM_TIME("smtp_rcpt_timeout", set.rcpt_timeout, "300s", 1, 3600,
	    "How long to wait for the answer to RCPT TO."),
	PARAM_TIME("smtp_data_init_timeout", set.data_init_timeout, "120s", 1,
	    3600, "How long to wait for the answer to DATA."),
	PARAM_TIME("smtp_data_xfer_timeout", set.data_xfer_timeout, "180s", 1,
	    3600, "How long a block of the message may take."),
	/* RFC 5321 4.5.3.2.6: hanging up earlier makes duplicates. */
	PARAM_TIME("smtp_data_done_timeout", set.data_done_timeout, "600s", 1,
	    3600, "How long to wait for the answer to the final dot."),
	PARAM_TIME("smtp_rset_timeout", set.rset_timeout, "20s", 1, 3600,
	    "How long to wait for the answer to RSET."),
	PARAM_TIME("smtp_quit_timeout", set.quit_timeout, "300s", 1, 3600,
	    "How long to wait for the answer to QUIT."),
	PARAM_BOOL("smtp_per_request_deadline", set.has_request_deadline,
	    "no", "The timeouts are for a whole command or reply, and for all "
	    "of the message by smtp_min_data_rate; not for each piece."),
	PARAM_INT("smtp_min_data_rate", set.min_data_rate, "500", 1, 1000000,
	    "Bytes in a second that a message must make; what a big message "
	    "may take longer than smtp_delivery_time_limit."),
	PARAM_END
};

/* --- the connection ------------------------------------------------------ */

/* When the attempt is over. */
static int64_t
connect_deadline(const struct delivery *d)
{
	int64_t	end = set.connect_timeout == 0 ? NEVER :
		    clock_now() + set.connect_timeout;

	return end < d->deadline ? end : d->deadline;
}

/* The address that we are to connect from; NULL: any. */
static const struct inetaddr *
source_of(const struct target *target, struct inetaddr *source)
{
	const char	*text = target->address.family == AF_INET ?
			    set.bind_address : set.bind_address6;
	char		 copy[INETADDR_TEXT];

	if (text[0] == '\0')
		return NULL;
	text += text[0] == '[';
	(void)strlcpy(copy, text, sizeof(copy));
	copy[strcspn(copy, "]")] = '\0';
	if (!inetaddr_parse(source, copy))
		memset(source, 0, sizeof(*source));	/* bind() says no */
	source->port = 0;
	return source;
}

/* A socket to the target, from the address we were told to use. */
WAITS static int
connect_to(struct delivery *d, const struct target *target)
{
	struct inetaddr		 source_address;
	const struct inetaddr	*source;
	int			 error;

	source = source_of(target, &source_address);
	if (source != NULL && dial_check_source(source) == -1) {
		error = errno;
		log_warning("%s: cannot connect from %s: %s",
		    settings_name(target->address.family == AF_INET ?
		    "smtp_bind_address" : "smtp_bind_address6"),
		    target->address.family == AF_INET ? set.bind_address :
		    set.bind_address6, strerror(error));
		errno = error;
		if (set.enforces_bind)
			return -1;
		source = NULL;
	}
	return dial(&target->address, source, connect_deadline(d));
}

/* The struct of a new conversation. */
static struct connection *
connection_new(int fd, const struct target *t, const char *endpoint)
{
	struct pool		*pool;
	struct connection	*c;

	pool = pool_new("connection", CONNECTION_MEMORY);
	c = pool_alloc(pool, sizeof(*c));
	c->pool = pool;
	c->io = io_new(fd);
	c->host = pool_strdup(pool, t->host);
	c->name = pool_printf(pool, "%s[%s]", t->host, t->path != NULL ?
	    t->path : t->text);
	c->relay = t->path != NULL ? c->name : pool_printf(pool, "%s:%u",
	    c->name, t->address.port);
	c->endpoint = pool_strdup(pool, endpoint);
	c->target = *t;
	c->target.host = c->host;
	c->target.path = pool_strdup(pool, t->path);
	c->born = clock_now();
	c->dialogue = transcript_new(pool);
	c->detail = peers_detail(t->host, t->path != NULL ? NULL :
	    &t->address);
	return c;
}

/* Connected, or NULL with the failure told. */
WAITS static struct connection *
reach(struct delivery *d, const struct target *t, const char *endpoint,
    struct failure *failure)
{
	int	fd;

	if (t->path != NULL) {
		if ((fd = lmtp_dial(d, t, failure)) == -1)
			return NULL;
	} else if ((fd = connect_to(d, t)) == -1) {
		failure->is_ours = dial_error_is_ours(errno);
		if (failure->is_ours)
			failure->dsn = "4.3.0";
		failure->why = pool_printf(d->pool, "connect to %s[%s]:%u: %s",
		    t->host, t->text, t->address.port, strerror(errno));
		return NULL;
	}
	return connection_new(fd, t, endpoint);
}

/* --- what EHLO offers ---------------------------------------------------- */

/* Extensions that are not for this host, by its address. NULL: the table
 * does not answer. */
WAITS static const char *
discarded(struct delivery *d, const struct target *t)
{
	struct key_row		 key = { (char *)(uintptr_t)t->text };
	struct ask_lookup	 ask = {
		.service = (char *)(uintptr_t)settings_service(),
		.parameter = (char *)(uintptr_t)settings_name(
		    "smtp_discard_ehlo_keyword_address_maps"),
		.how = LOOKUP_KEYS, .keys = &key, .count = 1
	};
	struct found		 found;

	if (set.discard_ehlo_maps[0] == '\0' || t->path != NULL)
		return set.discard_ehlo_keywords;
	if (lookup_ask(to_resolve, &ask, clock_now() + ASK_TIME, d->pool,
	    &found) == -1 || found.result == LOOKUP_TEMPORARY)
		return NULL;
	return found.result == LOOKUP_FOUND ? found.value :
	    set.discard_ehlo_keywords;
}

/* What is offered, and what of it is left alone. */
struct offer {
	const char	 *ehlo;
	char		**discard;
	size_t		  count;
	struct str	  left;
};

/* Is the word among those to discard? */
static bool
is_discarded(const struct offer *o, const char *keyword)
{
	size_t	i;

	for (i = 0; i < o->count; i++)
		if (text_equal(o->discard[i], keyword))
			return true;
	return false;
}

/* Is the extension offered, and not one we were told to leave alone? */
static bool
offers(struct offer *o, const char *keyword, char *parameters, size_t size)
{
	if (!smtp_ehlo_find(o->ehlo, keyword, parameters, size))
		return false;
	if (!is_discarded(o, keyword))
		return true;
	str_addf(&o->left, " %s", keyword);
	return false;
}

/* Extensions with more than a number behind them. */
static void
learn_more(struct connection *c, struct offer *o)
{
	char	words[600];

	c->has_starttls = offers(o, "STARTTLS", words, sizeof(words));
	c->avoids_auth = !offers(o, "AUTH", words, sizeof(words)) &&
	    is_discarded(o, "AUTH");
	auth_learn(c, o->ehlo);
	c->xforward = offers(o, "XFORWARD", words, sizeof(words)) ?
	    origin_offered(words) : 0;
	allowance_learn(&c->allowance, offers(o, "LIMITS", words,
	    sizeof(words)) ? words : "");
}

/* What EHLO's answer promises. */
static void
learn(struct delivery *d, struct connection *c, const char *ehlo,
    const char *discard)
{
	struct offer	o = { .ehlo = ehlo };
	char		value[64];

	o.discard = text_words(d->pool, discard, &o.count);
	str_init(&o.left, d->pool, 0);
	c->has_pipelining = offers(&o, "PIPELINING", value, sizeof(value)) &&
	    (d->shy & SHY_OF_PIPELINING) == 0;
	c->has_chunking = offers(&o, "CHUNKING", value, sizeof(value)) &&
	    (d->shy & SHY_OF_CHUNKING) == 0 && !c->delays_dot;
	c->has_8bit = offers(&o, "8BITMIME", value, sizeof(value));
	c->has_utf8 = offers(&o, "SMTPUTF8", value, sizeof(value)) &&
	    site.smtputf8_enable;
	c->has_dsn = offers(&o, "DSN", value, sizeof(value));
	c->has_size = offers(&o, "SIZE", value, sizeof(value));
	learn_more(c, &o);
	if (!c->has_size ||
	    text_integer(value, 0, INT64_MAX, &c->size_limit) != NULL)
		c->size_limit = 0;
	if (c->detail > 1)
		log_info("%s: may use%s%s%s%s%s", c->relay,
		    c->has_pipelining ? " PIPELINING" : "",
		    c->has_8bit ? " 8BITMIME" : "",
		    c->has_utf8 ? " SMTPUTF8" : "", c->has_dsn ? " DSN" : "",
		    c->has_size ? " SIZE" : "");
	if (o.left.len > 0 && !is_discarded(&o, "silent-discard"))
		log_info("%s: discarding EHLO keywords:%s",
		    d->mail->queue_id, o.left.data);
}

/* --- the introduction ---------------------------------------------------- */

/* What a refusal means: another host may think otherwise, and this one later,
 * unless we are told to believe it. 521: it never takes mail, others of the
 * domain may (RFC 7504 3). */
static int
refused(struct delivery *d, struct connection *c,
    const struct smtp_reply *reply, struct failure *f)
{
	bool	is_skipped = reply->code / 100 == 5 ? set.skips_5xx :
		    set.skips_4xx;
	int	class = reply->code == 521 ||
		    (reply->code / 100 == 5 && !set.skips_5xx) ? 5 : 4;

	f->why = pool_printf(d->pool, "host %s refused to talk to me: %s",
	    c->name, connection_said(d->pool, reply));
	f->diagnostic = pool_printf(d->pool, "smtp; %s",
	    connection_said(d->pool, reply));
	f->dsn = reply->dsn[0] == '0' + class ?
	    pool_strdup(d->pool, reply->dsn) : reply->code == 521 ? "5.3.2" :
	    class == 5 ? "5.0.0" : "4.0.0";
	f->is_permanent = class == 5;
	f->is_final = !is_skipped;
	return -1;
}

static int
broke(struct delivery *d, struct connection *c, struct failure *f, int error)
{
	c->is_broken = true;
	f->why = connection_complaint(c, d->pool, error);
	f->dsn = "4.4.2";
	f->is_timeout = error == ETIMEDOUT;
	/* HELO would be without TLS. */
	f->wants_helo = c->is_extended && (error == ECONNRESET ||
	    error == EPIPE) && !c->is_encrypted && !starttls_is_mandatory(d);
	f->wants_clear = c->is_encrypted && !starttls_is_mandatory(d);
	return -1;
}

/* Nobody can tell what of the offer is to be used. */
static int
unknown(struct delivery *d, struct failure *f, const char *what)
{
	f->why = pool_printf(d->pool, "the table of %s cannot be asked now",
	    what);
	f->dsn = "4.3.0";
	f->is_final = f->is_ours = true;
	return -1;
}

/* Does the name tell a stranger who we are (RFC 5321 2.3.5, 4.1.4)? */
static bool
is_meaningful(const char *name)
{
	const char	*last = strrchr(name, '.');

	if (domain_is_literal(name))
		return true;
	return last != NULL && strcasecmp(last, ".localdomain") != 0 &&
	    strchr(name, '_') == NULL && domain_is_valid(name, false);
}

/* What we call ourselves: a name, or the address that we come from
 * (RFC 5321 4.1.1.1). LMTP is spoken with hosts that know us. */
static const char *
own_name(struct delivery *d, const struct connection *c)
{
	struct sockaddr_storage	 at;
	struct inetaddr		 address;
	socklen_t		 len = sizeof(at);
	char			 text[INETADDR_TEXT];

	if (set.is_lmtp || c->target.path != NULL ||
	    is_meaningful(set.helo_name) || getsockname(io_fd(c->io),
	    (struct sockaddr *)&at, &len) == -1)
		return set.helo_name;
	inetaddr_from_sockaddr(&address, (struct sockaddr *)&at);
	return pool_printf(d->pool, "[%s%s]", address.family == AF_INET6 ?
	    "IPv6:" : "", inetaddr_print(&address, text, sizeof(text)));
}

/* Say hello with this verb and hear the answer; -1 when nothing was heard. */
WAITS static int
hello(struct delivery *d, struct connection *c, const char *verb,
    struct smtp_reply *reply, struct failure *f)
{
	c->is_extended = verb[0] == 'E';
	c->doing = verb[0] == 'E' ? "performing the EHLO handshake" :
	    verb[0] == 'L' ? "performing the LHLO handshake" :
	    "performing the HELO handshake";
	if (connection_say(c, "%s %s", verb, own_name(d, c)) == 0 &&
	    connection_flush(c, set.helo_timeout) == 0 &&
	    connection_hear(c, d->pool, reply, set.helo_timeout) == 0)
		return 0;
	return broke(d, c, f, errno);
}

/* Does the host call itself what we call ourselves? Then mail would go in a
 * circle (RFC 5321 6.3). */
static bool
is_us(const struct target *t, const struct smtp_reply *reply)
{
	const char	*text = reply->text.data;

	return t->may_be_us && text_equal_mem(site.myhostname, text,
	    strcspn(text, " \n"));
}

/* EHLO or LHLO, HELO where that is refused and allowed. */
WAITS static int
introduce(struct delivery *d, struct connection *c, const struct target *t,
    const struct nexthop *hop, bool is_esmtp, struct failure *f)
{
	struct smtp_reply	 reply;
	const char		*discard;

	if (set.is_lmtp || (!set.never_ehlo && is_esmtp)) {
		if (hello(d, c, set.is_lmtp ? "LHLO" : "EHLO", &reply, f) ==
		    -1)
			return -1;
		if (reply.code / 100 == 2) {
			if ((discard = discarded(d, t)) == NULL)
				return unknown(d, f,
				    "EHLO keywords to discard");
			learn(d, c, reply.text.data, discard);
		} else if (c->is_broken || set.is_lmtp)
			return refused(d, c, &reply, f);
	} else
		reply.code = 0;
	if (reply.code / 100 != 2 &&
	    hello(d, c, "HELO", &reply, f) == -1)
		return -1;
	if (reply.code / 100 != 2)
		return refused(d, c, &reply, f);
	if (!is_us(t, &reply))
		return 0;
	f->dsn = "5.4.6";
	f->why = pool_printf(d->pool, "mail for %s loops back to myself",
	    hop->name);
	f->is_permanent = f->is_final = true;
	return -1;
}

/* Hello, TLS where it is wanted, and hello again (RFC 3207 4.2). */
WAITS static int
introduce_safely(struct delivery *d, struct connection *c,
    const struct target *t, const struct nexthop *hop, bool is_esmtp,
    struct failure *f)
{
	int	got;

	if (introduce(d, c, t, hop, is_esmtp, f) == -1)
		return -1;
	if ((got = starttls_begin(d, c, f)) == 1)
		got = introduce(d, c, t, hop, true, f);
	return got == 0 ? starttls_check_silence(d, c, f) : -1;
}

/* Greeting and hello (RFC 5321 3.1, 3.2; RFC 2033 4.1). */
WAITS static int
begin(struct delivery *d, struct connection *c, const struct target *t,
    const struct nexthop *hop, struct failure *f)
{
	struct smtp_reply	reply;
	bool			is_esmtp;
	int			pix = 0;

	c->user = d;
	c->deadline = d->deadline;
	if (starttls_wrap(d, c, f) == -1)
		return -1;
	c->doing = "receiving the initial server greeting";
	if (connection_hear(c, d->pool, &reply, set.helo_timeout) == -1)
		return broke(d, c, f, errno);
	if (reply.code / 100 != 2)
		return refused(d, c, &reply, f);
	if (pix_is_greeting(reply.text.data) &&
	    (pix = pix_workarounds(d, t->text, c->name)) == -1)
		return unknown(d, f, "PIX workarounds");
	c->delays_dot = (pix & PIX_DELAYS_DOT) != 0;
	is_esmtp = (set.always_ehlo ||
	    strcasestr(reply.text.data, "ESMTP") != NULL) &&
	    (pix & PIX_NO_ESMTP) == 0 && (d->shy & SHY_OF_EHLO) == 0;
	is_esmtp |= starttls_is_mandatory(d) || d->login != NULL;
	if (introduce_safely(d, c, t, hop, is_esmtp, f) == -1 ||
	    auth_run(d, c, f) == -1)
		return -1;
	transcript_keep(c->dialogue);
	return 0;
}

struct connection *
connection_open(struct delivery *d, const struct target *t,
    const struct nexthop *hop, const char *endpoint, struct failure *f)
{
	struct connection	*c;

	memset(f, 0, sizeof(*f));
	f->dsn = "4.4.1";
	f->relay = "none";
	f->remote = f->diagnostic = "";
	if ((c = reach(d, t, endpoint, f)) == NULL)
		return NULL;
	f->relay = pool_strdup(d->pool, c->relay);
	f->remote = pool_printf(d->pool, "dns; %s", c->host);
	c->protection = pool_strdup(c->pool, d->protection);
	if (begin(d, c, t, hop, f) == 0)
		return c;
	transcript_post(c->dialogue, c->name, d->mail->queue_id);
	connection_close(c);
	return NULL;
}
