/*
 * session.c - one dialogue: what is said, replies, goodbye.
 *
 * Called by transaction.c and data.c (which speak the transactions), and by
 * cache.c (which keeps conversations warm); open.c begins one. What a host
 * says is trusted for its code only; its text is bounded, and escaped where
 * it is shown.
 */

#include "smtp/session.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/str.h"
#include "common/daemon/daemon.h"

#include "smtp/content.h"
#include "smtp/delivery.h"
#include "smtp/settings.h"
#include "smtp/tables.h"

enum {
	/* RFC 5321 4.5.3.1.5: hosts say more than 512 bytes, and who does not
	 * read a long "250" to the dot delivers twice. What we show is less. */
	REPLY_LINE = 16 * 1024,
	REPLY_SHOWN = 2048,
	REPLY_ROOM = 4000,
	LAST_WORD = 10 * 1000,		/* for QUIT to be sent */
	CODE = 4,			/* "535 " */
	SECRET_MIN = 4,			/* shorter ones are in every word */
	GOODBYES_MAX = 200,		/* more at once are cut short */
	BLANKS_MAX = 1000		/* lines of one conversation */
};

static unsigned	unsaid;		/* QUITs that are not sent yet */
static unsigned	goodbyes;	/* conversations that are ending */

/* --- saying -------------------------------------------------------------- */

/* The last line of defence: whatever a queue file or a table says, one command
 * stays one command. */
WAITS static int
write_command(struct connection *c, struct str *line)
{
	if (line->data[strcspn(line->data, "\r\n")] != '\0') {
		errno = EINVAL;
		return -1;
	}
	transcript_out(c->dialogue, line->data);
	if (c->detail > 0)
		log_info("> %s: %s", c->relay, line->data);
	str_add(line, "\r\n");
	return io_write(c->io, line->data, line->len);
}

int
connection_say(struct connection *c, const char *format, ...)
{
	struct pool	*pool = pool_new("command", 0);
	struct str	 line;
	va_list		 args;
	int		 result, error;

	str_init(&line, pool, 0);
	va_start(args, format);
	str_addv(&line, format, args);
	va_end(args);
	result = write_command(c, &line);
	error = errno;
	pool_free(pool);
	errno = error;
	return result;
}

int
connection_say_hidden(struct connection *c, const char *shown,
    const char *line)
{
	if (line[strcspn(line, "\r\n")] != '\0') {
		errno = EINVAL;
		return -1;
	}
	transcript_out(c->dialogue, shown);
	if (c->detail > 0)
		log_info("> %s: %s", c->relay, shown);
	return io_write(c->io, line, strlen(line)) == -1 ? -1 :
	    io_write(c->io, "\r\n", 2);
}

/* The instant that no wait for this request passes. */
static int64_t
limit_of(const struct connection *c, int64_t patience)
{
	int64_t	limit = c->deadline;

	if (set.has_request_deadline && clock_now() + patience < limit)
		limit = clock_now() + patience;
	return limit;
}

int
connection_flush(struct connection *c, int64_t patience)
{
	io_patience(c->io, patience);
	io_deadline(c->io, limit_of(c, patience));
	return io_flush(c->io);
}

/* --- hearing ------------------------------------------------------------- */

/* A host that repeats our secrets in its text does so for nobody's eyes. */
static void
hide(const struct connection *c, char *line, size_t len)
{
	size_t	 i, secret_len;
	char	*at;

	for (i = 0; i < 2 && len > CODE; i++) {
		secret_len = c->hidden[i] == NULL ? 0 : strlen(c->hidden[i]);
		if (secret_len < SECRET_MIN)
			continue;
		for (at = line + CODE; (at = strstr(at, c->hidden[i])) !=
		    NULL; at += secret_len)
			memset(at, '*', secret_len);
	}
}

/* For the postmaster and the log. A challenge is kept whole for who answers
 * it, and shown to nobody. */
static void
show(const struct connection *c, char *line, size_t len)
{
	const char	*shown = line;

	if (c->is_authenticating && strncmp(line, "334", 3) == 0)
		shown = "334 ...";
	else
		hide(c, line, len);
	transcript_in(c->dialogue, shown);
	if (c->detail > 0)
		log_info("< %s: %s", c->relay, shown);
}

/* A line of a reply: kept for the postmaster, changed as smtp_reply_filter
 * wants it, checked. */
WAITS static int
take_line(struct connection *c, struct smtp_reply *reply, struct pool *pool,
    char *line, size_t len)
{
	const char	*filtered = line;

	if (memchr(line, '\0', len) != NULL)
		return -1;
	show(c, line, len);
	if (len > REPLY_SHOWN && !c->is_authenticating)
		line[REPLY_SHOWN] = '\0';
	if (c->user != NULL && table_is_set(TABLE_REPLY_FILTER)) {
		filtered = content_reply(c->user, pool_strdup(pool, line));
		filtered = pool_strndup(pool, filtered,
		    strcspn(filtered, "\n"));
	}
	return smtp_reply_add(reply, filtered) == NULL ? 0 : -1;
}

/* RFC 5321 4.3.1: 50z is about syntax, and 555 about parameters: one of us
 * does not know the protocol. */
