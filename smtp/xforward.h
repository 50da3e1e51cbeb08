#ifndef SMTP_XFORWARD_H
#define SMTP_XFORWARD_H

#include "smtp/transaction.h"

/*
 * Tell the host where the message came from at first, if it wants to know
 * (XFORWARD) and smtp_send_xforward_command is set. What it thinks of that
 * does not matter. -1: the conversation broke.
 */
WAITS int	 xforward_send(struct transaction *);
bool		 xforward_is_wanted(const struct transaction *);

#endif
