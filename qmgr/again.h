#ifndef QMGR_AGAIN_H
#define QMGR_AGAIN_H

#include "qmgr/message.h"
#include "qmgr/waiting.h"

/*
 * When the recipients of a message are tried again, by the settings of the
 * transports that tried them.
 */

/* The pause until the first of those who wait is due, in milliseconds. */
int64_t		 again_pause(const struct message *);

/* Is this recipient, who is deferred, to be given up? Never without an attempt
 * (also one at its site, on behalf of others), and not while the clock cannot
 * be believed: ask retry_may_expire() first. */
bool		 again_is_too_old(const struct message *, size_t number);

/* What those who wait in the message wait for; WAITING_DEAD or not. */
struct marks	 again_marks(struct message *, unsigned *flags);

/* The message waits until then (monotonic) in its directory: it is in the
 * index, and can be found by what it waits for. */
void		 again_wait(struct message *, int64_t due);

/* The hash of a domain; of a next hop or site without brackets and port (of
 * the first, if they are several). */
uint32_t	 again_hash(const char *nexthop);

#endif
