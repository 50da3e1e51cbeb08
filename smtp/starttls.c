/*
 * starttls.c - the client's side of TLS: when it begins, whom it trusts.
 *
 * Called by open.c; what is wanted for the next hop is in delivery->security
 * (security.c). One context serves all sessions: trust comes from the system's
 * authorities unless smtp_tls_CAfile or smtp_tls_CApath name others. Sessions
 * are resumed from memory, with the same endpoint and policy only.
 *
 * T1  Nothing that was said in clear survives the handshake: bytes behind the
 *     220 end the conversation, and what EHLO offered is forgotten.
 * T2  With a level above may the mail is never sent in clear, nor to a host
 *     whose certificate does not satisfy the level.
 */
#include "smtp/starttls.h"

#include <errno.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/daemon/daemon.h"
#include "common/mail/address.h"
#include "common/param/site.h"
#include "common/tls/remote.h"

#include "smtp/security.h"
#include "smtp/settings.h"

const struct param starttls_params[] = {
	PARAM_STRING("smtp_tls_CAfile", set.tls.ca_file, "", 0, 0,
	    "A file of authorities that certificates are checked with, in "
	    "place of the system's."),
	PARAM_STRING("smtp_tls_CApath", set.tls.ca_path, "", 0, 0,
	    "A directory of authorities, by hash, in place of the "
	    "system's."),
	PARAM_INT("smtp_tls_scert_verifydepth", set.tls.depth, "9", 0, 100,
	    "How many authorities there may be above a certificate."),
	PARAM_TIME("smtp_starttls_timeout", set.tls.timeout, "300s", 1, 3600,
	    "How long to wait for the answer to STARTTLS, and for the whole "
	    "handshake."),
	PARAM_INT("smtp_tls_loglevel", set.tls.log_level, "0", 0, 4,
	    "1: each session's version, cipher and trust; 2: also why a "
	    "certificate is not trusted where that does not matter."),
	PARAM_BOOL("smtp_tls_note_starttls_offer", set.tls.notes_offer, "no",
	    "Log the hosts that offer STARTTLS when we do not want it."),
	PARAM_BOOL("smtp_tls_block_early_mail_reply", set.tls.blocks_early,
	    "no", "Leave a host that answers more inside TLS than it was "
	    "asked: somebody else may have asked (CVE-2009-3555)."),
	PARAM_TIME("smtp_tls_session_cache_timeout", set.tls.cache_time,
	    "3600s", 0, 604800, "How long a TLS session may be resumed; 0: "
	    "never."),
	PARAM_END
};

static struct tls_context	*context;
static const char		*wrong_trust;	/* why ours is not there */
static struct remote		*certificates;	/* of our own; NULL: none */

/* Files of trust anchors, and why one could not be read. */
struct anchors {
	struct anchors	*next;
	const char	*file, *wrong;
};
static struct anchors		*all_anchors;

/* --- the context ---------------------------------------------------------- */

/* Does main.cf name certificates of our own? */
static bool
has_certificates(struct pool *pool)
{
	static const char *const names[] = {
		"smtp_tls_chain_files", "smtp_tls_cert_file",
		"smtp_tls_eccert_file", "smtp_tls_dcert_file"
	};
	const char	*value;
	char		*why;
	size_t		 i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		value = maincf_value(daemon_maincf(), pool,
		    settings_name(names[i]), &why);
		if (value != NULL && value[0] != '\0')
			return true;
	}
	return false;
}

/* The keys process has them; what we get is who can sign. */
static void
find_certificates(struct tls_setup *setup)
{
	struct link	*to_keys = link_new("keys", site_processes("keys"),
			    NULL);

	certificates = remote_new(to_keys, settings_service(),
	    set.is_lmtp ? "lmtp" : "smtp", TLS_CLIENT, 0);
	setup->source = remote_source(certificates);
}

