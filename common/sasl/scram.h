#ifndef SASL_SCRAM_H
#define SASL_SCRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/base/str.h"

/*
 * SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, 7677), both sides. Messages
 * are without the base64 that SMTP puts around them. Whoever gives a pool
 * makes it one that is wiped (pool_make_secret()).
 */
enum {
	SCRAM_KEY = 32,
	SCRAM_SALT_MAX = 64,
	SCRAM_MIN = 4096,		/* iterations, RFC 7677 4 */
	SCRAM_MAX = 1000000,		/* more would only keep us busy */
	SCRAM_MESSAGE_MAX = 4096
};

/* --- what is kept of a password ------------------------------------------ */

struct scram_verifier {
	int64_t		 iterations;
	size_t		 salt_length;
	unsigned char	 salt[SCRAM_SALT_MAX];
	unsigned char	 stored_key[SCRAM_KEY], server_key[SCRAM_KEY];
};

/* "SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY", base64; false: it is
 * not that. */
bool		 scram_verifier_parse(struct scram_verifier *,
		    const char *text);
void		 scram_verifier_format(struct str *,
		    const struct scram_verifier *);
/* Compute the keys from salt and iterations, which are set; -1: OpenSSL
 * cannot. Neither allocates from a pool nor waits: for a thread, too. */
int		 scram_verifier_make(struct scram_verifier *,
		    const char *password, size_t len);
/* Is this the password? 1, 0, or -1: OpenSSL cannot. For a thread, too. */
int		 scram_verifier_check(const struct scram_verifier *,
		    const char *password, size_t len);

/* A new password, before it becomes a verifier: NULL, or why it cannot be
 * one (RFC 4013). Only those that need no normalising are good. */
const char	*scram_password_check(const char *);

/* --- channel binding ----------------------------------------------------- */

/* "tls-exporter" (RFC 9266) or "tls-server-end-point" (RFC 5929). */
struct scram_binding {
	const char		*type;
	const unsigned char	*data;
	size_t			 length;
};

/* --- server -------------------------------------------------------------- */

struct scram_server;

/* bindings: what this connection has, none without TLS, and then no -PLUS was
 * offered. They and the nonce (NULL: a random one) are copied. */
struct scram_server *scram_server_new(struct pool *, bool is_plus,
		    const struct scram_binding *, size_t count,
		    const char *nonce);
/* The client's first message. NULL, and user and authorize (or "") are known;
 * or why it is wrong. */
const char	*scram_server_first(struct scram_server *,
		    const char *message, size_t len);
const char	*scram_server_user(const struct scram_server *);
const char	*scram_server_authorize(const struct scram_server *);
/* The message to answer it with. */
const char	*scram_server_challenge(struct scram_server *,
		    const struct scram_verifier *);
/* The client's last message. SCRAM_IS_HIM: *reply is the last word to him. */
enum scram_verdict { SCRAM_IS_HIM, SCRAM_IS_NOT, SCRAM_MALFORMED };
enum scram_verdict scram_server_finish(struct scram_server *,
		    const char *message, size_t len, const char **reply,
		    const char **why);
void		 scram_server_wipe(struct scram_server *);

/* --- client -------------------------------------------------------------- */

struct scram_client;

/*
 * binding: use it, which is what -PLUS is; or NULL. could_bind: we have one,
 * but the server did not offer -PLUS (he hears of it, RFC 5802 6). authorize:
 * "" for oneself. nonce: NULL for a random one. NULL with *why when user or
 * password cannot be said so.
 */
struct scram_client *scram_client_new(struct pool *, const char *user,
		    const char *authorize, const char *password,
		    const struct scram_binding *binding, bool could_bind,
		    const char *nonce, const char **why);
/* The first message. */
const char	*scram_client_first(struct scram_client *);
/* The second one, after the server's first; NULL with *why: he is not what he
 * should be. Takes milliseconds: as many iterations as he says. */
const char	*scram_client_final(struct scram_client *,
		    const char *message, size_t len, const char **why);
/* The server's last: does he know the password, too? false with *why. */
bool		 scram_client_verify(struct scram_client *,
		    const char *message, size_t len, const char **why);
void		 scram_client_wipe(struct scram_client *);

#endif
