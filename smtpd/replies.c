/*
 * replies.c - every sentence we say, with its codes.
 *
 * One table, so that an administrator can read all of it at once, and so that
 * no code and text are ever told apart. Basic codes are from RFC 5321 4.2.2
 * and 4.2.3, enhanced ones from RFC 3463 and RFC 5248.
 */

#include "smtpd/replies.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/mail/chars.h"
#include "common/param/site.h"

#include "smtpd/footer.h"
#include "smtpd/session.h"
#include "smtpd/transcript.h"
#include "smtpd/unicode.h"

#pragma GCC diagnostic ignored "-Wformat-nonliteral"	/* the table's */

static const char *const sentences[REPLIES] = {
	[REPLY_GREETING] =	"220 %s",
	[REPLY_GREETING_PART] =	"220-%s",
	[REPLY_REFUSAL] =	"%.3s %s %s",
	[REPLY_NO_MAIL_HERE] =	"521 5.3.2 This host takes no mail",
	[REPLY_OUT_OF_STEP] =	"554 5.5.0 Error: SMTP protocol "
				"synchronization",
	[REPLY_EARLY] =		"550 5.5.1 <%s>: Protocol error",
	[REPLY_EARLY_DROP] =	"521 5.5.1 Protocol error",
	[REPLY_HELLO] =		"250 %s",
	[REPLY_OFFER] =		"250-%s",

	[REPLY_OK] =		"250 2.0.0 Ok",
	[REPLY_BYE] =		"221 2.0.0 %s Bye",
	[REPLY_HELP] =		"214 2.0.0 EHLO HELO MAIL RCPT DATA BDAT RSET "
				"NOOP VRFY EXPN ETRN HELP QUIT; RFC 5321 tells "
				"the rest",
	[REPLY_CANNOT_VRFY] =	"252 2.0.0 <%s>",
	[REPLY_VRFY_UNKNOWN] =	"550 5.1.1 <%s>: User unknown",
	[REPLY_NO_LIST] =	"550 5.1.1 <%s>: this is no list",
	[REPLY_MEMBER] =	"250-2.1.5 <%s>",
	[REPLY_LAST_MEMBER] =	"250 2.1.5 <%s>",
	[REPLY_SENDER_OK] =	"250 2.1.0 Ok",
	[REPLY_RECIPIENT_OK] =	"250 2.1.5 Ok",
	[REPLY_GO_AHEAD] =	"354 End data with <CR><LF>.<CR><LF>",

	[REPLY_SHUTTING_DOWN] =	"421 4.3.2 %s Service shutting down",
	[REPLY_TOO_MANY_CONNECTIONS] =
				"421 4.7.0 %s Error: too many connections "
				"from %s",
	[REPLY_TOO_FAST] =	"421 4.7.0 %s Error: too many connections in "
				"a minute from %s",
	[REPLY_TOO_MUCH_MAIL] =	"450 4.7.1 Error: too much mail from %s",
	[REPLY_RECIPIENTS_TOO_FAST] =
				"450 4.7.1 Error: too many recipients from %s",

	/* RFC 3207 4, 4.1 */
	[REPLY_READY_FOR_TLS] =	"220 2.0.0 Ready to start TLS",
	[REPLY_NO_TLS] =	"454 4.7.0 TLS not available due to local "
				"problem",
	[REPLY_TLS_TWICE] =	"503 5.5.1 Error: TLS is on already",
	[REPLY_NEED_TLS] =	"530 5.7.0 Must issue a STARTTLS command first",
	[REPLY_TLS_TOO_WEAK] =	"554 5.7.0 Command refused: this service needs "
				"a client certificate that it can verify",
	[REPLY_TOO_MANY_TLS] =	"454 4.7.0 Error: too many new TLS sessions "
				"from %s",
	[REPLY_PLAIN_SESSION] =	"%03d 5.7.1 Session encryption is required",

	[REPLY_BUSY] =		"421 4.3.2 %s Error: all sessions are in use, "
				"try again later",
	[REPLY_TIMEOUT] =	"421 4.4.2 %s Error: timeout exceeded",
	[REPLY_ENDLESS_LINE] =	"421 4.7.0 %s Error: line too long",
	[REPLY_TOO_MANY_ERRORS] =
				"421 4.7.0 %s Error: too many errors",

	[REPLY_UNKNOWN_COMMAND] =
				"500 5.5.2 Error: command not recognized",
	[REPLY_NOT_MAIL] =	"221 2.7.0 %s Error: this is a mail server; "
				"goodbye",
	[REPLY_EIGHT_BITS] =	"500 5.5.2 Error: a command has only ASCII",
	[REPLY_FILTER_FAILED] =	"451 4.3.0 Temporary lookup failure",
	[REPLY_LINE_TOO_LONG] =	"500 5.5.2 Error: line too long",
	[REPLY_BAD_SYNTAX] =	"501 5.5.4 Syntax: %s",
	[REPLY_BAD_HELO] =	"501 5.5.2 <%s>: Helo command rejected: "
				"Invalid name",
	[REPLY_NO_ARGUMENT] =	"501 5.5.4 Syntax: %s takes no argument",
	[REPLY_NEED_HELO] =	"503 5.5.1 Error: send HELO/EHLO first",
	[REPLY_NEED_MAIL] =	"503 5.5.1 Error: need MAIL command",
	[REPLY_NESTED_MAIL] =	"503 5.5.1 Error: nested MAIL command",
	[REPLY_NEED_RCPT] =	"503 5.5.1 Error: need RCPT command",
	[REPLY_NO_RECIPIENTS] =	"554 5.5.1 Error: no valid recipients",
	[REPLY_AFTER_BDAT] =	"503 5.5.1 Error: %s after BDAT",
	[REPLY_BDAT_FAILED] =	"503 5.5.1 Error: an earlier BDAT failed, send "
				"RSET",
	[REPLY_CHUNK_OK] =	"250 2.0.0 Ok: %lld bytes",
	[REPLY_NEED_EHLO_FIRST] =
				"503 5.5.1 Error: send EHLO first",
	[REPLY_NO_COMMAND] =	"502 5.5.1 %s command is not available",

	[REPLY_BAD_SENDER] =	"501 5.1.7 Bad sender address syntax: %s",
	[REPLY_BAD_RECIPIENT] =	"501 5.1.3 Bad recipient address syntax: %s",
	[REPLY_BAD_UNICODE] =	"553 5.6.7 Error: %s",
	[REPLY_BAD_PARAMETER] =	"501 5.5.4 Bad value for parameter %s",
	[REPLY_BAD_WISH] =	"501 5.5.4 Error: %s",
	[REPLY_BAD_VERP] =	"501 5.5.4 Bad value for parameter XVERP: %s",
	[REPLY_UNKNOWN_PARAMETER] =
				"555 5.5.4 Unsupported option: %s",
	[REPLY_NEED_EHLO] =	"503 5.5.1 Error: parameter %s needs EHLO",

	[REPLY_BAD_ATTRIBUTE] =	"501 5.5.4 %s",
	[REPLY_NOT_AUTHORIZED] =
				"550 5.7.0 Error: insufficient authorization",

	[REPLY_TOO_BIG] =	"552 5.3.4 Message size exceeds fixed limit",
	[REPLY_NO_SPACE] =	"452 4.3.1 Insufficient system storage",
	[REPLY_TOO_MANY_RECIPIENTS] =
				"452 4.5.3 Error: too many recipients",
	[REPLY_NO_SERVICE] =	"451 4.3.0 Error: queue file write error",
	[REPLY_MISCONFIGURED] =	"451 4.3.5 Server configuration error",
	[REPLY_LOOKUP_FAILED] =	"451 4.3.0 <%s>: Temporary lookup failure",

	[REPLY_RELAY_DENIED] =	"%03d 5.7.1 <%s>: Relay access denied",
	[REPLY_RELAY_DEFERRED] =
				"454 4.7.1 <%s>: Relay access denied",
	[REPLY_REJECTED] =	"554 5.7.1 <%s>: %s rejected: Access denied",
	[REPLY_DEFERRED] =	"450 4.7.1 <%s>: %s rejected: Try again later",
	[REPLY_DENIED] =	"503 5.7.0 Error: access denied for %s",
	[REPLY_UNKNOWN_USER] =	"%03d %.*s <%s>: Recipient address rejected: "
				"%s",
	[REPLY_BARE_LF] =	"%03d 5.5.2 %s Error: bare <LF> received",

	/* RFC 4954 4, 6 */
	[REPLY_AUTH_OK] =	"235 2.7.0 Authentication successful",
	[REPLY_AUTH_FAILED] =	"535 5.7.8 Error: authentication failed",
	[REPLY_AUTH_MALFORMED] =
				"501 5.5.2 Error: malformed authentication "
				"data",
	[REPLY_AUTH_ABORTED] =	"501 5.7.0 Error: authentication aborted",
	[REPLY_AUTH_TOO_LONG] =	"500 5.5.6 Error: authentication line too "
				"long",
	[REPLY_AUTH_LATER] =	"454 4.7.0 Temporary authentication failure",
	[REPLY_AUTH_UNKNOWN] =	"504 5.5.4 Error: authentication mechanism "
				"not supported",
	[REPLY_AUTH_TOO_WEAK] =	"534 5.7.9 Error: authentication mechanism is "
				"too weak",
	[REPLY_AUTH_NEEDS_TLS] =
				"538 5.7.11 Error: encryption required for "
				"authentication",
	[REPLY_AUTH_TWICE] =	"503 5.5.1 Error: already authenticated",
	[REPLY_TOO_MANY_LOGINS] =
				"450 4.7.1 Error: too many AUTH commands from "
				"%s",
	[REPLY_NEED_LOGIN] =	"530 5.7.0 Authentication required",
	[REPLY_NOT_OWNER] =	"553 5.7.1 <%s>: Sender address rejected: not "
				"owned by user %s",
	[REPLY_NOT_LOGGED_IN] =	"553 5.7.1 <%s>: Sender address rejected: not "
				"logged in",

	/* RFC 1985 5.2 */
	[REPLY_ETRN_SYNTAX] =	"500 5.5.2 Syntax: ETRN domain",
	[REPLY_IN_TRANSACTION] =
				"503 5.5.1 Error: MAIL transaction in progress",
	[REPLY_ETRN_STARTED] =	"250 2.0.0 Queuing for node %s started",
	[REPLY_ETRN_COUNTED] =	"253 2.0.0 OK, %lld pending messages for node "
				"%s started",
	[REPLY_ETRN_NONE] =	"251 2.0.0 OK, no messages waiting for node %s",
	[REPLY_ETRN_LATER] =	"458 4.4.5 Unable to queue messages for node "
				"%s",
	[REPLY_ETRN_REFUSED] =	"459 4.7.1 Node %s not allowed: no such "
				"service for it",
	[REPLY_ETRN_DENIED] =	"459 4.7.1 Node %s not allowed: access denied",
	[REPLY_ETRN_QUEUE] =	"459 4.3.3 Node %s not allowed: there are no "
				"queues by name"
};

