#ifndef SMTPD_TLS_SETTINGS_H
#define SMTPD_TLS_SETTINGS_H

#include "common/tls/tls.h"

/* Check the words and read the CA files; before the chroot. */
void		 tls_settings_prepare(void);

/* Is there any TLS (smtpd_tls_security_level), and nothing without it? */
bool		 tls_is_wanted(void);
bool		 tls_is_mandatory(void);
/* Are clients asked for a certificate, and must it be a good one? */
bool		 tls_asks_certificate(void);
bool		 tls_needs_certificate(void);

/* Would a handshake work now? NULL if yes, else why not. */
WAITS const char *tls_trouble(void);
/* What it is done with; there when tls_trouble() says that it works. */
struct tls_context *tls_server_context(void);
void		 tls_server_wishes(struct tls_wishes *);

#endif
