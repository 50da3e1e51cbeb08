#ifndef SMTPD_HANDSHAKES_H
#define SMTPD_HANDSHAKES_H

#include "common/fiber/fiber.h"

/*
 * Wait until a handshake may begin: 0, or -1 with ETIMEDOUT or ECANCELED. All
 * who wait are served in the order in which they came.
 */
WAITS int	 handshake_await(int64_t deadline);

#endif
