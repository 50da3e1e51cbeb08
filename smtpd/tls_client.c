/*
 * tls_client.c - whom a client's certificate shows it to be.
 *
 * Called by restrict.c. Tables know clients by the fingerprint of their
 * certificate or, which lasts longer, of the public key in it; a chain need
 * not lead anywhere for that.
 */

#include "smtpd/tls_client.h"

#include "common/base/log.h"

#include "smtpd/settings.h"
#include "smtpd/starttls.h"
#include "smtpd/table.h"

const struct param tls_client_params[] = {
	PARAM_STRING("relay_clientcerts", set.relay_clientcerts, "", 0, 10000,
	    "Tables of the clients that permit_tls_clientcerts permits, by "
	    "the fingerprint of a certificate or of its public key."),
	PARAM_END
};

bool
tls_client_is_trusted(const struct session *s)
{
	return s->tls != NULL && s->tls->summary.trust >= TLS_TRUSTED;
}

/* Does relay_clientcerts have this fingerprint? */
WAITS static enum lookup_result
find(const struct session *s, const char *fingerprint)
{
	struct pool	*pool;
	struct found	 found;

	if (*fingerprint == '\0')
		return LOOKUP_NOT_FOUND;
	pool = pool_new("relay_clientcerts", 0);
	table_ask(pool, "relay_clientcerts", LOOKUP_KEYS, fingerprint,
	    &found);
	if (found.result == LOOKUP_TEMPORARY)
		log_warning("relay_clientcerts: %s: cannot tell whether %s "
		    "may relay", found.text, s->ident);
	pool_free(pool);
	return (enum lookup_result)found.result;
}

enum lookup_result
tls_client_is_listed(const struct session *s)
{
	enum lookup_result	result;

	if (s->tls == NULL || set.relay_clientcerts[0] == '\0')
		return LOOKUP_NOT_FOUND;
	result = find(s, s->tls->summary.fingerprint);
	if (result == LOOKUP_NOT_FOUND)
		result = find(s, s->tls->summary.key_fingerprint);
	return result;
}