/* Did these bytes begin with a permanent refusal, it is a temporary one now
 * (soft_bounce). */
static void
soften(char *line)
{
	if (!site.soft_bounce || line[0] != '5')
		return;
	line[0] = '4';
	if (strlen(line) > 4 && line[4] == '5')
		line[4] = '4';
}

/* RFC 2034 4: an administrator's code has the class of its first digit. */
static void
agree(char *line)
{
	if (strlen(line) > 5 && line[5] == '.' &&
	    (line[0] == '4' || line[0] == '5') &&
	    (line[4] == '4' || line[4] == '5'))
		line[4] = line[0];
}

/* Nothing that ends a line, and no other control byte. */
static void
disarm(char *line)
{
	for (; *line != '\0'; line++)
		if ((unsigned char)*line < ' ' || *line == 127)
			*line = '?';
}

/* The sentence with its gaps filled, one line; the usual ones have none. */
static void
fill(char line[REPLY_LINE], enum reply reply, va_list arguments)
{
	if (strchr(sentences[reply], '%') == NULL) {
		strlcpy(line, sentences[reply], REPLY_LINE);
		soften(line);
		return;
	}
	vsnprintf(line, REPLY_LINE, sentences[reply], arguments);
	disarm(line);
	agree(line);
	soften(line);
}

