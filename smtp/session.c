/*
 * session.c - one dialogue: hello, replies, goodbye.
 *
 * Called by delivery.c (which speaks the transactions) and cache.c (which
 * keeps conversations warm). What a host says is trusted for its code only;
 * its text is bounded and escaped where it is shown.
 */

#include "smtp/session.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/net/dial.h"
#include "common/param/site.h"

#include "smtp/settings.h"

enum { REPLY_LINE = 2048, REPLY_ROOM = 4000, CONNECTION_MEMORY = 64 * 1024 };

const struct param session_params[] = {
	PARAM_STRING("smtp_helo_name", set.helo_name, "$myhostname", 1, 255,
	    "The name we give in EHLO."),
	PARAM_BOOL("smtp_never_send_ehlo", set.never_ehlo, "no",
	    "Say HELO only."),
	PARAM_STRING("smtp_discard_ehlo_keywords", set.discard_ehlo_keywords,
	    "", 0, 1000, "Extensions not to use though they are offered."),
	PARAM_TIME("smtp_connect_timeout", set.connect_timeout, "30s", 1, 3600,
	    "How long to wait for a connection."),
	PARAM_TIME("smtp_helo_timeout", set.helo_timeout, "300s", 1, 3600,
	    "How long to wait for the greeting and for EHLO's answer."),
	PARAM_TIME("smtp_mail_timeout", set.mail_timeout, "300s", 1, 3600,
	    "How long to wait for the answer to MAIL FROM."),
	PARAM_TIME("smtp_rcpt_timeout", set.rcpt_timeout, "300s", 1, 3600,
	    "How long to wait for the answer to RCPT TO."),
	PARAM_TIME("smtp_data_init_timeout", set.data_init_timeout, "120s", 1,
	    3600, "How long to wait for the answer to DATA."),
	PARAM_TIME("smtp_data_xfer_timeout", set.data_xfer_timeout, "180s", 1,
	    3600, "How long a block of the message may take."),
	/* RFC 5321 4.5.3.2.6: hanging up earlier makes duplicates. */
	PARAM_TIME("smtp_data_done_timeout", set.data_done_timeout, "600s", 1,
	    3600, "How long to wait for the answer to the final dot."),
	PARAM_TIME("smtp_rset_timeout", set.rset_timeout, "20s", 1, 3600,
	    "How long to wait for the answer to RSET."),
	PARAM_TIME("smtp_quit_timeout", set.quit_timeout, "300s", 1, 3600,
	    "How long QUIT may take to be sent."),
	PARAM_END
};

int
connection_hear(struct connection *c, struct pool *pool,
    struct smtp_reply *reply, int64_t patience)
{
	char	*line;
	size_t	 len;
	int	 got;

	smtp_reply_start(reply, pool, REPLY_ROOM);
	io_patience(c->io, patience);
	io_deadline(c->io, clock_now() + patience);
	while (!reply->is_complete) {
		got = io_line(c->io, &line, &len, REPLY_LINE, NULL);
		if (got == 0)
			errno = ECONNRESET;
		if (got == 1 && memchr(line, '\0', len) == NULL &&
		    smtp_reply_add(reply, line) == NULL)
			continue;
		if (got == 1)
			errno = EPROTO;
		c->is_broken = true;
		return -1;
	}
	io_deadline(c->io, NEVER);
	/* RFC 5321 3.8: after 421 the host hangs up. */
	if (reply->code == 421)
		c->is_broken = true;
	return 0;
}

const char *
connection_complaint(struct connection *c, struct pool *pool, int error)
{
	if (error == ETIMEDOUT)
		return pool_printf(pool, "conversation with %s timed out "
		    "while %s", c->name, c->doing);
	if (error == EPROTO || error == EMSGSIZE)
		return pool_printf(pool, "malformed reply from %s while %s",
		    c->name, c->doing);
	return pool_printf(pool, "lost connection with %s while %s", c->name,
	    c->doing);
}

/* Is the extension offered, and not one we were told to leave alone? */
static bool
offers(const char *ehlo, const char *keyword, char *parameters, size_t size)
{
	struct pool	*pool;
	char	       **words;
	size_t		 count, i;
	bool		 is_left;

	if (!smtp_ehlo_find(ehlo, keyword, parameters, size))
		return false;
	is_left = false;
	if (set.discard_ehlo_keywords[0] != '\0') {
		pool = pool_new("keywords", 0);
		words = text_words(pool, set.discard_ehlo_keywords, &count);
		for (i = 0; i < count; i++)
			if (text_equal(words[i], keyword))
				is_left = true;
		pool_free(pool);
	}
	return !is_left;
}

