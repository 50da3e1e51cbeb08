#ifndef MASTER_KEYS_SIGN_H
#define MASTER_KEYS_SIGN_H

#include "common/ipc/packets.h"
#include "common/tls/tls.h"

/* Start the threads that sign. */
void		 keys_sign_start(void);
/*
 * Sign for one side what looks like its handshake. NULL with the signature in
 * the pool, or why not, in words for the log of who asked.
 */
WAITS const char *keys_sign(const struct ask_signature *, enum tls_role,
		    struct pool *, struct bytes *signature);
/* Signatures under way. */
unsigned	 keys_sign_busy(void);
/* Signed, and refused, since the start. */
uint64_t	 keys_sign_total(void);

#endif
