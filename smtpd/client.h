#ifndef SMTPD_CLIENT_H
#define SMTPD_CLIENT_H

#include "smtpd/session.h"

/* Learn who the client is: address, trust, verified name. -1 when it has gone
 * already. */
WAITS int	 client_identify(struct session *);

/* Tell anvil that the client left, if it was told that it came. */
void		 client_forget(struct session *);

/* Read the lists of networks; before the chroot, since they may name files. */
void		 client_prepare(void);

#endif
