#ifndef TLS_REMOTE_INSIDE_H
#define TLS_REMOTE_INSIDE_H

#include "common/ipc/packets.h"
#include "common/tls/provider.h"
#include "common/tls/remote.h"

/*
 * What the files of the remote tell each other; nobody else includes it.
 */
enum {
	REACH_TIME = 1000,		/* to find the keys process, ms */
	REPLY_TIME = 10 * 1000		/* of it: a signature, certificates */
};

/* remote_sign.c: a keys process that gave us something, and signs for it. It
 * stays as long as anybody has one of its keys. */
struct holder {
	unsigned		 users;
	struct channel		*channel;	/* held */
	struct tls_signer	 signer;
};
struct holder	*holder_new(struct channel *);
void		 holder_release(struct holder *);
/* Does it take questions? */
bool		 holder_is_good(const struct holder *);
/* A chain of certificates with a key that the holder signs with; false: it
 * cannot be read, and the log says so. */
bool		 holder_chain(struct holder *, const struct bytes *der,
		    struct tls_chain *);

#endif
