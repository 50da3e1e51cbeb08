/*
 * tls_settings.c - what main.cf says of TLS, and the context made of it.
 *
 * Called by main.c before the chroot and by starttls.c. Certificates are not
 * read here: the keys process has them, and tells the public part when it is
 * needed, so that they change without us.
 *
 * P1  A word that we do not know stops the service, it never means less.
 *     Trust that cannot be loaded takes TLS away, and the log says so: where
 *     TLS must be, nothing goes on without.
 */

#include "smtpd/tls_settings.h"

#include "common/base/bug.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/daemon/daemon.h"
#include "common/param/site.h"
#include "common/tls/remote.h"

#include "smtpd/settings.h"

const struct param server_tls_params[] = {
	PARAM_STRING("smtpd_tls_security_level", set.tls_level, "", 0, 20,
	    "none: no TLS. may: STARTTLS is offered. encrypt: without TLS a "
	    "client hears 530. Empty means none."),
	PARAM_BOOL("smtpd_tls_wrappermode", set.tls_wrappermode, "no",
	    "TLS from the first byte on, as on port 465, without STARTTLS."),
	PARAM_BOOL("smtpd_tls_auth_only", set.tls_auth_only, "no",
	    "AUTH is there only after TLS has begun; also with "
	    "smtpd_tls_security_level = encrypt."),
	PARAM_BOOL("smtpd_tls_ask_ccert", set.tls_asks_ccert, "no",
	    "Ask clients for a certificate."),
	PARAM_BOOL("smtpd_tls_req_ccert", set.tls_needs_ccert, "no",
	    "Where TLS is mandatory: a client without a certificate that "
	    "smtpd_tls_CAfile or smtpd_tls_CApath trusts hears 554 to all but "
	    "QUIT."),
	PARAM_INT("smtpd_tls_ccert_verifydepth", set.tls_depth, "9", 0, 100,
	    "How many authorities there may be above a client's certificate."),
	PARAM_STRING("smtpd_tls_CAfile", set.tls_ca_file, "", 0, 1000,
	    "A file with certificates of authorities that are trusted for "
	    "clients' certificates."),
	PARAM_STRING("smtpd_tls_CApath", set.tls_ca_path, "", 0, 1000,
	    "A directory of such certificates, as openssl rehash makes it; it "
	    "is read at the start."),
	PARAM_STRING("smtpd_tls_protocols", set.tls_protocols, ">=TLSv1.2", 0,
	    200, "Versions of TLS with smtpd_tls_security_level = may: "
	    "\">=TLSv1.2\", \"!SSLv3\" and the like."),
	PARAM_STRING("smtpd_tls_mandatory_protocols",
	    set.tls_mandatory_protocols, ">=TLSv1.2", 0, 200,
	    "The same where TLS is mandatory."),
	PARAM_STRING("smtpd_tls_ciphers", set.tls_ciphers, "medium", 0, 20,
	    "The least grade of ciphers with smtpd_tls_security_level = may: "
	    "high, medium, null."),
	PARAM_STRING("smtpd_tls_mandatory_ciphers", set.tls_mandatory_ciphers,
	    "medium", 0, 20, "The same where TLS is mandatory."),
	PARAM_STRING("smtpd_tls_exclude_ciphers", set.tls_exclude, "", 0, 2000,
	    "Ciphers, or kinds of them, that are never used."),
	PARAM_STRING("smtpd_tls_mandatory_exclude_ciphers",
	    set.tls_mandatory_exclude, "", 0, 2000,
	    "More of them where TLS is mandatory."),
	PARAM_STRING("smtpd_tls_fingerprint_digest", set.tls_digest, "sha256",
	    1, 50, "The digest of the fingerprints in relay_clientcerts."),
	PARAM_INT("smtpd_tls_loglevel", set.tls_loglevel, "0", 0, 4,
	    "1: a line about each handshake; 2: about certificates, too; more "
	    "is not said with 3 or 4."),
	PARAM_BOOL("smtpd_tls_received_header", set.tls_received, "no",
	    "Tell of TLS in Received:."),
	PARAM_TIME("smtpd_starttls_timeout", set.tls_timeout,
	    "${stress?{10}:{300}}s", 1, 3600,
	    "How long a handshake may take in all."),
	PARAM_TIME("smtpd_tls_session_cache_timeout", set.tls_ticket_time,
	    "3600s", 1, 8640000,
	    "How long a client may resume a session; we keep none, it has a "
	    "ticket."),
	PARAM_END
};

