#ifndef SMTPD_PROXY_H
#define SMTPD_PROXY_H

#include "common/fiber/fiber.h"
#include "common/net/haproxy.h"

/* Does this service stand behind a proxy? */
bool		 proxy_is_expected(void);

/*
 * Read the header of the proxy that connected from this address, and nothing
 * behind it. 0, or -1, told in the log: then the connection is of no use.
 */
WAITS int	 proxy_receive(int fd, const struct inetaddr *peer,
		    struct haproxy *);

/* Check the settings; before the chroot, since lists may name files. */
void		 proxy_prepare(void);

#endif
