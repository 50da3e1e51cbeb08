#ifndef SMTPD_REPLIES_H
#define SMTPD_REPLIES_H

#include "common/fiber/fiber.h"

struct session;

/* Every sentence that smtpd says, by name; the words are in replies.c. */
enum reply {
	REPLY_GREETING, REPLY_HELLO, REPLY_OFFER,
	REPLY_OK, REPLY_BYE, REPLY_HELP, REPLY_CANNOT_VRFY,
	REPLY_SENDER_OK, REPLY_RECIPIENT_OK, REPLY_GO_AHEAD,
	REPLY_SHUTTING_DOWN, REPLY_TOO_BUSY, REPLY_TOO_MANY_CONNECTIONS,
	REPLY_TOO_FAST, REPLY_TIMEOUT, REPLY_TOO_MANY_ERRORS,
	REPLY_UNKNOWN_COMMAND, REPLY_NOT_HTTP, REPLY_LINE_TOO_LONG,
	REPLY_BAD_SYNTAX, REPLY_BAD_HELO,
	REPLY_NO_ARGUMENT, REPLY_NEED_HELO, REPLY_NEED_MAIL, REPLY_NESTED_MAIL,
	REPLY_NEED_RCPT, REPLY_VRFY_OFF, REPLY_NO_COMMAND,
	REPLY_BAD_SENDER, REPLY_BAD_RECIPIENT, REPLY_BAD_PARAMETER,
	REPLY_BAD_WISH, REPLY_BAD_VERP, REPLY_UNKNOWN_PARAMETER,
	REPLY_NEED_EHLO,
	REPLY_TOO_BIG, REPLY_NO_SPACE, REPLY_TOO_MANY_RECIPIENTS,
	REPLY_NO_SERVICE, REPLY_MISCONFIGURED,
	REPLY_LOOKUP_FAILED, REPLY_RELAY_DENIED, REPLY_RELAY_DEFERRED,
	REPLY_RECIPIENT_DENIED, REPLY_RECIPIENT_DEFERRED, REPLY_UNKNOWN_USER,
	REPLY_BARE_LF,
	REPLY_ETRN_SYNTAX, REPLY_IN_TRANSACTION, REPLY_ETRN_STARTED,
	REPLY_ETRN_COUNTED, REPLY_ETRN_NONE, REPLY_ETRN_LATER,
	REPLY_ETRN_REFUSED, REPLY_ETRN_DENIED, REPLY_ETRN_QUEUE,
	REPLIES
};

/* RFC 5321 4.5.3.1.5: 512 octets with CRLF, here NUL instead of one. */
enum { REPLY_LINE = 511 };

enum { REFUSED = -2, GONE = -1, DONE = 0 };

/*
 * Say a sentence; further arguments fill its %s. DONE for a 2yz or 3yz,
 * REFUSED for a 4yz or 5yz, GONE when the client is (then nothing was said).
 */
WAITS int	 say(struct session *, enum reply, ...);

/* Say a line that came from elsewhere, "250 2.0.0 Ok: queued as ...". */
WAITS int	 say_line(struct session *, const char *line);

/* The sentence as text, for the log and for say_line(): what is said is what
 * is logged, also with soft_bounce. */
const char	*reply_text(char line[REPLY_LINE], enum reply, ...);

/* With soft_bounce, "550 5.1.1 ..." from elsewhere becomes "450 4.1.1 ...";
 * the line may be longer than what is kept of it. */
const char	*reply_soften(char line[REPLY_LINE], const char *from);

#endif