static enum tls_level		 level;
static struct remote		*remote;
static struct tls_context	*context;
static char			*no_context;	/* why there is none */
static char			*mandatory_exclude;	/* both lists */

bool
tls_is_wanted(void)
{
	return level > TLS_LEVEL_NONE || set.tls_wrappermode;
}

bool
tls_is_mandatory(void)
{
	return level > TLS_LEVEL_MAY || set.tls_wrappermode;
}

bool
tls_needs_certificate(void)
{
	return set.tls_needs_ccert && tls_is_mandatory();
}

bool
tls_asks_certificate(void)
{
	return set.tls_asks_ccert || tls_needs_certificate();
}

/* Levels above "encrypt" are about servers' certificates: a client shows his
 * own only if asked. */
static void
read_level(void)
{
	level = tls_level_parse(set.tls_level);
	if (level == TLS_LEVEL_UNKNOWN)
		die("smtpd_tls_security_level = %s: expected none, may or "
		    "encrypt", set.tls_level);
	if (level > TLS_LEVEL_ENCRYPT) {
		log_warning("smtpd_tls_security_level = %s: with clients this "
		    "is no more than encrypt", set.tls_level);
		level = TLS_LEVEL_ENCRYPT;
	}
	if (set.tls_needs_ccert && !tls_is_mandatory())
		log_warning("smtpd_tls_req_ccert = yes: nobody can be required "
		    "to show a certificate where TLS is not mandatory");
}

/* Of one pair of settings: P1. */
static void
check_words(struct pool *pool, const char *prefix, const char *protocols,
    const char *grade, const char *exclude)
{
	const char	*why;

	if ((why = tls_check_protocols(pool, protocols)) != NULL)
		die("%sprotocols = %s: %s", prefix, protocols, why);
	if ((why = tls_check_ciphers(pool, grade, exclude)) != NULL)
		die("%sciphers = %s, %sexclude_ciphers = %s: %s", prefix,
		    grade, prefix, exclude, why);
}

/* What the context is made of. */
static void
make_context(struct pool *pool)
{
	struct tls_setup	 setup = { .role = TLS_SERVER };
	const char		*why;

	setup.service = pool_printf(pool, "%s/inet", daemon_service());
	setup.ca_file = set.tls_ca_file;
	setup.ca_path = set.tls_ca_path;
	setup.asks_certificate = tls_asks_certificate();
	setup.needs_certificate = tls_needs_certificate();
	setup.depth = set.tls_depth;
	setup.digest = set.tls_digest;
	setup.ticket_time = set.tls_ticket_time / 1000;
	remote = remote_new(link_new("keys", site_processes("keys"), NULL),
	    setup.service, "smtpd", TLS_SERVER, setup.ticket_time);
	setup.source = remote_source(remote);

	if ((context = tls_context_new(pool, &setup, &why)) != NULL)
		return;
	if (daemon_is_checking())
		die("%s", why);
	log_error("%s: no TLS for service %s", why, daemon_service());
	no_context = pool_strdup(pool, why);
}

void
tls_settings_prepare(void)
{
	struct pool	*pool = pool_new("TLS", 0);
	const char	*why;

	read_level();
	mandatory_exclude = pool_printf(pool, "%s %s", set.tls_exclude,
	    set.tls_mandatory_exclude);
	check_words(pool, "smtpd_tls_", set.tls_protocols, set.tls_ciphers,
	    set.tls_exclude);
	check_words(pool, "smtpd_tls_mandatory_", set.tls_mandatory_protocols,
	    set.tls_mandatory_ciphers, mandatory_exclude);
	if ((why = tls_check_digest(pool, set.tls_digest)) != NULL)
		die("smtpd_tls_fingerprint_digest = %s: %s", set.tls_digest,
		    why);
	if (tls_is_wanted())
		make_context(pool);
}

const char *
tls_trouble(void)
{
	if (context == NULL)
		return no_context;
	return remote_is_ready(remote) ? NULL :
	    "there is no certificate (smtpd_tls_chain_files)";
}

struct tls_context *
tls_server_context(void)
{
	return context;
}

void
tls_server_wishes(struct tls_wishes *w)
{
	*w = (struct tls_wishes){ .is_mandatory = tls_is_mandatory() };
	w->protocols = w->is_mandatory ? set.tls_mandatory_protocols :
	    set.tls_protocols;
	w->ciphers = w->is_mandatory ? set.tls_mandatory_ciphers :
	    set.tls_ciphers;
	w->exclude = w->is_mandatory ? mandatory_exclude : set.tls_exclude;
}
