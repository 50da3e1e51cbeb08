#ifndef SMTPD_SESSION_H
#define SMTPD_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/base/mem.h"
#include "common/fiber/io.h"
#include "common/ipc/link.h"
#include "common/ipc/packets.h"
#include "common/net/inetaddr.h"

/* How often a command came, and how often it was good. */
struct tally {
	unsigned	 good, all;
};
enum { COMMANDS = 24 };

struct arrival;
struct cover;

/* How long a client has been waited for: turns.c. */
struct turn {
	bool			 is_on, is_text;
	unsigned		 rank;
	int64_t			 since;
	int64_t			 spent;	/* of the message's allowance */
	int64_t			 bytes;	/* of it, not credited yet */
	TAILQ_ENTRY(session)	 next;
};
enum dismissal { NOT_DISMISSED, DISMISSED_FOR_ROOM, DISMISSED_AS_SLOW };

/* One transaction: everything between MAIL and its end, in one pool. Every
 * way it can end is transaction_end(). */
struct transaction {
	struct pool		*pool;
	struct pool		*scratch;	/* while RCPT is looked at */
	char			*sender;
	int64_t			 flags;		/* enum mail_flags */
	int64_t			 size_hint;
	char			*envelope_id, *return_what;	/* DSN, or "" */
	char			*verp;		/* delimiters, or "" */
	char			*author;	/* AUTH= of MAIL, or "" */
	const char		*owners;	/* of the sender: logins.c */
	struct recipient_row	*recipients;
	size_t			 count, room;
	size_t			 over_limit;
	bool			 had_rcpt;	/* good or not */
	struct arrival		*arrival;	/* on its way; or NULL */
	bool			 is_failed;	/* a BDAT was refused */
};

/* One visit of a client. */
struct session {
	struct pool		*pool;
	struct io		*io;
	struct fiber		*fiber;

	/* who: client.c */
	struct inetaddr		 address;	/* of the client, with port */
	struct inetaddr		 server;	/* where it connected to */
	char			 address_text[INETADDR_TEXT]; /* or "unknown" */
	const char		*name;		/* verified, or "unknown" */
	const char		*reverse_name;	/* not verified, or "unknown" */
	const char		*login;		/* of AUTH or XCLIENT, or "" */
	const char		*ident;		/* "name[address]" for logs */
	bool			 is_trusted;	/* in mynetworks */
	bool			 may_verp;	/* and may ask for XVERP */
	bool			 may_xclient, may_xforward;
	bool			 is_counted;	/* anvil knows of us */
	int64_t			 shown_port;	/* in the log; 0: not there */
	int			 detail;	/* of the log: peers.h */

	/* encryption: starttls.c */
	struct cover		*tls;		/* NULL: in clear */
	bool			 may_starttls;	/* it would work now */

	/* authentication: auth.c */
	char			 mechanisms[256]; /* of EHLO's answer, or "" */
	char			 login_method[32]; /* "" after XCLIENT */
	unsigned		 refused_logins;
	struct pool		*secret;	/* of the last line: hear.c */

	/* what was said: session.c */
	char			 helo[256];	/* "" before EHLO or HELO */
	bool			 is_extended;	/* EHLO */
	struct transaction	*mail;		/* NULL outside one */
	struct forwarded	*forwarded;	/* by XFORWARD: xclient.c */
	const char		*last_command;	/* for the log */
	bool			 is_over, is_waiting;
	bool			 is_early;	/* before it was greeted */
	bool			 is_forgiven;	/* this error, not counted */
	bool			 takes_utf8;	/* in this reply: unicode.c */
	const char		*discards;	/* EHLO keywords; or NULL */
	char			*filtered;	/* a command; gate.c */
	bool			 is_denied;	/* only QUIT is heard */
	bool			 hears_chunk;	/* the line begins with BDAT */
	int64_t			 received;	/* bytes after DATA */

	/* how it behaved: limits.c, turns.c */
	unsigned		 errors, junk, delayed, seen_errors, etrns;
	struct turn		 turn;
	enum dismissal		 dismissal;
	struct tally		 tallies[COMMANDS];
	bool			 had_bare_lf;
	struct record		*record;	/* transcript.c; or NULL */
	bool			 has_auth;	/* the last command */
};

/* Where the others are reached; set by main.c. */
extern struct link	*to_cleanup, *to_resolve, *to_dns, *to_anvil,
			*to_qmgr, *to_bounce, *to_auth;

/* The visit from greeting to goodbye, on a fiber of its own. */
WAITS void	 session_run(int fd);

/* Say 220, or why not now: DONE, REFUSED, GONE. XCLIENT begins again here. */
WAITS int	 session_greet(struct session *);

/* Visits now, and the end of those that are idle (the system stops). */
unsigned	 session_count(void);
void		 session_end_idle(void);

struct transaction *transaction_begin(struct session *);
/* End the transaction, however it went. Fine without one. */
void		 transaction_end(struct session *);

#endif
