#ifndef TLS_TLS_H
#define TLS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "common/base/mem.h"
#include "common/fiber/io.h"
#include "common/param/param.h"

/*
 * TLS in an io. A context is what a process loads once: trust, and where its
 * certificates come from. What a single session wants beyond that comes with
 * tls_start(). Names of protocols, grades of ciphers and security levels are
 * Postfix's; the tls_* parameters that all sides share are rows of tls_params.
 */
enum tls_role { TLS_SERVER, TLS_CLIENT };

/* tls_high_cipherlist and what else server and client share (settings.c). */
extern const struct param	tls_params[];

/* --- settings.c: the words of main.cf ----------------------------------- */

enum tls_level {
	TLS_LEVEL_NONE, TLS_LEVEL_MAY, TLS_LEVEL_ENCRYPT,
	TLS_LEVEL_FINGERPRINT, TLS_LEVEL_VERIFY, TLS_LEVEL_SECURE,
	TLS_LEVEL_DANE, TLS_LEVEL_DANE_ONLY,	/* known, not there yet */
	TLS_LEVEL_UNKNOWN
};
/* "encrypt" to TLS_LEVEL_ENCRYPT, "" to NONE; UNKNOWN for other words. */
enum tls_level	 tls_level_parse(const char *word);
const char	*tls_level_name(enum tls_level);

/*
 * Are these words of a ..._protocols, ..._ciphers, ..._exclude_ciphers,
 * ..._fingerprint_digest parameter? NULL, or what is wrong with them, in the
 * pool. Exclusions ("!SSLv3") alone never go below TLS 1.2; ">=TLSv1" does.
 */
const char	*tls_check_protocols(struct pool *, const char *protocols);
const char	*tls_check_ciphers(struct pool *, const char *grade,
		    const char *exclude);
const char	*tls_check_digest(struct pool *, const char *digest);

/* --- context.c ---------------------------------------------------------- */

/* OpenSSL as all of us use it: no configuration file, providers "default" and
 * our own (provider.h). Made at the first call; while files can be read. */
OSSL_LIB_CTX	*tls_library(void);

/* A certificate with the chain that is sent, and its key: a real one, or one
 * that the keys process signs with. */
struct tls_chain {
	X509		*certificate;
	STACK_OF(X509)	*others;
	EVP_PKEY	*key;
};
enum { TLS_CHAINS_MAX = 4 };		/* RSA, ECDSA, Ed25519, one spare */
/* Who we are under one name; counted. */
struct tls_identity {
	unsigned	 users;
	uint64_t	 generation;	/* other certificates, other number */
	struct tls_chain chains[TLS_CHAINS_MAX];
	size_t		 count;
};
struct tls_identity *tls_identity_hold(struct tls_identity *);
void		 tls_identity_release(struct tls_identity *);	/* NULL: fine */

/* A key that tickets are sealed with. */
struct tls_ticket {
	unsigned char	 name[16], secret[32], mac[32];
	int64_t		 fresh_until;	/* wall ms: new tickets until then */
	int64_t		 valid_until;	/* wall ms: believed until then */
};

/* Where identities and ticket keys come from (remote.h, or a test). */
struct tls_source {
	/* The identity for a name (lower case; "" is the default); held for
	 * the caller. NULL: none for this name. */
	WAITS struct tls_identity *(*find)(void *state, const char *name);
	/* The ticket keys, the freshest first; NULL or none: no tickets. */
	const struct tls_ticket	*(*tickets)(void *state, size_t *count);
	void		*state;
};

struct tls_setup {
	enum tls_role	 role;
	const char	*service;	/* sessions resume in this one only */
	const char	*ca_file, *ca_path;	/* or "" */
	bool		 wants_system_ca;
	/* Server: a client without a good certificate gets through the
	 * handshake all the same; summary->trust tells. */
	bool		 asks_certificate, needs_certificate;
	int64_t		 depth;		/* of chains */
	const char	*digest;	/* of fingerprints: "sha256" */
	int64_t		 ticket_time;	/* seconds; 0: no tickets */
	struct tls_source source;	/* client: its certificates, if any */
};
/* NULL with *why. Reads the CA files: before the chroot. */
struct tls_context *tls_context_new(struct pool *, const struct tls_setup *,
		    const char **why);
/* Load a file of trust anchors for wishes->anchor_file, likewise before the
 * chroot: a handshake that wants a file which is not loaded fails. 0 or -1. */
int		 tls_context_anchors(struct tls_context *, const char *file,
		    const char **why);

/* --- stream.c: one session ---------------------------------------------- */

enum tls_trust {
	TLS_ANONYMOUS,		/* the peer showed no certificate */
	TLS_UNTRUSTED,		/* one that leads nowhere we know */
	TLS_TRUSTED,		/* a good chain */
	TLS_VERIFIED		/* and the name or fingerprint wanted */
};
/* What was agreed on. Text is in the pool, escaped for the log. */
struct tls_summary {
	const char	*protocol;	/* "TLSv1.3" */
	const char	*cipher;	/* "TLS_AES_256_GCM_SHA384" */
	int		 bits, all_bits;
	const char	*key_exchange;	/* "X25519", "ECDHE (P-256)", "" */
	const char	*server_signature, *server_digest;	/* or "" */
	const char	*client_signature, *client_digest;	/* or "" */
	const char	*sni;		/* server: what was asked for, or "" */
	enum tls_trust	 trust;
	const char	*peer_name, *issuer;	/* of its certificate, or "" */
	const char	*fingerprint, *key_fingerprint;	/* "AB:CD...", or "" */
	const char	*doubt;		/* why not trusted or verified, or "" */
	bool		 is_resumed;
};

struct tls_wishes {
	const char	*protocols, *ciphers, *exclude;	/* "" are defaults */
	bool		 is_mandatory;	/* weak things are out */
	/* client: */
	const char	*sni;		/* or NULL */
	enum tls_level	 level;		/* what is checked */
	const char *const *matches;	/* names ("a.example", ".example") or
					 * fingerprints */
	size_t		 match_count;
	bool		 has_anchors;	/* only anchor_file is trusted */
	const char	*anchor_file;
	const char	*resume;	/* sessions with the same text may be
					 * resumed; NULL: never */
};
struct tls_stream;		/* belongs to its io */

/*
 * The handshake, within the io's patience and deadline; then all that the io
 * reads and writes goes through TLS. Input that was buffered before is the
 * caller's to discard. On failure (-1) *why says what went wrong ("lost
 * connection", "TLS handshake timed out", OpenSSL's reason, "server
 * certificate does not match ...") and the io may only be closed: both sides
 * then know. A certificate that does not satisfy the level is no failure here:
 * see summary->trust.
 */
WAITS int	 tls_start(struct io *, struct tls_context *,
		    const struct tls_wishes *, struct pool *,
		    struct tls_stream **, struct tls_summary *,
		    const char **why);

/* Bytes that belong to this session alone, for SCRAM-...-PLUS (RFC 9266
 * tls-exporter, RFC 5929 tls-server-end-point); their number, 0: not to be
 * had. */
enum tls_binding { TLS_EXPORTER, TLS_SERVER_END_POINT };
size_t		 tls_bind(struct tls_stream *, enum tls_binding,
		    unsigned char to[64]);

/* "TLSv1.3 with cipher NAME (256/256 bits) key-exchange X25519 ...": the end
 * of Postfix's log line, and its part of Received (with '\n' to fold). */
const char	*tls_describe(struct pool *, const struct tls_summary *);
const char	*tls_trace(struct pool *, const struct tls_summary *,
		    bool asked_certificate);

#endif