/* Read the files of trust anchors of a list. */
static void
read_anchors(struct pool *pool, const char *parameter, const char *list)
{
	struct anchors	 *a;
	const char	 *why;
	char		**words;
	size_t		  i, count;

	words = text_words(pool, list, &count);
	for (i = 0; context != NULL && i < count; i++) {
		a = pool_alloc(pool, sizeof(*a));
		a->file = words[i];
		if (tls_context_anchors(context, a->file, &why) == -1) {
			a->wrong = pool_printf(pool, "%s: %s",
			    settings_name(parameter), why);
			log_error("%s", a->wrong);
		}
		a->next = all_anchors;
		all_anchors = a;
	}
}

/* Why these are not there; NULL: they are. */
static const char *
missing_anchors(const char *file)
{
	const struct anchors	*a;

	for (a = all_anchors; a != NULL; a = a->next)
		if (strcmp(a->file, file) == 0)
			return a->wrong;
	return "trust anchors that were not read";
}

/* Trust without a mistake in it, or without all authorities. */
static void
make_context(struct pool *pool, struct tls_setup *setup)
{
	const char	*why;

	if ((context = tls_context_new(pool, setup, &why)) != NULL)
		return;
	wrong_trust = pool_printf(pool, "%s, %s: %s",
	    settings_name("smtp_tls_CAfile"),
	    settings_name("smtp_tls_CApath"), why);
	log_error("%s", wrong_trust);
	setup->ca_file = setup->ca_path = "";
	setup->wants_system_ca = false;
	if ((context = tls_context_new(pool, setup, &why)) == NULL)
		log_error("TLS cannot be used: %s", why);
}

/*
 * A file of authorities that cannot be read stops what is to be checked with
 * it, and nothing else. Never freed.
 */
void
starttls_prepare(void)
{
	struct pool		*pool;
	struct tls_setup	 setup = {
		.role = TLS_CLIENT, .service = settings_service(),
		.ca_file = set.tls.ca_file, .ca_path = set.tls.ca_path,
		.wants_system_ca = set.tls.ca_file[0] == '\0' &&
		    set.tls.ca_path[0] == '\0',
		.depth = set.tls.depth, .digest = set.tls.digest,
		.ticket_time = set.tls.cache_time / 1000
	};

	if (!security_is_wanted())
		return;
	pool = pool_new("tls", 0);
	/* The level that wants it has told so and waits (security.c). */
	if (tls_check_digest(pool, setup.digest) != NULL)
		setup.digest = "sha256";
	if (has_certificates(pool))
		find_certificates(&setup);
	make_context(pool, &setup);
	read_anchors(pool, "smtp_tls_trust_anchor_file", set.tls.anchor_file);
	read_anchors(pool, "smtp_tls_policy_anchor_files",
	    set.tls.policy_anchors);
}

/* --- one handshake -------------------------------------------------------- */

bool
starttls_is_mandatory(const struct delivery *d)
{
	return d->security->level > TLS_LEVEL_MAY;
}

/* The site cannot be used, or is to be asked again in clear. */
static int
fail(struct delivery *d, struct failure *f, const char *dsn, const char *why)
{
	f->dsn = dsn;
	f->why = why;
	f->wants_clear = !starttls_is_mandatory(d);
	return -1;
}

/* The name to ask for (RFC 6066 3: no addresses); NULL: none. */
static const char *
server_name(const struct delivery *d, const struct connection *c)
{
	const char	*name = d->security->servername;
	struct inetaddr	 address;

	if (name[0] == '\0' || text_equal(name, "hostname")) {
		if (c->target.path != NULL)
			return NULL;
		name = c->host;
	}
	return inetaddr_parse(&address, name) || domain_is_literal(name) ||
	    !domain_is_valid(name, false) ? NULL : name;
}

