#ifndef SMTPD_TLS_CLIENT_H
#define SMTPD_TLS_CLIENT_H

#include "common/ipc/packets.h"

#include "smtpd/session.h"

/* Has the client shown a certificate with a good chain? */
bool		 tls_client_is_trusted(const struct session *);

/* Is its certificate, or the key in it, one of relay_clientcerts? */
WAITS enum lookup_result tls_client_is_listed(const struct session *);

#endif