static bool
is_protocol_error(int code)
{
	return (code >= 500 && code < 510) || code == 555;
}

/* One line. A reply that takes the whole delivery's time is none, however
 * steadily it comes. */
WAITS static int
hear_line(struct connection *c, struct smtp_reply *reply, struct pool *pool)
{
	char	*line;
	size_t	 len;
	int	 got;

	if (clock_now() >= c->deadline) {
		c->is_broken = true;
		errno = ETIMEDOUT;
		return -1;
	}
	got = io_line(c->io, &line, &len, REPLY_LINE, NULL);
	/* Some end a line twice. */
	if (got == 1 && len == 0 && c->blanks++ < BLANKS_MAX)
		return 0;
	if (got == 1) {
		if (take_line(c, reply, pool, line, len) == 0)
			return 0;
		errno = EPROTO;
	} else if (got == 0)
		errno = ECONNRESET;
	if (errno == EPROTO || errno == EMSGSIZE)
		transcript_blame(c->dialogue, "protocol");
	c->is_broken = true;
	return -1;
}

/* Line ends that came behind a reply are not the beginning of another. */
static void
drop_blanks(struct connection *c)
{
	const char	*data;
	size_t		 len = io_peek(c->io, &data), n = 0;

	while (n < len && (data[n] == '\r' || data[n] == '\n'))
		n++;
	if (n > 0)
		io_consume(c->io, n);
}

int
connection_hear(struct connection *c, struct pool *pool,
    struct smtp_reply *reply, int64_t patience)
{
	smtp_reply_start(reply, pool, c->is_authenticating ? REPLY_LINE :
	    REPLY_ROOM);
	io_patience(c->io, patience);
	io_deadline(c->io, limit_of(c, patience));
	while (!reply->is_complete)
		if (hear_line(c, reply, pool) == -1)
			return -1;
	drop_blanks(c);
	io_deadline(c->io, NEVER);
	if (is_protocol_error(reply->code))
		transcript_blame(c->dialogue, "protocol");
	/* RFC 5321 3.8: after 421 the host hangs up. */
	if (reply->code == 421)
		c->is_broken = c->has_said_421 = true;
	return 0;
}

const char *
connection_complaint(struct connection *c, struct pool *pool, int error)
{
	if (error == ECANCELED)
		return pool_printf(pool, "the mail system was stopped while "
		    "%s to %s", c->doing, c->name);
	if (error == ETIMEDOUT && clock_now() >= c->deadline)
		return pool_printf(pool, "delivery to %s took longer than %s, "
		    "given up while %s", c->name,
		    settings_name("smtp_delivery_time_limit"), c->doing);
	if (error == ETIMEDOUT)
		return pool_printf(pool, "conversation with %s timed out "
		    "while %s", c->name, c->doing);
	if (error == EPROTO || error == EMSGSIZE)
		return pool_printf(pool, "malformed reply from %s while %s",
		    c->name, c->doing);
	if (error == EINVAL)
		return pool_printf(pool, "a line end inside the command to %s "
		    "while %s", c->name, c->doing);
	return pool_printf(pool, "lost connection with %s while %s", c->name,
	    c->doing);
}

/* Lines of a reply are one line where a person reads it, each with the code in
 * front (RFC 3461 9.2): "550-one 550 two". */
char *
connection_said(struct pool *pool, const struct smtp_reply *reply)
{
	const char	*line = reply->text.data, *end;
	struct str	 said;

	str_init(&said, pool, REPLY_ROOM);
	for (; (end = strchr(line, '\n')) != NULL; line = end + 1)
		str_addf(&said, "%d-%.*s ", reply->code, (int)(end - line),
		    line);
	str_addf(&said, "%d %s", reply->code, line);
	while (said.len > 0 && said.data[said.len - 1] == ' ')
		said.data[--said.len] = '\0';
	return said.data;
}

/* --- goodbye ------------------------------------------------------------- */

/* Close and forget. */
static void
drop(struct connection *c)
{
	io_close(c->io);
	pool_free(c->pool);
}

/* QUIT, and its answer if it is wanted, while nobody's mail waits. */
WAITS static void
say_goodbye(void *arg)
{
	struct connection	*c = arg;
	struct pool		*pool = pool_new("goodbye", 0);
	struct smtp_reply	 reply;
	int			 sent;

	c->deadline = clock_now() + LAST_WORD;
	sent = connection_say(c, "QUIT");
	if (sent == 0)
		sent = connection_flush(c, LAST_WORD);
	unsaid--;
	c->deadline = clock_now() + set.quit_timeout;
	if (sent == 0 && !set.skips_quit_answer && !daemon_is_draining())
		(void)connection_hear(c, pool, &reply, set.quit_timeout);
	pool_free(pool);
	drop(c);
	goodbyes--;
}

void
connection_close(struct connection *c)
{
	c->user = NULL;
	if (c->is_broken || goodbyes >= GOODBYES_MAX) {
		drop(c);
		return;
	}
	unsaid++;
	goodbyes++;
	fiber_start(say_goodbye, c);
}

unsigned
connection_unsaid(void)
{
	return unsaid;
}
