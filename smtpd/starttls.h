#ifndef SMTPD_STARTTLS_H
#define SMTPD_STARTTLS_H

#include "common/tls/tls.h"

#include "smtpd/session.h"

/* TLS in a session; session->tls is NULL while it is in clear. */
struct cover {
	struct tls_stream	*stream;	/* for tls_bind() */
	struct tls_summary	 summary;
	bool			 is_too_weak;	/* only QUIT is heard */
};

/* The command; commands.c calls it. */
WAITS int	 command_starttls(struct session *, char *args);

/* A service with smtpd_tls_wrappermode, before the greeting: TLS, or GONE, or
 * REFUSED. DONE at once for others. */
WAITS int	 starttls_wrap(struct session *);
/* May we say something, or does the client wait for a handshake first? */
bool		 starttls_may_speak(const struct session *);

/* Is TLS to be had now? Asked when EHLO is answered, for the next one. */
WAITS void	 starttls_learn(struct session *);
bool		 starttls_is_offered(const struct session *);

/* May this command ("" for one that we do not know) be run before TLS, or
 * with a client that did not show the certificate it must? DONE, or REFUSED
 * (told), or GONE. */
WAITS int	 starttls_admit(struct session *, const char *verb);

/* Has the client to say again who it is (RFC 3207 4.2)? */
bool		 starttls_wants_name(const struct session *);

/* For AUTH: is it too early for passwords (smtpd_tls_auth_only)? */
bool		 starttls_forbids_auth(const struct session *);

/* What Received says of TLS, in the pool of the transaction; or "". */
char		*starttls_trace(const struct session *);

#endif