/* What EHLO's answer promises. */
static void
learn(struct connection *c, const char *ehlo)
{
	char	value[64];

	c->has_pipelining = offers(ehlo, "PIPELINING", value, sizeof(value));
	c->has_8bit = offers(ehlo, "8BITMIME", value, sizeof(value));
	c->has_dsn = offers(ehlo, "DSN", value, sizeof(value));
	c->has_size = offers(ehlo, "SIZE", value, sizeof(value));
	if (!c->has_size ||
	    text_integer(value, 0, INT64_MAX, &c->size_limit) != NULL)
		c->size_limit = 0;
}

/* Greeting and hello (RFC 5321 3.1, 3.2). NULL, or the reply that refused. */
WAITS static const char *
introduce(struct connection *c, struct pool *pool, struct smtp_reply *reply)
{
	c->doing = "receiving the initial server greeting";
	if (connection_hear(c, pool, reply, set.helo_timeout) == -1)
		return connection_complaint(c, pool, errno);
	if (reply->code / 100 != 2)
		return "";

	c->doing = "performing the EHLO handshake";
	if (!set.never_ehlo) {
		if (io_printf(c->io, "EHLO %s\r\n", set.helo_name) == -1 ||
		    io_flush(c->io) == -1 ||
		    connection_hear(c, pool, reply, set.helo_timeout) == -1)
			return connection_complaint(c, pool, errno);
		if (reply->code / 100 == 2) {
			learn(c, reply->text.data);
			return NULL;
		}
		if (c->is_broken)
			return "";
	}

	c->doing = "performing the HELO handshake";
	if (io_printf(c->io, "HELO %s\r\n", set.helo_name) == -1 ||
	    io_flush(c->io) == -1 ||
	    connection_hear(c, pool, reply, set.helo_timeout) == -1)
		return connection_complaint(c, pool, errno);
	return reply->code / 100 == 2 ? NULL : "";
}

/* A socket to the target, from the address we were told to use. */
WAITS static int
connect_to(const struct target *target)
{
	struct inetaddr	 source;
	const char	*bind_to;

	bind_to = target->address.family == AF_INET ? set.bind_address :
	    set.bind_address6;
	if (bind_to[0] != '\0' && !inetaddr_parse(&source, bind_to)) {
		errno = EINVAL;
		return -1;
	}
	source.port = 0;
	return dial(&target->address, bind_to[0] != '\0' ? &source : NULL,
	    clock_now() + set.connect_timeout);
}

struct connection *
connection_open(struct pool *errors, const struct target *target,
    const char *key, const char **why, const char **dsn, bool *is_permanent)
{
	struct connection	*c;
	struct smtp_reply	 reply;
	struct pool		*pool;
	int			 fd;

	*is_permanent = false;
	*dsn = "4.4.1";
	if ((fd = connect_to(target)) == -1) {
		*why = pool_printf(errors, "connect to %s[%s]:%u: %s",
		    target->host, target->text, target->address.port,
		    strerror(errno));
		return NULL;
	}
	pool = pool_new("connection", CONNECTION_MEMORY);
	c = pool_alloc(pool, sizeof(*c));
	c->pool = pool;
	c->io = io_new(fd);
	c->host = pool_strdup(pool, target->host);
	c->name = pool_printf(pool, "%s[%s]", target->host, target->text);
	c->relay = pool_printf(pool, "%s:%u", c->name, target->address.port);
	c->key = pool_strdup(pool, key);
	c->born = clock_now();

	*why = introduce(c, errors, &reply);
	if (*why == NULL)
		return c;
	*dsn = "4.4.2";
	if ((*why)[0] == '\0') {
		*why = pool_printf(errors, "host %s refused to talk to me: "
		    "%d %s", c->name, reply.code, reply.text.data);
		*is_permanent = reply.code / 100 == 5 && !set.skips_5xx;
		*dsn = *is_permanent ? "5.0.0" : "4.0.0";
	}
	connection_close(c);
	return NULL;
}

void
connection_close(struct connection *c)
{
	if (!c->is_broken) {
		io_patience(c->io, set.quit_timeout);
		if (io_printf(c->io, "QUIT\r\n") == 0)
			io_flush(c->io);
	}
	io_close(c->io);
	pool_free(c->pool);
}