const char *
reply_soften(char line[REPLY_LINE], const char *from)
{
	strlcpy(line, from, REPLY_LINE);
	disarm(line);
	soften(line);
	return line;
}

/* RFC 6531 3.7.4: who does not expect UTF-8 gets question marks, and so does
 * everybody instead of what is none, as where a long line was cut. */
static const char *
make_readable(const struct session *s, struct pool *pool, const char *line)
{
	char	*copy, *at;

	if (unicode_may_reply(s) && utf8_is_valid(line, strlen(line)))
		return line;
	copy = pool_strdup(pool, line);
	for (at = copy; *at != '\0'; at++)
		if (is_8bit(*at))
			*at = '?';
	return copy;
}

/* One line. */
WAITS static int
write_line(struct session *s, const char *line)
{
	struct pool	*pool = NULL;
	int		 result;

	if (has_8bit(line, strlen(line))) {
		pool = pool_new("reply", 0);
		line = make_readable(s, pool, line);
	}
	transcript_said(s, line);
	result = io_write(s->io, line, strlen(line));
	if (result != -1)
		result = io_write(s->io, "\r\n", 2);
	pool_free(pool);
	return result == -1 ? -1 : 0;
}

/* A refusal and what is added to it. */
WAITS static int
write_refusal(struct session *s, const char *line)
{
	struct pool	*pool;
	const char	*lines[FOOTER_LINES];
	size_t		 count, i;
	int		 result = 0;

	if (!footer_is_wanted())
		return write_line(s, line);
	pool = pool_new("refusal", 0);
	count = footer_add(s, pool, line, lines);
	for (i = 0; i < count && result == 0; i++)
		result = write_line(s, lines[i]);
	pool_free(pool);
	return result;
}

int
say_line(struct session *s, const char *line)
{
	if (line[0] == '2' || line[0] == '3')
		return write_line(s, line) == -1 ? GONE : DONE;
	return write_refusal(s, line) == -1 ? GONE : REFUSED;
}

int
say(struct session *s, enum reply reply, ...)
{
	va_list	arguments;
	char	line[REPLY_LINE];

	va_start(arguments, reply);
	fill(line, reply, arguments);
	va_end(arguments);
	return say_line(s, line);
}

const char *
reply_text(char line[REPLY_LINE], enum reply reply, ...)
{
	va_list	arguments;

	va_start(arguments, reply);
	fill(line, reply, arguments);
	va_end(arguments);
	return line;
}
