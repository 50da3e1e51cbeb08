#ifndef SMTP_SESSION_H
#define SMTP_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/fiber/io.h"
#include "common/mail/smtp.h"
#include "common/tls/tls.h"

#include "smtp/allowance.h"
#include "smtp/hosts.h"
#include "smtp/transcript.h"

struct delivery;

/* A conversation with one host, kept warm between messages. */
struct connection {
	struct pool	*pool;
	struct io	*io;
	const char	*host;		/* "mx.example.net" */
	const char	*name;		/* "mx.example.net[192.0.2.1]" */
	const char	*relay;		/* name and ":25", for the log */
	const char	*endpoint;	/* whom else it may serve: cache.c */
	const char	*protection;	/* the last word of that */
	struct delivery	*user;		/* who speaks now, or NULL */
	int64_t		 deadline;	/* of that delivery */
	struct dialogue *dialogue;
	int		 detail;	/* of the log: daemon/peers.h */

	struct target	 target;	/* to begin another one */

	bool		 is_encrypted;
	struct tls_stream *stream;	/* if it is */
	struct tls_summary tls;

	bool		 has_pipelining, has_8bit, has_size, has_dsn, has_utf8;
	bool		 has_chunking, has_starttls;
	unsigned	 xforward;	/* attributes, as origin.h has them */
	bool		 delays_dot;	/* pix.h */
	struct allowance allowance;
	int64_t		 size_limit;	/* 0: none told */

	const char	*mechanisms;	/* of AUTH, as offered */
	bool		 avoids_auth;	/* we were told to discard it */
	bool		 is_authenticating, is_authenticated;
	const char	*hidden[2];	/* what no log may show: a response, a
					 * password; or NULL */

	unsigned	 uses;
	int64_t		 born, idle_since;
	bool		 needs_reset;	/* a transaction was left half way */
	unsigned	 blanks;	/* empty lines where replies were due */
	bool		 is_broken;	/* nothing more can be said */
	bool		 has_said_421;
	bool		 is_extended;	/* it was told EHLO */
	const char	*doing;		/* "sending RCPT TO", for errors */
	void		*slot;		/* cache.c: its place there */
};

/* Why a host or a session was of no use; text in the delivery's pool. */
struct failure {
	const char	*dsn, *why;
	const char	*relay;		/* "none", or who it was */
	const char	*remote;	/* "dns; mx.example.net" or "" */
	const char	*diagnostic;	/* "smtp; 554 ..." or "" */
	bool		 is_permanent;
	bool		 is_final;	/* nobody else is to be asked */
	bool		 is_timeout;	/* he was there, and silent */
	bool		 is_ours;	/* it tells nothing of the site */
	bool		 wants_helo;	/* it hung up when it heard EHLO */
	bool		 wants_clear;	/* TLS failed, and need not be */
};

/*
 * Connect, hear the greeting, say EHLO (HELO if refused) or LHLO. NULL with
 * *failure ("connect to H[A]:25: Connection refused", "host H[A] refused to
 * talk to me: 421 ..."). `endpoint` is kept for the cache.
 */
WAITS struct connection *connection_open(struct delivery *,
		    const struct target *, const struct nexthop *,
		    const char *endpoint, struct failure *);

/*
 * Give it up: QUIT if the conversation allows it, on a fiber of its own.
 * connection_unsaid() counts those whose QUIT has not been sent yet.
 */
void		 connection_close(struct connection *);
unsigned	 connection_unsaid(void);

/* Write one command; io_flush() sends it. `format` is without CRLF; what would
 * be more than one command is none (-1, EINVAL). */
WAITS int	 connection_say(struct connection *, const char *format, ...)
		    __attribute__((format(printf, 2, 3)));

/* The same with a secret in it: the log shows something else. */
WAITS int	 connection_say_hidden(struct connection *, const char *shown,
		    const char *line);

/* Send what was written, within so many milliseconds. */
WAITS int	 connection_flush(struct connection *, int64_t patience);

/*
 * The next reply, within so many milliseconds; its text is in the pool. -1:
 * the conversation is over (is_broken set); connection_complaint() says how.
 */
WAITS int	 connection_hear(struct connection *, struct pool *,
		    struct smtp_reply *, int64_t patience);
const char	*connection_complaint(struct connection *, struct pool *,
		    int error);

/* Code and text on one line, as the host said it. */
char		*connection_said(struct pool *, const struct smtp_reply *);

#endif
