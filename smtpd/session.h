#ifndef SMTPD_SESSION_H
#define SMTPD_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/fiber/io.h"
#include "common/ipc/link.h"
#include "common/ipc/packets.h"
#include "common/net/inetaddr.h"

/* How often a command came, and how often it was good. */
struct tally {
	unsigned	 good, all;
};
enum { COMMANDS = 16 };

/* One transaction: everything between MAIL and its end, in one pool. Every
 * way it can end is transaction_end(). */
struct transaction {
	struct pool		*pool;
	char			*sender;
	int64_t			 flags;		/* enum mail_flags */
	int64_t			 size_hint;
	char			*envelope_id, *return_what;	/* DSN, or "" */
	char			*verp;		/* delimiters, or "" */
	struct recipient_row	*recipients;
	size_t			 count, room;
	size_t			 over_limit;
};

/* One visit of a client. */
struct session {
	struct pool		*pool;
	struct io		*io;
	struct fiber		*fiber;

	/* who: client.c */
	struct inetaddr		 address;
	char			 address_text[INETADDR_TEXT];
	const char		*name;		/* verified, or "unknown" */
	const char		*ident;		/* "name[address]" for logs */
	bool			 is_trusted;	/* in mynetworks */
	bool			 may_verp;	/* and may ask for XVERP */
	bool			 is_counted;	/* anvil knows of us */

	/* what was said: session.c */
	char			 helo[256];	/* "" before EHLO or HELO */
	bool			 is_extended;	/* EHLO */
	struct transaction	*mail;		/* NULL outside one */
	const char		*last_command;	/* for the log */
	bool			 is_over, is_waiting;

	/* how it behaved: limits.c */
	unsigned		 errors, junk, delayed, etrns;
	struct tally		 tallies[COMMANDS];
	bool			 had_bare_lf;
	struct record		*record;	/* transcript.c; or NULL */
};

/* Where the others are reached; set by main.c. */
extern struct link	*to_cleanup, *to_resolve, *to_dns, *to_anvil,
			*to_qmgr, *to_bounce;

/* The visit from greeting to goodbye, on a fiber of its own. */
WAITS void	 session_run(int fd);

/* Visits now, and the end of those that are idle (the system stops). */
unsigned	 session_count(void);
void		 session_end_idle(void);

struct transaction *transaction_begin(struct session *);
/* End the transaction, however it went. Fine without one. */
void		 transaction_end(struct session *);

#endif
