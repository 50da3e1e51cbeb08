#ifndef MASTER_KEYS_TICKET_H
#define MASTER_KEYS_TICKET_H

#include "common/base/mem.h"
#include "common/ipc/packets.h"

/*
 * The keys that session tickets of this service are sealed with now, and those
 * that still open older ones, into the pool; now: wall clock in milliseconds,
 * lifetime: of a ticket, in seconds. -1: OpenSSL or the kernel refuses.
 */
int		 keys_ticket_rows(const char *service, int64_t lifetime,
		    int64_t now, struct pool *, struct ticket_keys *);
/* Wipe what is over. */
void		 keys_ticket_sweep(int64_t now);
/* Wipe everything. */
void		 keys_ticket_wipe(void);
/* How many secrets there are now. */
size_t		 keys_ticket_count(void);

#endif