/* What the handshake is to be like; "hostname" is a name now. */
static struct tls_wishes
wishes_for(struct delivery *d, struct connection *c)
{
	const struct security	*s = d->security;
	const char		**matches;
	size_t			 i;

	matches = pool_array(d->pool, s->match_count + 1, sizeof(*matches));
	for (i = 0; i < s->match_count; i++)
		matches[i] = text_equal(s->matches[i], "hostname") ?
		    c->host : s->matches[i];
	return (struct tls_wishes){
		.protocols = s->protocols, .ciphers = s->ciphers,
		.exclude = s->exclude,
		.is_mandatory = starttls_is_mandatory(d),
		.sni = server_name(d, c), .level = s->level,
		.matches = matches, .match_count = s->match_count,
		.has_anchors = s->anchors != NULL,
		.anchor_file = s->anchors,
		.resume = set.tls.cache_time > 0 ? c->endpoint : NULL
	};
}

/* The word that Postfix has for it. */
static const char *
trust_name(enum tls_trust trust)
{
	return trust == TLS_VERIFIED ? "Verified" :
	    trust == TLS_TRUSTED ? "Trusted" :
	    trust == TLS_UNTRUSTED ? "Untrusted" : "Anonymous";
}

/* "Trusted TLS connection established to H[A]:25: TLSv1.3 with ..." */
static void
log_summary(const struct connection *c, const char *how)
{
	struct pool	*pool;

	if (set.tls.log_level < 1)
		return;
	pool = pool_new("summary", 0);
	log_info("%s TLS connection %s to %s: %s", trust_name(c->tls.trust),
	    how, c->relay, tls_describe(pool, &c->tls));
	pool_free(pool);
}

void
starttls_log_reuse(const struct connection *c)
{
	if (c->is_encrypted && c->uses > 1)
		log_summary(c, "reused");
}

/* T2. Is the certificate good enough? QUIT is said inside TLS if not (RFC 3207
 * 4.1). */
static int
judge(struct delivery *d, struct connection *c, struct failure *f)
{
	bool	is_checked = d->security->level >= TLS_LEVEL_FINGERPRINT;

	if (c->tls.doubt[0] != '\0' && (is_checked || set.tls.log_level > 1))
		log_info("certificate verification failed for %s: %s",
		    c->relay, c->tls.doubt);
	if (!is_checked || c->tls.trust == TLS_VERIFIED)
		return 0;
	return fail(d, f, "4.7.5", c->tls.trust == TLS_TRUSTED ||
	    d->security->level == TLS_LEVEL_FINGERPRINT ?
	    "Server certificate not verified" :
	    "Server certificate not trusted");
}

/* Can certificates be shown and checked as they are to be? Who knows us by
 * ours would refuse for good what comes without it. */
WAITS static const char *
missing(const struct delivery *d)
{
	if (context == NULL)
		return "TLS is required, but our TLS engine is unavailable";
	if (starttls_is_mandatory(d) && certificates != NULL &&
	    !remote_is_ready(certificates))
		return pool_printf(d->pool, "the certificate of %s or %s "
		    "cannot be used", settings_name("smtp_tls_chain_files"),
		    settings_name("smtp_tls_cert_file"));
	if (d->security->level < TLS_LEVEL_VERIFY)
		return NULL;
	return d->security->anchors == NULL ? wrong_trust :
	    missing_anchors(d->security->anchors);
}

WAITS static int
shake_hands(struct delivery *d, struct connection *c, struct failure *f)
{
	struct tls_wishes	 wishes = wishes_for(d, c);
	int64_t			 end = clock_now() + set.tls.timeout;
	const char		*why = "";

	c->doing = "performing the TLS handshake";
	io_patience(c->io, set.tls.timeout);
	io_deadline(c->io, end < c->deadline ? end : c->deadline);
	if (tls_start(c->io, context, &wishes, c->pool, &c->stream, &c->tls,
	    &why) == -1) {
		c->is_broken = true;
		log_info("SSL_connect error to %s: %s", c->relay, why);
		return fail(d, f, "4.7.5",
		    "Cannot start TLS: handshake failure");
	}
	io_deadline(c->io, NEVER);
	c->is_encrypted = true;
	log_summary(c, "established");
	return judge(d, c, f);
}

