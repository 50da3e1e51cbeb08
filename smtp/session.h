#ifndef SMTP_SESSION_H
#define SMTP_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/fiber/io.h"
#include "common/mail/smtp.h"

#include "smtp/hosts.h"

/* A conversation with one host, kept warm between messages. */
struct connection {
	struct pool	*pool;
	struct io	*io;
	const char	*host;		/* "mx.example.net" */
	const char	*name;		/* "mx.example.net[192.0.2.1]" */
	const char	*relay;		/* name and ":25", for the log */
	const char	*key;		/* whose mail it may carry: cache.c */

	bool		 has_pipelining, has_8bit, has_size, has_dsn;
	int64_t		 size_limit;	/* 0: none told */

	unsigned	 uses;
	int64_t		 born, idle_since;
	bool		 needs_reset;	/* a transaction was left half way */
	bool		 is_broken;	/* nothing more can be said */
	const char	*doing;		/* "sending RCPT TO", for errors */
	void		*slot;		/* cache.c: its place there */
};

/*
 * Connect, hear the greeting, say EHLO (HELO if refused). NULL with *why
 * ("connect to H[A]:25: Connection refused", "host H[A] refused to talk to
 * me: 421 ...") and *dsn; *is_permanent for a 5xx that stands.
 */
WAITS struct connection *connection_open(struct pool *for_errors,
		    const struct target *, const char *key, const char **why,
		    const char **dsn, bool *is_permanent);

/* QUIT if the conversation allows it, without waiting for the answer. */
WAITS void	 connection_close(struct connection *);

/*
 * The next reply, within so many milliseconds; its text is in the pool. -1:
 * the conversation is over (is_broken set); connection_complaint() says how.
 */
WAITS int	 connection_hear(struct connection *, struct pool *,
		    struct smtp_reply *, int64_t patience);
const char	*connection_complaint(struct connection *, struct pool *,
		    int error);

#endif
