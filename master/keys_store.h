#ifndef MASTER_KEYS_STORE_H
#define MASTER_KEYS_STORE_H

#include <openssl/evp.h>

#include "common/base/mem.h"
#include "common/ipc/packets.h"
#include "common/param/maincf.h"
#include "common/tls/wallet.h"

/* A private key and who may have something signed with it. */
struct keys_key {
	unsigned char	 id[32];
	EVP_PKEY	*key;
	bool		 is_rsa, is_pss_only, is_ed25519;
	bool		 is_quick;	/* signs in a fraction of a ms */
	bool		 is_for_server, is_for_client;
};

/* Load all identities; as root, while files can be read. What is wrong is
 * told and left out. */
void		 keys_store_load(struct maincf *, const char *directory);
/* Was everything that is named there and fit for use? */
bool		 keys_store_is_good(void);
/* The answer to a request of this side, in the pool. */
void		 keys_store_find(const struct ask_certificates *,
		    enum tls_role, struct pool *, struct certificates *);
/* The key of this id; NULL: there is none. */
const struct keys_key *keys_store_key(const unsigned char id[32]);
size_t		 keys_store_count(void);
/* Wipe all keys. */
void		 keys_store_wipe(void);

#endif
