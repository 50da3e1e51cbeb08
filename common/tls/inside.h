#ifndef TLS_INSIDE_H
#define TLS_INSIDE_H

#include <sys/queue.h>

#include <openssl/err.h>

#include "common/tls/tls.h"

/*
 * What the files of this directory's core tell each other; nobody else
 * includes it.
 */

/* The rows' values (settings.c). */
struct tls_set {
	char	*high, *medium, *null;		/* lists of ciphers */
	bool	 preempt, appends_default_ca, wide_wildcards;
	char	*options, *no_workarounds;
	char	*curves, *groups;
};
extern struct tls_set	tls_set;

/* Options of OpenSSL by their names in tls_ssl_options and
 * tls_disable_workarounds. NULL, or what is wrong, in the pool. */
const char	*ssl_options_parse(struct pool *, uint64_t *options);

/* The words of a ..._protocols parameter (protocols.c). */
struct protocols {
	int		 min, max;	/* TLS1_2_VERSION ... */
	uint64_t	 holes;		/* SSL_OP_NO_... between them */
};
const char	*protocols_parse(struct pool *, const char *words,
		    struct protocols *);

/* A grade and exclusions as OpenSSL writes them (ciphers.c). */
const char	*ciphers_list(struct pool *, enum tls_role,
		    const struct tls_wishes *, const char **list);
bool		 ciphers_is_null(const char *grade);
const char	*ciphers_unknown(struct pool *, const char *list);

/* What is trusted, by files (trust.c). NULL with *why. */
X509_STORE	*trust_new(struct pool *, const struct tls_setup *,
		    STACK_OF(X509_NAME) *names, const char **why);
STACK_OF(X509)	*trust_anchors(struct pool *, const char *file,
		    const char **why);

enum { KEY_SIZE = 32, PROFILES = 16 };

/* One set of protocols and ciphers, made when it is first wished for. */
struct profile {
	char		*text;		/* the wishes; NULL: a free place */
	SSL_CTX		*ssl;
	uint64_t	 used;		/* when, in calls */
};
/* A file of trust anchors, loaded at start. */
struct anchors {
	SLIST_ENTRY(anchors)	 next;
	const char		*file;
	STACK_OF(X509)		*certificates;
};
/* A session that may be resumed. */
struct kept {
	TAILQ_ENTRY(kept)	 next;		/* the freshest first */
	unsigned char		 key[KEY_SIZE];
	SSL_SESSION		*session;
};

struct tls_context {
	struct pool		*pool;
	struct tls_setup	 setup;
	X509_STORE		*trust;
	STACK_OF(X509_NAME)	*names;		/* of CAs, told to clients */
	SLIST_HEAD(, anchors)	 anchors;
	EVP_CIPHER		*cipher;	/* of tickets */
	unsigned char		 policy[KEY_SIZE]; /* session id context */
	struct profile		 profiles[PROFILES];
	uint64_t		 calls;
	TAILQ_HEAD(kept_list, kept) kept;
	size_t			 kept_count;
};

/* The profile for these wishes; NULL with *why. */
SSL_CTX		*context_profile(struct tls_context *,
		    const struct tls_wishes *, struct pool *,
		    const char **why);

struct tls_stream {
	SSL			*ssl;
	struct io		*io;
	struct tls_context	*context;
	bool			 is_busy;	/* a call into SSL is running */
	bool			 is_done;	/* the handshake is */
	bool			 is_deaf, is_mute;	/* nothing more to be
						 * read, written */
	size_t			 budget;	/* bytes that may be read from
						 * the peer before there is
						 * data */
	int			 error;		/* errno of the last one */
	/* server: hello.c */
	const char		*sni;		/* "" or a good name */
	bool			 has_hello, has_identity, has_no_identity;
	size_t			 chain_count;	/* installed */
	/* client: resume.c */
	bool			 wants_resume;
	int64_t			 kept_until;	/* the session of before */
	unsigned char		 key[KEY_SIZE];
	STACK_OF(X509)		*anchors;	/* instead of the trust */
	struct pool		*pool;		/* during the handshake */
	X509			*shown;		/* ours, after it; or NULL */
};
struct tls_stream *stream_of(SSL *);

/* The peer's bytes, counted (wire.c). */
BIO		*wire_new(struct tls_stream *);

/* hello.c */
int		 hello_heard(SSL *, int *alert, void *);
int		 hello_named(SSL *, int *alert, void *);
int		 hello_alpn(SSL *, const unsigned char **, unsigned char *,
		    const unsigned char *, unsigned, void *);
/* Find and install who we are for this name. */
WAITS int	 hello_answer(struct tls_stream *, const char **why);

/* identity.c: 0, or -1 with *why when no chain can be used. */
int		 identity_install(struct tls_stream *, struct tls_identity *,
		    const char **why);

/* tickets.c */
bool		 tickets_are_there(struct tls_context *);
int		 tickets_key(SSL *, unsigned char *name, unsigned char *iv,
		    EVP_CIPHER_CTX *, EVP_MAC_CTX *, int is_sealing);
SSL_TICKET_RETURN tickets_judge(SSL *, SSL_SESSION *,
		    const unsigned char *, size_t, SSL_TICKET_STATUS, void *);

/* resume.c */
void		 resume_key(unsigned char key[KEY_SIZE],
		    const struct tls_wishes *);
SSL_SESSION	*resume_take(struct tls_context *, const unsigned char *key);
int		 resume_keep(SSL *, SSL_SESSION *);
void		 resume_refuse(struct tls_stream *);
void		 resume_forget(struct tls_context *);

/* verify.c */
int		 verify_chain(X509_STORE_CTX *, void *);
void		 verify_judge(struct tls_stream *, const struct tls_wishes *,
		    struct pool *, struct tls_summary *);

/* names.c: does a name of a certificate stand for the one that is wanted
 * ("a.example", or ".example" for all below it)? */
bool		 name_matches(const char *certified, const char *wanted,
		    bool is_wide);
/* Text of strangers as printable ASCII, at most 256 bytes of it. */
const char	*name_printable(struct pool *, const ASN1_STRING *);
/* The common name of a subject or issuer, else its organisation; or "". */
const char	*name_common(struct pool *, const X509_NAME *);
/* The dNSNames of a certificate, *count of them; good ones only. *has_any: of
 * whatever quality. Without any, the common name. */
const char	**name_list(struct pool *, X509 *, size_t *count);

/* summary.c */
void		 summary_fill(struct tls_stream *, struct pool *,
		    struct tls_summary *);

/* OpenSSL's reason for the oldest error in the queue, which is emptied. */
const char	*reason(struct pool *);

#endif