int
starttls_wrap(struct delivery *d, struct connection *c, struct failure *f)
{
	const char	*why;

	if (!set.tls.is_wrapped)
		return 0;
	if ((why = missing(d)) == NULL)
		return shake_hands(d, c, f);
	c->is_broken = true;
	f->is_ours = true;
	return fail(d, f, "4.7.5", why);
}

/* --- STARTTLS ------------------------------------------------------------- */

/* T1. What EHLO said in clear may be anybody's. */
static void
forget(struct connection *c)
{
	c->has_pipelining = c->has_8bit = c->has_size = c->has_dsn =
	    c->has_utf8 = c->has_chunking = c->has_starttls = false;
	c->mechanisms = NULL;
	c->avoids_auth = false;
	c->xforward = 0;
	c->size_limit = 0;
	c->mechanisms = NULL;
	allowance_learn(&c->allowance, "");
}

/* Say STARTTLS and hear the answer. */
WAITS static int
ask(struct delivery *d, struct connection *c, struct failure *f)
{
	struct smtp_reply	 reply;
	const char		*extra;

	c->doing = "sending STARTTLS";
	if (connection_say(c, "STARTTLS") == -1 ||
	    connection_flush(c, set.tls.timeout) == -1 ||
	    connection_hear(c, d->pool, &reply, set.tls.timeout) == -1) {
		c->is_broken = true;
		f->is_timeout = errno == ETIMEDOUT;
		return fail(d, f, "4.4.2", connection_complaint(c, d->pool,
		    errno));
	}
	if (reply.code / 100 != 2)
		return fail(d, f, "4.7.4", pool_printf(d->pool, "TLS is "
		    "required, but host %s refused to start TLS: %s", c->name,
		    connection_said(d->pool, &reply)));
	if (io_peek(c->io, &extra) == 0)
		return 0;
	/* T1: somebody on the way, or a broken host; either way this is no
	 * beginning of TLS, and no reason to speak in clear. */
	transcript_blame(c->dialogue, "protocol");
	c->is_broken = true;
	(void)fail(d, f, "4.7.0", pool_printf(d->pool, "host %s sent data in "
	    "clear behind its answer to STARTTLS", c->name));
	f->wants_clear = false;
	return -1;
}

/* Who does not offer what must be. */
static int
not_offered(struct delivery *d, struct connection *c, struct failure *f)
{
	if (!starttls_is_mandatory(d))
		return 0;
	return fail(d, f, "4.7.4", pool_printf(d->pool, "TLS is required, but "
	    "was not offered by host %s", c->name));
}

int
starttls_begin(struct delivery *d, struct connection *c, struct failure *f)
{
	const char	*why;

	if (c->is_encrypted)
		return 0;
	if (d->security->level == TLS_LEVEL_NONE) {
		if (c->has_starttls && set.tls.notes_offer)
			log_info("Host offered STARTTLS: [%s]", c->host);
		return 0;
	}
	if (!c->has_starttls)
		return not_offered(d, c, f);
	if ((d->shy & SHY_OF_TLS) != 0)
		return 0;
	if ((why = missing(d)) != NULL) {
		(void)fail(d, f, "4.7.5", why);
		f->is_ours = true;
		f->wants_clear = false;		/* security.c: S1 */
		return -1;
	}
	if (ask(d, c, f) == -1 || shake_hands(d, c, f) == -1)
		return -1;
	forget(c);
	return 1;
}

int
starttls_check_silence(struct delivery *d, struct connection *c,
    struct failure *f)
{
	if (!c->is_encrypted || !set.tls.blocks_early || !io_has_input(c->io))
		return 0;
	transcript_blame(c->dialogue, "protocol");
	c->is_broken = true;
	(void)fail(d, f, "4.7.0", pool_printf(d->pool, "host %s answered "
	    "before it was asked, inside TLS", c->name));
	f->wants_clear = false;
	return -1;
}
