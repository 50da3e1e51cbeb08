#ifndef TLS_REMOTE_H
#define TLS_REMOTE_H

#include "common/ipc/link.h"
#include "common/tls/tls.h"

/*
 * Identities and ticket keys of the keys process, fetched when they are needed
 * and kept until that process is another one: certificates change without a
 * reload, and nobody's session ends.
 */
struct remote;

/* service: our line of master.cf, "smtp/inet". program: "smtpd", "smtp" or
 * "lmtp". Lives as long as the process. */
struct remote	*remote_new(struct link *to_keys, const char *service,
		    const char *program, enum tls_role,
		    int64_t ticket_time);
struct tls_source remote_source(struct remote *);
/* Is there a certificate under the default name now? Asks once in a while, so
 * that STARTTLS is not offered where it would fail. */
WAITS bool	 remote_is_ready(struct remote *);

#endif
