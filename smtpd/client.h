#ifndef SMTPD_CLIENT_H
#define SMTPD_CLIENT_H

#include "common/mail/origin.h"

#include "smtpd/session.h"

/* Both addresses of a new connection, by the proxy's header where there is
 * one. -1 when the client has gone already, or may not come in (told). */
WAITS int	 client_arrive(struct session *, int fd);

/* Learn who that is: verified name, trust, and what it may do. */
WAITS void	 client_identify(struct session *);

/*
 * It is somebody else from now on, as XCLIENT says: what is not given stays,
 * but a new address has no name until it is given one.
 */
void		 client_become(struct session *, const struct origin *);

/* Tell anvil that the client left, if it was told that it came. */
void		 client_forget(struct session *);

/* Read the lists of networks; before the chroot, since they may name files. */
void		 client_prepare(void);

#endif
